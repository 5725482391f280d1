"""What the hosts answered, as pytest tells it."""

from __future__ import annotations

from collections import defaultdict

import pytest

RECORDER = "conformance-recorder"


class Recorder:
    """Keeps whether each test passed on each host; what is no failed assertion is trouble."""

    def __init__(self) -> None:
        self.__name__ = RECORDER
        self.cells: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        self.trouble: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> object:
        """Book one outcome."""
        report = yield
        test, host = requirement_of(item)
        if call.excinfo is not None and not call.excinfo.errisinstance(AssertionError):
            self.trouble.append(f"{item.nodeid}: {call.excinfo.exconly()}")
        elif call.when == "call" and host:
            self.cells[test][host] = call.excinfo is None
        return report


def requirement_of(item: pytest.Item) -> tuple[str, str]:
    """Return the name of an item's test and of the host it asks."""
    if not isinstance(item, pytest.Function):
        return "", ""
    call = getattr(item, "callspec", None)
    return item.originalname, call.params.get("ask", "") if call else ""
