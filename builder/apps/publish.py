"""Apps unpacked into the site: `/NAME/VERSION/` for the newest versions, `latest` as an alias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.apps.model import App, AppOptions, is_app, media_type_of, options_for, parse_config
from builder.apps.unpack import AppStore
from builder.errors import ContentError, Problem
from builder.oci.descriptor import Descriptor
from builder.output import Claim, File, Output, Redirect
from builder.registry.model import Collection, Tag

LATEST = "latest"
# A missing path below a folder that has one is answered by it: with 200, or with 404.
FOUND_PAGE, MISSING_PAGE = "200.html", "404.html"


@dataclass(frozen=True, slots=True)
class PublishedApps:
    """The apps of one collection: unpacked ones by tag, and the tag that `latest` stands for."""

    name: str
    origin: str
    apps: dict[str, App] = field(default_factory=dict)
    alias: str = ""

    def urls(self) -> dict[str, str]:
        """Return the URL below the site's base for each tag that is unpacked."""
        return {tag: f"/{self.name}/{tag}/" for tag in self.apps}

    def claims(self) -> tuple[Claim, ...]:
        """Return the folders that the apps own."""
        tags = [*self.apps, *([LATEST] if self.alias else [])]
        return tuple(Claim(f"{self.name}/{tag}/", self.origin) for tag in tags)

    def outputs(self, store: AppStore, baseurl: str) -> Iterator[Output]:
        """Yield every file of every app, and the alias."""
        for tag, app in self.apps.items():
            yield from self._app(f"{self.name}/{tag}", app, store)
        if self.alias:
            to = Redirect(f"{baseurl}/{self.name}/{self.alias}/")
            yield Output(f"{self.name}/{LATEST}/index.html", "text/html", to, self.origin)

    def _app(self, folder: str, app: App, store: AppStore) -> Iterator[Output]:
        files = dict(app.files)
        index = files["index.html"]
        if app.config.spa:
            files.setdefault(FOUND_PAGE, index)
            files.setdefault(MISSING_PAGE, index)
        for path, file in files.items():
            kind = media_type_of(path)
            # The site's policy would forbid an app its own scripts and styles.
            headers = (("Content-Security-Policy", ""),) if kind == "text/html" else ()
            body = File(store.path(file), file.size, file.digest)
            yield Output(f"{folder}/{path}", kind, body, self.origin, "", headers)


def publish_apps(
    collection: Collection,
    listed: Sequence[AppOptions],
    store: AppStore,
    newest_first: Sequence[Tag],
) -> tuple[PublishedApps, tuple[Problem, ...]]:
    """Unpack the apps of a collection that the configuration lists.

    `newest_first` are its tags in the order that decides which stay unpacked.
    Returns what is wrong with them too.
    """
    result = PublishedApps(collection.name, collection.origin)
    options = options_for(collection.name, listed)
    if options is None:
        return result, ()
    tags = [tag for tag in newest_first if tag.in_v2 and is_app(tag.manifest)]
    if not tags:
        message = "registry.apps lists this collection, which holds no web app"
        return result, (Problem(collection.origin, message=message, warning=True),)
    problems: list[Problem] = []
    named = [tag for tag in tags if tag.name != LATEST]
    for tag in [*(tag for tag in tags if tag.name == LATEST), *named[: options.keep]]:
        try:
            result.apps[tag.name] = _unpacked(collection, tag, store)
        except ContentError as error:
            problems += error.problems
    alias = "" if LATEST in result.apps or not named else named[0].name
    alias = alias if alias in result.apps else ""
    return PublishedApps(result.name, result.origin, result.apps, alias), tuple(problems)


def _unpacked(collection: Collection, tag: Tag, store: AppStore) -> App:
    manifest = tag.manifest
    if manifest is None or manifest.config is None:
        raise ContentError.at(tag.origin, "the tag has no manifest")
    config = parse_config(_path(collection, tag, manifest.config).read_bytes(), tag.origin)
    layers = [lambda layer=layer: _path(collection, tag, layer) for layer in manifest.layers]
    return store.unpack(manifest.digest, config, layers, tag.origin)


def _path(collection: Collection, tag: Tag, descriptor: Descriptor) -> Path:
    place = collection.blobs.get(descriptor.digest)
    if place is None or place.file is None:
        message = f"the app's {descriptor.digest} lies elsewhere, so that it cannot be unpacked"
        hint = "raise registry.commit_below, or take it off registry.apps"
        raise ContentError.at(tag.origin, message, hint)
    return place.file
