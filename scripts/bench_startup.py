"""How long the program takes to say what it is."""

from __future__ import annotations

from measure import BUILDER, Rows, measured, middle, row
from plan import Plan


def measure(_: Plan) -> Rows:
    """Return what `builder --version` and `--help` cost: the medians of five."""
    return {
        f"builder {flag}": row(middle(measured([*BUILDER, flag]) for _ in range(5)))
        for flag in ("--version", "--help")
    }
