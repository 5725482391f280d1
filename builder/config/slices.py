"""One frozen slice of options for each package, built from the merged keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from builder.apps.model import KEEP, AppOptions
from builder.config.flags import Flags
from builder.config.keys import parse_size
from builder.config.reader import Reader
from builder.documents.discover import CollectionOptions, Default, SiteOptions
from builder.errors import Problem, UsageError
from builder.oci.mediatype import APP_CONFIG, is_valid
from builder.pages.model import PageOptions
from builder.registry.model import RegistryOptions
from builder.storage.base import Offsite
from builder.targets.base import Address, Target
from builder.text.markdown import ENGINES, PYTHON_MARKDOWN

_APP_KEYS = frozenset({"name", "keep", "spa", "type"})

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})|[a-z]{3,30}")


def registry_options(
    flags: Flags,
    keys: Mapping[str, Any],
    source: Path,
    reader: Reader,
    environment: Mapping[str, str],
) -> RegistryOptions:
    """Return what concerns content."""
    said = reader.registry(keys)
    limit = parse_size(said["commit_below"]) if said.get("commit_below") is not None else None
    return RegistryOptions(
        source,
        offsite=_offsite(said, reader, environment),
        commit_below=8 << 20 if limit is None else limit,
        immutable=tuple(map(str, said.get("immutable") or ())),
        allow_missing=flags.allow_missing,
    )


def _offsite(
    said: Mapping[str, Any], reader: Reader, environment: Mapping[str, str]
) -> Offsite | None:
    """Return `registry.blobs`."""
    text, address = str(said.get("blobs") or "site"), str(said.get("blobs_url") or "")
    if text == "site" and not address:
        return None
    from builder.offsite import Bucket, open_offsite  # noqa: PLC0415 - brings all of HTTP in

    try:
        found = open_offsite(text, environment, address)
    except UsageError as error:
        reader.problem(("registry", "blobs"), f"registry.blobs: {error.message}", error.hint)
        return None
    if address and not isinstance(found, Bucket):
        message = "registry.blobs_url does nothing: registry.blobs names no bucket"
        reader.problem(("registry", "blobs_url"), message, warning=True)
    return found


def app_options(items: Any, reader: Reader) -> tuple[AppOptions, ...]:
    """Return `registry.apps`: names or patterns, or mappings with a name."""
    found = []
    for number, item in enumerate(items if isinstance(items, list) else []):
        at = ("registry", "apps", number)
        fields = item if isinstance(item, dict) else {"name": item}
        name, keep = fields.get("name"), fields.get("keep", KEEP)
        spa, kind = fields.get("spa", False), fields.get("type", APP_CONFIG)
        if not isinstance(name, str) or not name or fields.keys() - _APP_KEYS:
            keys = ", ".join(sorted(_APP_KEYS - {"name"}))
            reader.problem(at, f"registry.apps holds names, or mappings of name, {keys}")
        elif not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
            reader.problem(at, f"registry.apps: keep of {name!r} must be a number from 1")
        elif not isinstance(spa, bool):
            reader.problem(at, f"registry.apps: spa of {name!r} must be true or false")
        elif not isinstance(kind, str) or not is_valid(kind):
            reader.problem(at, f"registry.apps: type of {name!r} must be a media type")
        else:
            found.append(AppOptions(name, keep, spa, kind, reader.place(at)))
    return tuple(found)


def release_keys(items: Any, reader: Reader) -> tuple[str, ...]:
    """Return `registry.keys`, by their looks: whoever checks a signature reads them."""
    found = []
    for number, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, str) and re.fullmatch(r"[A-Za-z0-9+/]{43}=", item):
            found.append(item)
        else:
            message = "registry.keys holds public keys, 32 bytes in base64 each"
            hint = "'builder keygen --show FILE' prints one"
            reader.problem(("registry", "keys", number), message, hint)
    return tuple(found)


# What is read of the source folder besides content: a site in there would be its own source.
_READ = ("_layouts", "_includes", "_data", "_drafts", "_posts", "assets")


def output_folder(flags: Flags, keys: Mapping[str, Any], registry: RegistryOptions) -> Path:
    """Return the destination: a flag's seen from the current folder, else from the source's.

    Raises UsageError for one that the build would read.
    """
    if flags.destination:
        destination = Path(os.path.abspath(flags.destination))
    else:
        folder = registry.source / str(keys.get("destination") or "_site")
        destination = Path(os.path.normpath(folder))
    for name in (registry.collections, registry.store, *_READ):
        if destination.is_relative_to(registry.source / name):
            message = f"the destination {destination} lies in {name}/, which the site is made from"
            raise UsageError(message, "choose a folder of its own with --destination")
    return destination


def site_options(
    flags: Flags, keys: Mapping[str, Any], source: Path, reader: Reader, destination: Path
) -> SiteOptions:
    """Return what concerns the site's own files."""
    timezone = str(keys.get("timezone") or "UTC")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        reader.problem(("timezone",), f"timezone: {timezone!r} is not in the time zone database")
        timezone = "UTC"
    return SiteOptions(
        source,
        destination=str(destination),
        include=tuple(map(str, keys.get("include") or ())),
        exclude=tuple(map(str, keys.get("exclude") or ())),
        permalink=str(keys.get("permalink") or "pretty"),
        defaults=_defaults(keys.get("defaults") or [], reader),
        future=keys.get("future") is True,
        unpublished=keys.get("unpublished") is True,
        drafts=flags.drafts or keys.get("show_drafts") is True,
        timezone=timezone,
        collections=_jekyll_collections(keys.get("collections")),
    )


