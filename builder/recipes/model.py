"""What a build of a recipe is given, and what it comes to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.registry.model import Recipe
from builder.transports.intake import Added


@dataclass(frozen=True, slots=True)
class RecipeTag:
    """A tag that is made from a recipe: `folder` holds the recipe and what it reads."""

    name: str
    tag: str
    folder: Path
    recipe: Recipe

    @property
    def state(self) -> str:
        """`pending`, `stale` or `current`."""
        return self.recipe.state

    @property
    def reference(self) -> str:
        """`name:tag`."""
        return f"{self.name}:{self.tag}"

    @property
    def origin(self) -> str:
        """The tag's folder, as problems call it."""
        return self.recipe.path.rpartition("/")[0]

    def to_json(self) -> dict[str, str]:
        """Return the shape that `builder recipes --json` prints."""
        return {"name": self.name, "tag": self.tag, "state": self.state, "recipe": self.recipe.path}


@dataclass(frozen=True, slots=True)
class Job:
    """One build: `context` is read, `output` beside it is an empty folder to write to.

    `recipe` is the recipe's file name in `context`. `labels` are the image's;
    `epoch` is the moment, in seconds since 1970, that all it holds claims to
    be made at, None for the true ones.
    """

    name: str
    tag: str
    recipe: str
    context: Path
    output: Path
    epoch: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the build of one recipe ended.

    `state` is `built`, `unchanged` (the same image as before), `failed` or
    `busy` (another run is at it); `log` is the file of all that was said.
    """

    item: RecipeTag
    state: str
    engine: str = ""
    added: Added | None = None
    why: str = ""
    log: str = ""

    @property
    def failed(self) -> bool:
        """Whether the run as a whole has failed because of this."""
        return self.state == "failed"

    def to_json(self) -> dict[str, str | None]:
        """Return the shape that `builder recipes build --json` prints."""
        return {
            "name": self.item.name,
            "tag": self.item.tag,
            "state": self.state,
            "engine": self.engine or None,
            "digest": str(self.added.digest) if self.added else None,
            "why": self.why or None,
            "log": self.log or None,
        }


def slug(reference: str) -> str:
    """Return a folder's name for `name:tag`: no two have the same."""
    name = reference.replace("/", "+").replace(":", "+")  # neither may hold a plus
    return name if len(name) <= 200 else hashlib.sha256(name.encode()).hexdigest()
