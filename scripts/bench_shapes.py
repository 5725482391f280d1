"""Registries of unusual shapes: a collection with very many tags, very many namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from generate import name_of, write_tag
from measure import BUILDER, Cost, Rows, growth, measured, row
from plan import Plan, edit


def many_tags(plan: Plan) -> Rows:
    """Return what one collection costs with many tags, against one of a tenth of them."""
    tags = max(10, plan.scaled(10_000))
    small, big = (dict(_of_tags(plan, count)) for count in (tags // 10, tags))
    rows = {f"{tags // 10:,} tags: {what}": row(cost) for what, cost in small.items()}
    for what, cost in big.items():
        rows[f"{tags:,} tags: {what}"] = row(cost) | growth(cost, small[what], 10)
    return rows


def _of_tags(plan: Plan, tags: int) -> Iterator[tuple[str, Cost]]:
    source = plan.registry(1, tags)
    command = _build(source, plan.fresh("shaped"))
    yield "cold", measured(command)
    yield "nothing changed", measured(command)
    write_tag(source / "collections" / name_of(0), 0, tags)
    yield "one tag added", measured(command)


def many_namespaces(plan: Plan) -> Rows:
    """Return what namespaces of one collection each cost, against a hundred of as many together."""
    count = max(10, plan.scaled(10_000))
    kinds = {"grouped": max(1, count // 100), "alone": 1}
    found = {name: dict(_of_namespaces(plan, count, each)) for name, each in kinds.items()}
    rows: Rows = {}
    for name, each in kinds.items():
        for what, cost in found[name].items():
            peer = found["grouped"][what] if name == "alone" else None
            rows[f"{count // each:,} namespaces of {each:,}: {what}"] = row(cost, grouped=peer)
    return rows


def _of_namespaces(plan: Plan, count: int, each: int) -> Iterator[tuple[str, Cost]]:
    source = plan.registry(count, 1, each)
    command = _build(source, plan.fresh("shaped"))
    yield "cold", measured(command)
    yield "nothing changed", measured(command)
    edit(source / "collections" / name_of(7, each) / "README.md", "One more line.")
    yield "one README", measured(command)


def _build(source: Path, site: Path) -> list[str]:
    return [*BUILDER, "build", "-q", "-t", "nginx", "-s", str(source), "-d", str(site)]
