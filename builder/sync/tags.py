"""Which tags a rule means: `3.*`, `>=3.18, <4`, `>=3.18, *-alpine`.

A rule is terms between commas, all of which hold: comparisons of versions, and patterns. A
comparison alone means plain versions; variants (`3.19-alpine`) and pre-releases also need a
pattern in the rule that they fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import zip_longest

from builder.oci.reference import is_referrers_tag
from builder.pages import versions

_TERM = re.compile(r"(?P<sign>>=|<=|!=|>|<|=)\s*[vV]?(?P<version>\d{1,18}(?:\.\d{1,18}){0,7})")
_PATTERN = re.compile(r"[\w.*?!\[\]-]{1,200}", re.ASCII)


def rule_fault(rule: str) -> str:
    """Return what is wrong with a rule, or the empty string."""
    for term in _terms(rule):
        if _TERM.fullmatch(term) is None and _PATTERN.fullmatch(term) is None:
            return f"{term!r} is neither a pattern of tags nor a comparison such as '>=3.18'"
    return ""


def fits(tag: str, rules: Iterable[str]) -> bool:
    """Tell whether a tag is one that some rule means."""
    return any(_fits(tag, rule) for rule in rules)


def chosen(
    tags: Iterable[str], rules: Sequence[str], *, exclude: Sequence[str] = (), newest: int = 0
) -> list[str]:
    """Return the tags that rules mean, newest first; `newest` (0: all) takes the first of them.

    What tools name after a digest is nothing that rules mean.
    """
    found = versions.newest_first(
        tag
        for tag in dict.fromkeys(tags)
        if not is_referrers_tag(tag) and not versions.is_tool_tag(tag)
        and fits(tag, rules) and not fits(tag, exclude)
    )  # fmt: skip
    return found[:newest] if newest else found


def _terms(rule: str) -> list[str]:
    return [term.strip() for term in rule.split(",")]


def _fits(tag: str, rule: str) -> bool:
    terms = _terms(rule)
    comparisons = [found for term in terms if (found := _TERM.fullmatch(term))]
    patterns = [term for term in terms if _TERM.fullmatch(term) is None]
    if not all(fnmatchcase(tag, pattern) for pattern in patterns):
        return False
    if not comparisons:
        return True
    if not versions.is_version(tag):
        return False
    is_plain = not versions.is_pre_release(tag) and not versions.variant(tag)
    return (is_plain or bool(patterns)) and all(_holds(tag, found) for found in comparisons)


def _holds(tag: str, found: re.Match[str]) -> bool:
    """Compare by numbers: what one version leaves out is zero."""
    mine = versions.key(tag)[1]
    other = tuple(map(int, found["version"].split(".")))
    pairs = [*zip_longest(mine, other, fillvalue=0)]
    sign = next((1 if left > right else -1 for left, right in pairs if left != right), 0)
    return {
        ">=": sign >= 0, "<=": sign <= 0, ">": sign > 0, "<": sign < 0,
        "=": sign == 0, "!=": sign != 0,
    }[found["sign"]]  # fmt: skip
