"""Which recipes there are, which of them changed, and which are this machine's to build."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from builder import frontmatter
from builder.errors import ContentError, Problem, UsageError
from builder.git import Change, Repository
from builder.oci.reference import Reference
from builder.recipes.model import RecipeTag
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.legacy import has_manifest
from builder.registry.model import RegistryOptions
from builder.registry.recipe import MANIFEST, RESULTS, read_recipe, recipe_file
from builder.registry.scan import README, is_litter, scan

_PART = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def find_recipes(
    options: RegistryOptions, references: Sequence[str] = ()
) -> tuple[list[RecipeTag], list[Problem]]:
    """Return every tag that has a recipe, in byte order of their names, and what is wrong.

    `references`, each `NAME[:TAG]`, say which are wanted; empty means all. A
    tag folder that leaves open how it is made is a problem, and so is a folder
    that no collection can be in. Raises UsageError
    for a reference that has no recipe.
    """
    found: list[RecipeTag] = []
    problems: list[Problem] = []
    for name, tag in _wanted(options, references, problems):
        try:
            item = _recipe_tag(CollectionFolder(options, name), tag)
        except ContentError as error:
            problems += error.problems
        else:
            found += [item] if item is not None else []
    known = {(item.name, item.tag) for item in found}
    for text in references:
        wanted = Reference.parse(text)
        if not problems and not any(_fits(wanted, name, tag) for name, tag in known):
            raise UsageError(f"{text}: there is no such recipe", "see 'builder recipes'")
    return found, problems


def _wanted(
    options: RegistryOptions, references: Sequence[str], problems: list[Problem]
) -> list[tuple[str, str]]:
    """Return names and tags, in byte order; add what is wrong with folders to `problems`."""
    if not references:
        found = scan(options.source, options.collections)
        problems += found.problems
        names = [name for name, scanned in found.folders.items() if scanned.is_collection]
        every = {(name, tag) for name in names for tag in CollectionFolder(options, name).tags()}
        return sorted(every)
    wanted = [Reference.parse(text) for text in references]
    named = {
        (item.name, tag)
        for item in wanted
        for tag in CollectionFolder(options, item.name).tags()
        if _fits(item, item.name, tag)
    }
    return sorted(named)


def _fits(wanted: Reference, name: str, tag: str) -> bool:
    return wanted.name == name and wanted.tag in ("", tag) and not wanted.digest


def find_recipe(options: RegistryOptions, name: str, tag: str) -> RecipeTag | None:
    """Return one tag's recipe as it is now; None where there is none."""
    folder = CollectionFolder(options, name)
    return _recipe_tag(folder, tag) if tag in folder.tags() else None


def _recipe_tag(folder: CollectionFolder, tag: str) -> RecipeTag | None:
    path = folder.path / TAGS / tag
    origin = f"{folder.origin}/{TAGS}/{tag}"
    names = [name for name in os.listdir(path) if not is_litter(name)]
    file = recipe_file(names, origin)
    if not file:
        return None
    readme = folder.readme(tag)
    matter = frontmatter.parse((readme or "").encode(), f"{origin}/{README}")
    built = readme is not None and (MANIFEST in names or has_manifest(matter))
    recorded = str(matter.keys.get("inputs") or "")
    recipe = read_recipe(path, origin, file, built=built, recorded=recorded)
    return RecipeTag(folder.name, tag, path, recipe)


def changed_since(
    found: Iterable[RecipeTag], options: RegistryOptions, revision: str
) -> list[RecipeTag]:
    """Return the recipes of tag folders that differ from the git revision `revision`.

    Compared is with the last commit that both share; results that builds
    write do not count, but their removal does: it asks for a build. Raises
    UsageError for a revision git does not know, LocalError when git cannot be
    run here.
    """
    repository = Repository(options.source)
    by_folder = {item.folder.resolve(): item for item in found}
    touched: set[Path] = set()
    for change in repository.changes(repository.base(revision)):
        path = repository.top / change.path
        touched.update(
            folder
            for folder in path.parents
            if folder in by_folder and _counts(change, path.relative_to(folder))
        )
    return [item for folder, item in by_folder.items() if folder in touched]


def _counts(change: Change, inner: Path) -> bool:
    is_result = inner.parts[0] in RESULTS
    return not is_result or (change.status == "D" and len(inner.parts) == 1)


def shard(items: Sequence[RecipeTag], text: str) -> list[RecipeTag]:
    """Return the part `I/N` of the work: every N-th of it, beginning with the I-th.

    Machines with the same checkout get parts that differ by one at most and
    together are the whole. Raises UsageError.
    """
    found = _PART.fullmatch(text)
    part, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < part <= count:
        raise UsageError(f"--shard {text}: is not a part of a whole", "write I/N, as in 1/4")
    return sorted(items, key=lambda item: item.reference)[part - 1 :: count]
