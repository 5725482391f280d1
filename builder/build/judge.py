"""The one judge of a collection: what a build says of it, and what commands ask beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from builder.apps.model import AppOptions
from builder.apps.publish import PublishedApps, publish_apps
from builder.apps.store import AppStore
from builder.config import CONFIG, Config
from builder.documents.content import read_content
from builder.errors import Problem
from builder.oci.layout import MARKER
from builder.output import Claim, clashes
from builder.pages.model import PageOptions, SiteState
from builder.pages.pull import unreachable
from builder.registry.endpoints import REGISTRY_CLAIMS, collection_claims
from builder.registry.folder import TAGS
from builder.registry.load import load_collection
from builder.registry.model import BlobPlace, Collection, Namespace, RegistryOptions
from builder.registry.scan import README, Folder
from builder.registry.schema import texts
from builder.registry.stage import Judge
from builder.storage.cache import Cache
from builder.targets.active import active_blobs, active_files, active_pictures, active_tags
from builder.targets.limits import too_large


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site asks of its collections beside that they are sound."""

    pages: PageOptions
    apps: tuple[AppOptions, ...]
    app_store: AppStore


class Judged(NamedTuple):
    """A collection, what is published of it in one piece (source and bytes), and what is wrong.

    `collection` is None after an error of the loader, whose `signature` it is.
    """

    collection: Collection | None
    apps: PublishedApps
    files: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]
    signature: str


def judge_collection(
    options: RegistryOptions, name: str, cache: Cache, rules: Rules, folder: Folder | None = None
) -> Judged:
    """Load a collection, unpack its apps, and hold it against what the site's host takes.

    `folder` is what a walk has just found of it; without, it is walked now.
    """
    loaded = load_collection(options, name, cache, folder)
    collection = loaded.collection
    if collection is None:
        return Judged(None, PublishedApps(name), (), loaded.problems, loaded.signature)
    apps, faults = publish_apps(collection, rules.apps, rules.app_store)
    files = tuple(_large_files(collection, options, rules))
    problems = (
        *loaded.problems,
        *faults,
        *too_large(rules.pages.capabilities, files),
        *unreachable(collection, rules.pages),
        *_active(collection, apps, options, rules),
    )
    return Judged(collection, apps, files, problems, loaded.signature)


def judge_of(config: Config) -> Judge:
    """Return the judge for the site that `config` is of."""
    rules = Rules(config.pages, config.apps, AppStore(config.cache / "apps"))

    def judge(options: RegistryOptions, name: str, cache: Cache) -> Iterator[Problem]:
        judged = judge_collection(options, name, cache, rules)
        yield from judged.problems
        lists = options.source / options.collections
        theirs = [_page(options, f"{name}/{app}") for app in judged.apps.apps
                  if (lists / name / app).is_dir()]  # fmt: skip
        mine = [*judged.apps.claims()]
        if judged.collection is not None and not _has_tags(lists / name):
            mine += _claims(options, judged.collection)
            theirs += [*_site_claims(config), *_claims_above(options, name, cache, rules)]
        known = set(clashes(theirs))  # which are not this collection's
        yield from (problem for problem in clashes((*mine, *theirs)) if problem not in known)

    return judge


def _page(options: RegistryOptions, name: str) -> Claim:
    return Claim(f"{name}/index.html", f"{options.collections}/{name}/{README}")


def _has_tags(folder: Path) -> bool:
    """Tell whether a folder was a collection with tags before."""
    return (folder / TAGS).is_dir() or (folder / MARKER).is_file()


def _claims(options: RegistryOptions, collection: Collection) -> Iterator[Claim]:
    """Yield where a collection is published, and where namespaces are that it brings."""
    # Only for new collections: the pages' code is half of a start's time.
    from builder.pages import plan  # noqa: PLC0415
    from builder.pages.render import namespace_claims, page_claims  # noqa: PLC0415

    name, origin = collection.name, collection.readme_path or collection.origin
    yield from page_claims(collection, plan.row(collection, {}))
    yield from collection_claims(name, origin)
    lists = options.source / options.collections
    for above in _above(name):
        if not any((lists / above).glob(f"**/{TAGS}")):
            yield from namespace_claims(Namespace(above, f"{options.collections}/{above}"))


def _above(name: str) -> list[str]:
    """Return the names of the folders that `name` lies in."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _site_claims(config: Config) -> Iterator[Claim]:
    """Yield where lists and the site's own documents are published, and collections' old names."""
    from builder.pages.lists import HOME, list_claims, search_claims  # noqa: PLC0415
    from builder.pages.render import document_claims  # noqa: PLC0415

    content = read_content(config.site, [])
    documents = tuple(content.documents.values())
    state = SiteState(documents=documents)
    yield from (*list_claims(state), *search_claims(state), *REGISTRY_CLAIMS)
    for document in documents:
        yield from document_claims(document) if document.output != HOME else ()
    yield from (Claim(path, file.source) for path, file in content.static.items())
    yield from (Claim(f"{old}/index.html", CONFIG) for old in config.redirects)


def _claims_above(
    options: RegistryOptions, name: str, cache: Cache, rules: Rules
) -> Iterator[Claim]:
    """Yield what collections that `name` lies below publish inside their folder."""
    for above in _above(name):
        if (options.source / options.collections / above / TAGS).is_dir():
            collection, apps, *_ = judge_collection(options, above, cache, rules)
            yield from apps.claims()
            for old in texts(collection.keys.get("redirect_from")) if collection else ():
                yield Claim(f"{old.strip('/')}/index.html", f"{options.collections}/{above}")


def _large_files(
    collection: Collection, options: RegistryOptions, rules: Rules
) -> Iterator[tuple[str, int]]:
    """Yield source and size of what is published in one piece; pages are small beside it."""
    for archives in collection.archives.values():
        yield from ((f"/{archive.path}", archive.size) for archive in archives)
    if rules.pages.own_host:  # else these are for another host, whose limits are its own
        places = collection.blobs.values()
        yield from ((_shown(options, place), place.size) for place in places if place.file)


def _active(
    collection: Collection, apps: PublishedApps, options: RegistryOptions, rules: Rules
) -> Iterator[Problem]:
    """Yield a problem for all that the host would run, or would show as a page."""
    capable = rules.pages.capabilities
    pullable = [tag for tag in collection.tags if tag.in_v2]
    yield from active_tags(capable, ((tag.origin, tag.name) for tag in pullable))
    yield from active_pictures(
        capable, (f"{collection.origin}/{path}" for path in collection.files)
    )
    for app in apps.apps.values():
        yield from active_files(capable, ((app.origin, path) for path in app.app.files))
    places = collection.blobs.values()
    yield from active_blobs(
        capable, ((_shown(options, place), place.file) for place in places if place.file)
    )


def _shown(options: RegistryOptions, place: BlobPlace) -> str:
    """Return the path that a blob has in the registry, or gets there; else its digest."""
    homes: list[tuple[Path | None, str]] = [(options.source, "")]
    if (staged := options.staged) is not None:
        origin = f"{options.collections}/{staged.name}/"
        homes = [(staged.folder, origin), (staged.store, f"{options.store}/"), *homes]
    for folder, label in homes:
        if folder and place.file and place.file.is_relative_to(folder):
            return f"{label}{place.file.relative_to(folder).as_posix()}"
    return place.digest
