"""The lines that begin and end fenced code (https://spec.commonmark.org, "Fenced code blocks")."""

from __future__ import annotations

import re

FENCE = re.compile(r" {0,3}(?P<marks>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)")


def closing(marks: str) -> re.Pattern[str]:
    """Return what the line looks like that ends the code behind a fence of these marks."""
    return re.compile(rf" {{0,3}}{marks[0]}{{{len(marks)},}}[ \t]*$")
