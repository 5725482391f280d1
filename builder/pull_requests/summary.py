"""A proposal as Markdown, for a job's summary or a comment.

All that it shows was contributed: none of it may become Markdown, HTML, or a
command to the machine that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from builder.errors import Problem, counted, printable
from builder.pull_requests.model import Proposal, TagChange

_MAX_ROWS = 200
_MAX_TEXT = 300
_PLAIN = re.compile(r"[A-Za-z0-9 ._:/@+,=()-]*")


def summary(proposal: Proposal, problems: Sequence[Problem]) -> str:
    """Return the Markdown that shows a proposal to those who decide about it."""
    errors = sum(not problem.warning for problem in problems)
    verdict = f"{counted(errors, 'problem')}: not yet" if errors else "No problems"
    by = f" by {_code(proposal.author)}" if proposal.author else ""
    counts = f"{counted(proposal.files, 'file')}, {counted(len(proposal.tags), 'tag')}"
    lines = ["## What this changes", "", f"**{verdict}.** {counts}{by}."]
    if proposal.tags:
        lines += ["", "| tag | change | old | new | size |", "| --- | --- | --- | --- | --- |"]
        lines += _cut([_row(item) for item in proposal.tags], "| | | | | {} |")
    if proposal.recipes:
        lines += ["", "These files would be read or run by a build:", ""]
        lines += _cut([f"- {_code(path)}" for path in proposal.recipes], "- {}")
    if problems:
        lines += ["", "## Problems", ""]
        lines += _cut([_problem(problem) for problem in problems], "- {}")
    return "\n".join(lines) + "\n"


def _row(item: TagChange) -> str:
    cells = (f"{item.name}:{item.tag}", "", item.old, item.new)
    tag, _, old, new = (_code(cell) if cell else "" for cell in cells)
    return f"| {tag} | {item.kind} | {old or '-'} | {new or '-'} | {_size(item)} |"


def _size(item: TagChange) -> str:
    if not item.new:
        return f"{-item.old_size:+,} bytes"
    if not item.old:
        return f"{item.new_size:,} bytes"
    return f"{item.new_size:,} bytes ({item.new_size - item.old_size:+,})"


def _problem(problem: Problem) -> str:
    label = "Warning: " if problem.warning else ""
    hint = f" Hint: {_code(problem.hint)}" if problem.hint else ""
    return f"- {label}{_code(problem.where)} {_code(problem.message)}{hint}"


def _cut(rows: Sequence[str], more: str) -> list[str]:
    """Return so many rows that the whole stays readable, and how many are not shown."""
    shown = list(islice(rows, _MAX_ROWS))
    left = len(rows) - len(shown)
    return [*shown, more.format(f"and {left} more")] if left else shown


def _code(text: str) -> str:
    """Return text as code on one line, whatever it holds.

    Where a backtick could stand, each sign that Markdown might mean something
    by is a numeric reference, which it never does.
    """
    shown = printable(text)
    if len(shown) > _MAX_TEXT:
        shown = shown[:_MAX_TEXT] + "..."
    if shown.strip() and _PLAIN.fullmatch(shown):
        return f"`{shown}`"
    safe = re.sub(r"[^A-Za-z0-9 ]", lambda found: f"&#{ord(found[0])};", shown)
    return f"<code>{safe}</code>"
