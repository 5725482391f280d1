"""Every host in turn, with the same registry behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conformance.asking import Asker
from tests.conformance.requirements import read_table
from tests.conformance.results import RECORDER, requirement_of
from tests.conformance.sample import Sample
from tests.hosts import HOSTS


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample.write(tmp_path_factory.mktemp("conformance") / "registry")


@pytest.fixture(scope="session", params=HOSTS)
def ask(
    request: pytest.FixtureRequest, sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asker]:
    """Whom to ask: the host under test."""
    name: str = request.param
    folder: Path = tmp_path_factory.mktemp("host")
    folder.chmod(0o755)
    with HOSTS[name](sample.source, folder) as address, Asker(address) as asker:
        yield asker


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, bool | None, bool | None]:
    """Expect of each host what the table says, the failures too, unless the table is being made."""
    test, host = requirement_of(pyfuncitem)
    if pyfuncitem.config.pluginmanager.has_plugin(RECORDER) or _is_met(test, host):
        return (yield)
    try:
        yield
    except AssertionError:
        return True
    message = f"{host} meets this, and the table says it does not: run python -m tests.conformance"
    raise AssertionError(message)


def _is_met(test: str, host: str) -> bool:
    _, cells = _table()
    return cells.get(test, {}).get(host, True)


_table = cache(read_table)
