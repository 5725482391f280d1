"""Sharing recipes out among machines: one has recipes of the same owners alone.

Whatever a recipe does to its machine, it can then alter nobody else's image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from builder.errors import UsageError
from builder.oci.reference import Reference
from builder.oci.strictjson import StrictJSONError, loads
from builder.recipes.model import RecipeTag
from builder.registry.recipe import inputs_digest

NOBODY = "-"  # how command lines write that nobody in particular owns something
OwnerOf = Callable[[RecipeTag], str]  # logins with commas between, empty for nobody in particular


@dataclass(frozen=True, slots=True)
class Planned:
    """A recipe that is to be built: what it makes, and the digest of what it is made from."""

    name: str
    tag: str
    inputs: str

    @property
    def reference(self) -> str:
        """`name:tag`."""
        return f"{self.name}:{self.tag}"


@dataclass(frozen=True, slots=True)
class Share:
    """One machine's work: all recipes of `owner`, or of the collection `name` that nobody owns."""

    owner: str
    name: str
    recipes: tuple[Planned, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the shape that `builder recipes plan --json` prints."""
        recipes = [{"name": item.name, "tag": item.tag, "inputs": item.inputs}
                   for item in self.recipes]  # fmt: skip
        return {"owner": self.owner, "name": self.name, "recipes": recipes}


def share_out(items: Iterable[RecipeTag], owner_of: OwnerOf) -> list[Share]:
    """Return the work in as many shares as there are owners, and collections without one.

    Raises ContentError for a tag folder that cannot be read.
    """
    found: dict[tuple[str, str], list[Planned]] = {}
    for item in items:
        owner = owner_of(item)
        planned = Planned(item.name, item.tag, inputs_digest(item.folder, item.origin))
        found.setdefault((owner, "" if owner else item.name), []).append(planned)
    return [Share(owner, name, tuple(found[owner, name])) for owner, name in sorted(found)]


def parse_plan(raw: bytes, label: str) -> list[Planned]:
    """Return what `builder recipes plan --json` printed; raises UsageError for anything else."""
    hint = "write it with: builder recipes plan --json > FILE"
    try:
        shares = loads(raw, what=label)
        rows = [row for share in _listed(shares) for row in _listed(share["recipes"])]
        found = [Planned(**row) for row in rows]
        for item in found:
            Reference.parse(item.reference)
    except (StrictJSONError, TypeError, KeyError, UsageError):
        raise UsageError(f"{label}: is not a plan of recipes", hint) from None
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [None]
