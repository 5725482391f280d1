"""Apps unpacked into the site: `/NAME/VERSION/` for the newest versions, and `/NAME/latest/`.

`latest` is published as files, not as redirects: so it works alike on every
host, with deep links and with whatever an app's own scripts ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import BinaryIO

from builder.apps.model import (
    App,
    AppOptions,
    address_fault,
    find_app,
    options_for,
    parse_config,
)
from builder.apps.store import AppStore
from builder.apps.unpack import PAGE, measure, unpack
from builder.errors import ContentError, Problem, did_you_mean
from builder.oci import mediatype
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import Manifest
from builder.output import FALLBACKS, Claim, File, Output
from builder.pages import plan
from builder.registry.model import Collection, Tag
from builder.storage.local import open_regular

LATEST = "latest"
# A missing path below a folder that has one is answered by it: with 200, or with 404.
FOUND_PAGE, MISSING_PAGE = FALLBACKS


@dataclass(frozen=True, slots=True)
class PublishedApp:
    """An app at one address; `origin` is the source path of its tag."""

    app: App
    spa: bool
    origin: str


@dataclass(frozen=True, slots=True)
class PublishedApps:
    """The apps of one collection: unpacked ones by version, and those that stay packed.

    `keep` is how many versions the configuration wants unpacked.
    """

    name: str
    apps: Mapping[str, PublishedApp] = field(default_factory=dict)
    packed: tuple[str, ...] = ()

    def urls(self) -> dict[str, str]:
        """Return where each tag's app is below the site's base; empty for what stays packed."""
        return {tag: f"/{self.name}/{tag}/" for tag in self.apps} | dict.fromkeys(self.packed, "")

    def claims(self) -> tuple[Claim, ...]:
        """Return the folders that the apps own."""
        return tuple(
            Claim(f"{self.name}/{version}/", item.origin) for version, item in self.apps.items()
        )

    def outputs(self, store: AppStore) -> Iterator[Output]:
        """Yield every file of every app."""
        for version, item in self.apps.items():
            files = dict(item.app.files)
            if item.spa:
                files.setdefault(FOUND_PAGE, files[PAGE])
                files.setdefault(MISSING_PAGE, files[PAGE])
            for path, file in files.items():
                kind = mediatype.with_charset(mediatype.of_file(path))
                # The site's policy would forbid an app its own scripts and styles.
                headers = (("Content-Security-Policy", ""),) if "html" in kind else ()
                body = File(store.path(item.app.manifest, file), file.size, file.digest)
                where = f"{self.name}/{version}/{path}"
                yield Output(where, kind, body, item.origin, headers=headers)


def publish_apps(
    collection: Collection, listed: Sequence[AppOptions], store: AppStore | None
) -> tuple[PublishedApps, tuple[Problem, ...]]:
    """Unpack the apps of a collection that the configuration lists.

    Returns what is wrong with them too, which is all that is to be had
    without a `store`.
    """
    options = options_for(collection.name, listed)
    if options is None:
        return PublishedApps(collection.name), ()
    unpacked = _UnpackedApps(collection, options, store)
    newest_first = plan.sort_tags(collection.tags)
    found = [(tag, app) for tag in newest_first if (app := unpacked.app_of(tag)) is not None]
    if not found:
        message = "registry.apps lists this collection, which holds no web app"
        hint = "'builder bundle' makes one; an app with a config of its own type needs 'type'"
        return PublishedApps(collection.name), (
            Problem(collection.origin, message=message, hint=hint, warning=True),
        )
    versions = [item for item in found if item[0].name != LATEST]
    wanted = [item for item in found if item[0].name == LATEST] + versions[: options.keep]
    apps: dict[str, PublishedApp] = {}
    problems: list[Problem] = []
    for tag, manifest in wanted:
        try:
            apps[tag.name] = unpacked.unpacked(tag, manifest)
        except ContentError as error:
            problems += error.problems
    if LATEST not in apps and apps:
        newest = next((tag for tag, _ in versions if not tag.yanked), versions[0][0]).name
        apps.update({LATEST: apps[newest]} if newest in apps else {})
    packed = tuple(tag.name for tag, _ in versions[options.keep :])
    return PublishedApps(collection.name, apps, packed), tuple(problems)


def unmatched(listed: Sequence[AppOptions], names: Sequence[str]) -> Iterator[Problem]:
    """Yield a warning for each entry of `registry.apps` that no collection answers to."""
    for item in listed:
        if not any(fnmatchcase(name, item.name) for name in names):
            message = f"registry.apps: there is no collection {item.name!r}"
            hint = did_you_mean(item.name, names)
            yield replace(item.where, message=message, hint=hint, warning=True)


class _UnpackedApps:
    """The content of one collection, as far as apps are concerned."""

    def __init__(self, collection: Collection, options: AppOptions, store: AppStore | None) -> None:
        self._collection = collection
        self._options = options
        self._store = store

    def app_of(self, tag: Tag) -> Manifest | None:
        """Return the app that a tag holds, in an index or as it is."""
        if not tag.in_v2:
            return None
        manifests = self._collection.manifests
        return find_app(tag.manifest, lambda item: manifests.get(item.digest), self._options.type)

    def unpacked(self, tag: Tag, manifest: Manifest) -> PublishedApp:
        """Return the app of a tag; raises ContentError naming the tag for what cannot be."""
        if fault := address_fault(self._collection.name, tag.name):
            raise ContentError.at(tag.origin, fault, "use another name, or take it off the list")
        if manifest.config is None:
            raise ContentError.at(tag.origin, "the app has no config")
        config = parse_config(read_verified(self, manifest.config, tag.origin), tag.origin)
        layers = manifest.layers
        if self._store is not None:
            app = self._store.unpack(manifest.digest, config, layers, self, tag.origin)
        else:
            files = unpack(layers, self, config.root, measure, tag.origin)
            app = App(manifest.digest, config, files)
        return PublishedApp(app, config.spa or self._options.spa, tag.origin)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob of the collection; raises FileNotFoundError."""
        place = self._collection.blobs.get(descriptor.digest)
        if place is None or place.file is None:
            hint = "raise registry.commit_below, or take the app off registry.apps"
            message = f"{descriptor.digest} lies elsewhere, so that the app cannot be unpacked"
            raise ContentError.at(self._collection.origin, message, hint)
        return open_regular(place.file, str(place.file))
