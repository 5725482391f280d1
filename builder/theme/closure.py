"""What a page layout depends on, read from its syntax tree and never by running it.

A page is rendered again when its layout, or anything the layout reaches, has
changed, and when a part of `site` that it reads has. Both must err on the
side of too much: an include whose name is computed reaches every template,
and a `site` that is handed on whole is read whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, cast

from jinja2 import nodes

from builder.theme.sources import asset_names

_Naming = nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport
_Reading = nodes.Getattr | nodes.Getitem


@dataclass(frozen=True, slots=True)
class Reference:
    """A template that another one names: in `extends`, an include or an import.

    `names` are tried in order; it is empty where the name is computed.
    """

    names: tuple[str, ...]
    line: int
    extends: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a template; `outer` where only what the template extends can show it."""

    name: str
    line: int
    outer: bool


@dataclass(frozen=True, slots=True)
class Uses:
    """What one template reads: other templates, `site`, assets; and the blocks it has.

    `site` is None where `site` is handed on whole, or a method of the mapping
    that it is is called; `assets` is None where an asset's name is computed.
    `lost` is the line of text that nobody sees: it extends another template
    and stands in no block.
    """

    references: tuple[Reference, ...] = ()
    site: frozenset[str] | None = field(default=frozenset())
    assets: frozenset[str] | None = field(default=frozenset())
    blocks: tuple[Block, ...] = ()
    lost: int = 0

    def to_text(self) -> str:
        """Return these as JSON, to be kept."""
        return json.dumps(astuple(self), default=sorted)

    @classmethod
    def from_text(cls, text: str) -> Uses:
        """Return what `to_text` wrote."""
        references, site, assets, blocks, lost = json.loads(text)
        return cls(
            tuple(Reference(tuple(names), *rest) for names, *rest in references),
            None if site is None else frozenset(site),
            None if assets is None else frozenset(assets),
            tuple(Block(*block) for block in blocks),
            lost,
        )


def uses(tree: nodes.Template, text: str) -> Uses:
    """Return what the template of source `text`, parsed to `tree`, reads."""
    top = set(map(id, tree.body))  # Jinja compares nodes by all that is in them
    blocks = tuple(
        Block(node.name, node.lineno, id(node) in top and f"self.{node.name}" not in text)
        for node in tree.find_all(nodes.Block)
    )
    site = _site_attributes(tree) if "site" in text else frozenset()
    return Uses(tuple(_references(tree)), site, asset_names(text), blocks, _lost(tree))


def _lost(tree: nodes.Template) -> int:
    """Return the line of the first text outside of blocks, 0 where all of it can be seen."""
    if not any(isinstance(node, nodes.Extends) for node in tree.body):
        return 0
    for node in tree.body:
        for part in node.nodes if isinstance(node, nodes.Output) else ():
            text = part.data if isinstance(part, nodes.TemplateData) else "shown"
            if text.strip():
                return part.lineno + text[: len(text) - len(text.lstrip())].count("\n")
    return 0


def _references(tree: nodes.Template) -> Iterator[Reference]:
    kinds = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
    for node in cast("Iterator[_Naming]", tree.find_all(kinds)):
        optional = isinstance(node, nodes.Include) and node.ignore_missing
        extends = isinstance(node, nodes.Extends)
        yield Reference(_names(node.template), node.lineno, extends, optional)


def _names(node: nodes.Expr) -> tuple[str, ...]:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        found = [_names(item) for item in node.items]
        return tuple(name for names in found for name in names) if all(found) else ()
    return ()


def _site_attributes(tree: nodes.Template) -> frozenset[str] | None:
    read: set[str] = set()
    known = 0
    for node in cast("Iterator[_Reading]", tree.find_all((nodes.Getattr, nodes.Getitem))):
        if isinstance(node.node, nodes.Name) and node.node.name == "site":
            name = _attribute(node)
            if name is None or hasattr(dict, name):
                return None
            known += 1
            read.add(name)
    mentions = sum(node.name == "site" and node.ctx == "load" for node in tree.find_all(nodes.Name))
    return frozenset(read) if mentions == known else None


def _attribute(node: _Reading) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    value: Any = node.arg.value if isinstance(node.arg, nodes.Const) else None
    return value if isinstance(value, str) else None


def reach(start: Iterable[str], graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return all that can be reached from `start`, itself included, sorted."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(graph[name])
    return sorted(seen)


def cycle_from(start: str, parent: Mapping[str, str]) -> list[str]:
    """Return the names along `parent` from `start` back to `start`, or nothing."""
    path = [start]
    while (name := parent.get(path[-1], "")) and name not in path:
        path.append(name)
    return [*path, start] if name == start else []
