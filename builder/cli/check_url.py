"""`builder check --url`: which clients can use a site that is published."""

from __future__ import annotations

import click

from builder.cli.console import Console
from builder.cli.options import given
from builder.clients import KINDS
from builder.errors import ContentError, Problem, UsageError
from builder.probe.ask import probe
from builder.probe.facts import Facts
from builder.probe.judgement import Judgement, judge
from builder.remote.options import RemoteOptions

_FITTING = frozenset({"site", "source", "configs", "quiet", "as_json", "no_color", "insecure",
                      "ca"})  # fmt: skip


def check_site(context: click.Context, url: str, remote: RemoteOptions, console: Console) -> None:
    """Ask a site and print what it is good for; raises ContentError for what it breaks."""
    _refuse_others(context)
    facts = probe(url, remote)
    judgement = judge(facts)
    problems = [Problem(f"{facts.url}/{path}", 0, message) for path, message in judgement.broken]
    value = {
        "url": facts.url,
        "tags": {"listed": facts.listed, "checked": len(facts.tags)},
        "samples": {sample.kind: sample.reference for sample in facts.samples},
        "clients": [verdict.to_json() for verdict in judgement.verdicts],
        "features": [feature._asdict() for feature in judgement.features],
        "problems": [problem.to_json() for problem in problems],
    }
    console.result(value, "\n".join(_lines(facts, judgement)))
    if problems:
        raise ContentError(problems)


def _lines(facts: Facts, judgement: Judgement) -> list[str]:
    found = {sample.kind: sample.reference for sample in facts.samples}
    lines = [f"{facts.url}: {len(facts.tags)} of {facts.listed} tags checked", ""]
    lines += [f"  {kind:16} {found.get(kind, 'none found')}" for kind in KINDS]
    lines += ["", "clients"]
    for verdict in judgement.verdicts:
        fails = f" (not: {', '.join(verdict.fails)})" if verdict.works == "partly" else ""
        lines.append(f"  {verdict.clients:24} {verdict.works}{fails}")
        for obstacle in verdict.obstacles:
            word = "because" if obstacle.blocks else "note:"
            lines += [f"    {word} {obstacle.why}", f"    fix: {obstacle.fix}"]
    lines += ["", "beside pulls"]
    lines += [f"  {name:24} {'yes' if has else 'no':4} {meaning}"
              for name, has, meaning in judgement.features]  # fmt: skip
    return lines


def _refuse_others(context: click.Context) -> None:
    for parameter in given(context):
        if parameter.name not in _FITTING:
            raise UsageError(f"{parameter.opts[0]} does not go with --url: that asks a site alone")
