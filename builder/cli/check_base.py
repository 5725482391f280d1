"""The part of `builder check` that judges a pull request."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from builder.cli.options import given
from builder.config import Flags, parse_size
from builder.errors import LocalError, Problem, UsageError
from builder.pull_requests.author import find_author
from builder.pull_requests.base import open_base
from builder.pull_requests.judge import judge
from builder.pull_requests.model import Limits, Proposal
from builder.pull_requests.summary import summary


def judged(
    context: click.Context, revision: str | None, proposed: Mapping[str, Any], flags: Flags
) -> Proposal | None:
    """Return what the work tree proposes to the base branch `revision`, None for None.

    `proposed` are the flags that are for pull requests alone, `flags` those of
    the configuration. Raises UsageError for flags that make no sense.
    """
    if revision is None:
        _refuse(context, proposed)
        return None
    limits = Limits(
        _size(proposed, "max_file"), proposed["max_files"], _size(proposed, "max_fetch")
    )
    author = proposed["author"]
    base = open_base(flags, revision)
    return judge(
        base,
        find_author(os.environ) if author is None else author,
        limits,
        None if proposed["no_fetch"] else proposed["remote"],
    )


def is_contained(proposal: Proposal | None) -> bool:
    """Tell whether a tree may be read as its own configuration says, by its own theme.

    A proposal that changes these is refused for that alone: a stranger's
    `source` would lead anywhere, and layouts are programs.
    """
    problems = proposal.problems if proposal is not None else ()
    return all(
        item.warning or item.path.startswith("collections/") or item.path.endswith("OWNERS")
        for item in problems
    )


def told(
    proposal: Proposal | None, more: Iterable[Problem], summary_file: str | None
) -> tuple[Problem, ...]:
    """Return all problems, what a proposal is refused for first; write the summary of it."""
    if proposal is None:
        return tuple(sorted(more))
    known = {(item.path, item.message) for item in proposal.problems}
    others = (
        item for item in more  # not what has been said already in fewer words
        if not any(item.path == path and item.message.startswith(said) for path, said in known)
    )  # fmt: skip
    problems = tuple(sorted({*proposal.problems, *others}))
    if summary_file:
        _write_summary(summary_file, proposal, problems)
    return problems


def _write_summary(path: str, proposal: Proposal, problems: Sequence[Problem]) -> None:
    """Write the Markdown; what GitHub shows of a job is added to, other files are replaced."""
    mode = "a" if path == os.environ.get("GITHUB_STEP_SUMMARY") else "w"
    try:
        with Path(path).open(mode, encoding="utf-8") as stream:
            stream.write(summary(proposal, problems))
    except OSError as error:
        raise LocalError.of(error, path) from error


def _refuse(context: click.Context, proposed: Mapping[str, Any]) -> None:
    """Raise UsageError for a flag that means nothing without --base."""
    for parameter in given(context):
        if parameter.name in proposed:
            raise UsageError(f"{parameter.opts[0]} is for pull requests", "add --base REF")


def _size(proposed: Mapping[str, Any], name: str) -> int:
    size = parse_size(proposed[name])
    if size is None:
        flag = name.replace("_", "-")
        raise UsageError(f"--{flag} {proposed[name]}: is not a size", "write it as in '8 MiB'")
    return size