def _defaults(items: list[Any], reader: Reader) -> tuple[Default, ...]:
    found = []
    for number, item in enumerate(items):
        scope = item.get("scope") if isinstance(item, dict) else None
        values = item.get("values") if isinstance(item, dict) else None
        if not isinstance(scope, dict) or not isinstance(values, dict):
            message = "each of defaults must have a scope and values, both mappings"
            reader.problem(("defaults", number), message)
            continue
        found.append(Default(str(scope.get("path") or ""), str(scope.get("type") or ""), values))
    return tuple(found)


def _jekyll_collections(value: Any) -> dict[str, CollectionOptions]:
    if isinstance(value, list):
        return {str(name): CollectionOptions() for name in value}
    return {
        str(name): CollectionOptions(
            bool(options.get("output")), str(options.get("permalink") or "")
        )
        for name, options in (value or {}).items()
        if isinstance(options, dict)
    }


def _engine(keys: Mapping[str, Any], reader: Reader) -> str:
    """Return the Markdown engine: Jekyll's key, of which two values are known here."""
    said = str(keys.get("markdown") or PYTHON_MARKDOWN)
    if found := {name.lower(): name for name in ENGINES}.get(said.lower()):
        return found
    hint = f"write {' or '.join(ENGINES)}, or remove the key"
    reader.problem(("markdown",), f"markdown: unknown engine {said!r} here", hint)
    return PYTHON_MARKDOWN


def page_options(
    keys: Mapping[str, Any],
    address: Address,
    target: Target,
    reader: Reader,
    environment: Mapping[str, str],
) -> PageOptions:
    """Return what concerns pages: names, addresses and what the target can do."""
    parts = urlsplit(address.url)
    host = str(reader.registry(keys).get("host") or parts.netloc)
    repository = str(keys.get("repository") or environment.get("GITHUB_REPOSITORY", ""))
    if repository and "://" not in repository:
        repository = f"https://github.com/{repository}"
    _check_nav(keys, reader)
    return PageOptions(
        title=str(keys.get("title") or "Container registry"),
        description=str(keys.get("description") or ""),
        url=address.url,
        baseurl=address.baseurl,
        lang=str(keys.get("lang") or "en"),
        host=host,
        insecure=parts.scheme == "http" and host == parts.netloc,
        keys=keys,
        accent=_accent(keys, reader),
        markdown=_engine(keys, reader),
        repository=repository,
        branch=str(keys.get("branch") or "main"),
        layer_stores=tuple(_stores(reader.registry(keys))),
        capabilities=target.at(address),
    )


def _stores(said: Mapping[str, Any]) -> Iterator[str]:
    """Yield scheme and host of where layers are kept, as far as it is a web address."""
    for key in ("blobs", "blobs_url"):
        parts = urlsplit(str(said.get(key) or ""))
        if parts.scheme in ("http", "https"):
            yield f"{parts.scheme}://{parts.netloc}"


def page_links(keys: Mapping[str, Any], reader: Reader) -> Iterator[tuple[Problem, str]]:
    """Yield the addresses that every page leads to or shows, each with where it is said."""
    for key in ("logo", "image"):
        if isinstance(keys.get(key), str):
            yield reader.place((key,)), keys[key]
    nav = keys.get("nav")
    for number, item in enumerate(nav if isinstance(nav, list) else ()):
        if isinstance(item, dict) and item.get("url"):
            yield reader.place(("nav", number)), str(item["url"])


def _check_nav(keys: Mapping[str, Any], reader: Reader) -> None:
    """Report items of `nav` that a menu cannot be made of."""
    nav = keys.get("nav") or ()
    for number, item in enumerate(nav if isinstance(nav, list) else ()):
        if not (isinstance(item, dict) and item.get("title") and item.get("url")):
            message = f"nav: item {number + 1} has no title or no url"
            reader.problem(("nav", number), message, "write '- {title: About, url: /about/}'")


def _accent(keys: Mapping[str, Any], reader: Reader) -> str:
    """Return the colour of links and buttons, as CSS takes it; empty for the theme's own."""
    value = str(keys.get("accent") or "")
    if "accent" in keys and not value:
        hint = "write the colour in quotes, as '#0b6b5f': without them, # begins a comment"
        reader.problem(("accent",), "accent is empty", hint, warning=True)
    if value and not _COLOUR.fullmatch(value):
        reader.problem(("accent",), f"{value!r} is not a colour", "write '#0b6b5f' or a CSS name")
        return ""
    return value
