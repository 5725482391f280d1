"""The JSON twins of pages: the same facts, for programs.

What is not known is left out, as on the page; so are the values that the
page masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from builder.pages.badge import shield
from builder.pages.collectionview import CollectionView
from builder.pages.family import Family
from builder.pages.feeds import absolute
from builder.pages.model import PageOptions
from builder.pages.search import row_json
from builder.pages.tagtable import TagLine
from builder.pages.tagview import TagView
from builder.registry.model import Namespace, Row

_TAG_FACTS = (
    "kind", "digest", "media_type", "artifact_type", "size", "created", "built", "state", "yanked",
    "description", "platforms", "images", "legacy_layers", "attached", "difference",
    "companions", "archives", "warnings", "annotations", "downloads",
)  # fmt: skip
_LEAVES = frozenset({str, int, bool, float, type(None)})
_DRAWN = frozenset({"tiles", "shown", "masked"})


def collection_json(
    view: CollectionView, row: Row, children: Sequence[Row], options: PageOptions
) -> dict[str, Any]:
    """Return what the page of a collection says."""
    document = row_json(row, options)
    document["tags"] = [_tag_line(line, options) for line in view.tags]
    if view.links:
        document["links"] = {link.title.lower(): link.url for link in view.links}
    if view.pull is not None and view.pull.reference:
        document["reference"] = view.pull.reference
    document["badge"] = shield(row)
    if view.family is not None:
        document |= _family(view.family)
    if children:
        document["collections"] = [row_json(child, options) for child in children]
    return document


def _family(family: Family) -> dict[str, Any]:
    found = {
        "built_on": [base.title for base in family.bases],
        "used_by": [user.title for user in family.users],
        "used_by_total": family.total,
    }
    return {key: value for key, value in found.items() if value}


def _tag_line(line: TagLine, options: PageOptions) -> dict[str, Any]:
    return {**plain(line), "url": absolute(options, line.url)}


def tag_json(view: TagView, options: PageOptions) -> dict[str, Any]:
    """Return what the page of a tag says."""
    document: dict[str, Any] = {
        "name": view.title.rpartition(":")[0],
        "tag": view.name,
        "url": absolute(options, view.url),
    }
    for key in _TAG_FACTS:
        value = plain(getattr(view, key))
        if _says(value):
            document[key] = value
    if view.aliases:
        document["aliases"] = [link.title for link in view.aliases]
    if view.pull is not None and view.pull.reference:
        document["reference"] = view.pull.reference
    if view.recipe_name:
        document["recipe"] = {"name": view.recipe_name, "state": view.recipe_state}
    return document


def namespace_json(
    namespace: Namespace, rows: Sequence[Row], children: Sequence[str], options: PageOptions
) -> dict[str, Any]:
    """Return what the page of a namespace says."""
    return {
        "name": namespace.name,
        "title": namespace.title,
        "url": absolute(options, f"/{namespace.name}/"),
        "namespaces": list(children),
        "collections": [row_json(row, options) for row in rows if not row.hidden],
    }


def _says(value: Any) -> bool:
    """Tell whether a value is no empty text, list or mapping, and not None; 0 says something."""
    return bool(value) or type(value) in (int, bool, float)


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Return the fields of a type of views that are not only drawn; none of other types."""
    found = fields(kind) if is_dataclass(kind) else ()
    return tuple(field.name for field in found if field.name not in _DRAWN)


def plain(value: Any) -> Any:
    """Return a view as JSON values, without what is empty and without what is only drawn."""
    if type(value) in _LEAVES:
        return value
    kind: type = type(value)
    if names := _names(kind):
        shown = ((name, plain(getattr(value, name))) for name in names)
        return {name: item for name, item in shown if _says(item)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
