"""Taking in what another machine built from recipes: nothing it says is believed.

That machine ran somebody's code. What it hands on is one folder, with an
image layout for each tag. The tags are those that were planned before any
recipe ran; every byte is verified as from any stranger, and what the tag was
made of is what the plan says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.errors import BuilderError, ContentError, Problem
from builder.oci.reference import Reference
from builder.recipes.find import find_recipe
from builder.recipes.model import Outcome, RecipeTag, slug
from builder.recipes.share import Planned
from builder.registry.edit import lock
from builder.registry.model import RegistryOptions
from builder.registry.stage import Judge
from builder.transports.intake import add_image
from builder.transports.oci_layout import open_layout
from builder.transports.registry_sink import Terms


def accept(
    options: RegistryOptions, folder: Path, plan: Sequence[Planned], *, judge: Judge, created: str
) -> tuple[list[Outcome], list[Problem]]:
    """Bring the image layouts of `folder` in, each under the tag that was planned.

    Returns an outcome for each, in the plan's order, and a problem for each
    thing in the folder that no plan named. A tag whose recipe is gone, or was
    built by another run meanwhile, stays as it is. `judge` has the last word
    on each; `created` is the date that tags get, ISO 8601.
    """
    by_folder = {slug(item.reference): item for item in plan}
    if folder.is_symlink():
        return [], [Problem(os.fspath(folder), message="is a symbolic link")]
    handed = set(os.listdir(folder)) if folder.is_dir() else set()
    outcomes = []
    with lock(options):
        for name, planned in by_folder.items():
            item = find_recipe(options, planned.name, planned.tag) if name in handed else None
            if item is not None:
                terms = Terms(created=created, facts={"inputs": planned.inputs}, judge=judge)
                outcomes.append(_accept(options, folder / name, item, terms))
    return outcomes, list(_strays(folder, handed - set(by_folder)))


def _accept(options: RegistryOptions, folder: Path, item: RecipeTag, terms: Terms) -> Outcome:
    if item.state == "current":
        return Outcome(item, "unchanged", why="another run built it first")
    try:
        if folder.is_symlink():
            raise ContentError.at(os.fspath(folder), "is a symbolic link")
        with open_layout(os.fspath(folder)) as source:
            reference = Reference(item.name, item.tag)
            added = add_image(options, source, source.resolve(), reference, terms)
    except BuilderError as error:
        return Outcome(item, "failed", why=str(error))
    return Outcome(item, "built" if added.changed else "unchanged", added=added)


def _strays(folder: Path, names: set[str]) -> Iterator[Problem]:
    for name in sorted(names):
        message = "is not a tag of the plan"
        yield Problem(os.fspath(folder / name), 0, message, "see 'builder recipes plan'")
