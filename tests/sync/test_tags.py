"""Which tags a rule means."""

from __future__ import annotations

import pytest

from builder.sync.tags import chosen, rule_fault

TAGS = ("latest", "edge", "4.0", "3.19.1-alpine", "3.19.1", "3.19", "3.19-rc1", "3.18.0",
        "3.18", "3", "v3.20", "20240101", f"sha256-{'a' * 64}",
        f"sha256-{'a' * 64}.sig")  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "exclude", "newest", "expected"),
    [
        (("*",), (), 3, ["latest", "20240101", "4.0"]),
        ((">=3.18, <4",), (), 0, ["v3.20", "3.19.1", "3.19", "3.18.0", "3.18"]),
        ((">3.18, <=3.19",), (), 0, ["3.19"]),
        ((">=3.18,<4,*-alpine",), (), 0, ["3.19.1-alpine"]),
        ((">=3.18, <4, *rc*",), (), 0, ["3.19-rc1"]),
        (("=3.18",), (), 0, ["3.18.0", "3.18"]),
        ((">=3.19, <4, !=3.19.1",), (), 0, ["v3.20", "3.19"]),
        (("3.19*", "edge"), ("*-*",), 0, ["3.19.1", "3.19", "edge"]),
        (("[lv]*",), (), 1, ["latest"]),
        ((">=9",), (), 0, ["20240101"]),
        (("none",), (), 0, []),
    ],
)
def test_what_is_chosen(
    rules: tuple[str, ...], exclude: tuple[str, ...], newest: int, expected: list[str]
) -> None:
    assert [rule_fault(rule) for rule in rules] == [""] * len(rules)
    assert chosen(TAGS, rules, exclude=exclude, newest=newest) == expected


@pytest.mark.parametrize(
    "rule", ["", ">=", "=>3", ">= 3.18 <4", "~3.18", ">=3.x", "3.18, ", "a b", "a/b"]
)
def test_what_is_no_rule(rule: str) -> None:
    assert "neither a pattern" in rule_fault(rule)
