"""What GitHub Actions shows beside a changed file says what the terminal says."""

from __future__ import annotations

import pytest

from builder.cli import annotation


@pytest.mark.parametrize(
    ("where", "message", "line"),
    [
        ("a.md:7", "must be 2, not: 'x'", "::error file=a.md,line=7::must be 2, not: 'x'"),
        ("a.md", "50%\nof it", "::error file=a.md,line=1::50%25%0Aof it"),
        ("a:b,c.md:7", "x", "::error file=a%3Ab%2Cc.md,line=7::x"),
    ],
)
def test_only_what_ends_a_message_is_escaped_in_it(where: str, message: str, line: str) -> None:
    assert annotation(where, message, warning=False) == line
