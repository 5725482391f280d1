"""Reading a whole registry and hashing all of it again, believing no cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from builder.errors import Problem
from builder.registry.load import Loaded, load_collection, load_namespace
from builder.registry.model import Collection, RegistryOptions
from builder.registry.scan import scan
from builder.storage.cache import Cache


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    problems: tuple[Problem, ...]
    collections: int
    tags: int


def load_all(options: RegistryOptions) -> tuple[tuple[Problem, ...], Iterator[Loaded]]:
    """Return the problems of the walk, and every collection in order of its name."""
    found = scan(options.source, options.collections)
    names = sorted(name for name, folder in found.folders.items() if folder.is_collection)
    cache = Cache(None)
    return tuple(found.problems), (load_collection(options, name, cache) for name in names)


def check(
    options: RegistryOptions, also: Callable[[Collection], Iterable[Problem]] | None = None
) -> Checked:
    """Return every problem of the registry's content and store, and what `also` finds."""
    problems: list[Problem] = []
    collections = tags = 0
    walked, loaded = load_all(options)
    problems += walked
    for item in loaded:
        collections += 1
        problems += item.problems
        if item.collection is not None and also is not None:
            problems += also(item.collection)
        tags += len(item.collection.tags) if item.collection else 0
    for name, folder in scan(options.source, options.collections).folders.items():
        if not folder.is_collection:
            problems += load_namespace(options, name)[1]
    return Checked(tuple(sorted(set(problems))), collections, tags)
