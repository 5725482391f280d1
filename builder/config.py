"""`_config.yml` and the command line, turned into one frozen slice for each package.

Several files merge deeply, later ones winning. Every problem is reported at
once, with file and line. Nothing below the pipeline may name `Config`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from builder.apps.model import KEEP, AppOptions
from builder.content import epoch
from builder.errors import ContentError, Problem, did_you_mean
from builder.frontmatter import KeyPath, decode, load_yaml
from builder.oci.mediatype import APP_CONFIG, is_valid
from builder.registry.model import RegistryOptions
from builder.site.discover import CollectionOptions, Default, SiteOptions
from builder.site.model import PageOptions
from builder.targets import open_target
from builder.targets.base import Address, Target

CONFIG = "_config.yml"
MAX_CONFIG = 1 << 20

_TEXT, _FLAG, _LIST, _MAP, _SIZE, _ANY = "a text", "true or false", "a list", "a mapping", "", "any"

# Every key that is known, with what it must be; documented in docs/reference/config.md.
KEYS: Mapping[str, str] = {
    "title": _TEXT,
    "description": _TEXT,
    "url": _TEXT,
    "baseurl": _TEXT,
    "lang": _TEXT,
    "permalink": _TEXT,
    "defaults": _LIST,
    "include": _LIST,
    "exclude": _LIST,
    "collections": _MAP,
    "timezone": _TEXT,
    "source": _TEXT,
    "destination": _TEXT,
    "future": _FLAG,
    "unpublished": _FLAG,
    "show_drafts": _FLAG,
    "repository": _TEXT,
    "branch": _TEXT,
    "registry": _MAP,
}
REGISTRY_KEYS: Mapping[str, str] = {
    "target": _TEXT,
    "host": _TEXT,
    "blobs": _TEXT,
    "commit_below": _SIZE,
    "immutable": _LIST,
    "redirects": _MAP,
    "apps": _LIST,
    "schema1": _FLAG,
    "archives": _FLAG,
}
# Part of the format, not of this version: accepted with a warning, so that nobody is misled.
_LATER = ("schema1", "archives")
_APP_KEYS = frozenset({"name", "keep", "spa", "type"})
_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
          "kb": 10**3, "mb": 10**6, "gb": 10**9}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; empty texts and None mean: not said."""

    source: str = "."
    destination: str = ""
    configs: tuple[str, ...] = ()
    url: str | None = None
    baseurl: str | None = None
    target: str = ""
    drafts: bool = False
    allow_missing: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, as slices. Paths are absolute."""

    source: Path
    destination: Path
    target: Target
    address: Address
    registry: RegistryOptions
    site: SiteOptions
    pages: PageOptions
    redirects: Mapping[str, str] = field(default_factory=dict)
    apps: tuple[AppOptions, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def cache(self) -> Path:
        """The folder of caches and records."""
        return self.source / ".builder-cache"


def load_config(flags: Flags, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration for a run.

    `environment` (default: the process's) gives `GITHUB_REPOSITORY`. Raises
    ContentError with every problem of every file.
    """
    environment = os.environ if environment is None else environment
    source = Path(flags.source).absolute()
    reader = _Reader(source)
    keys = reader.read(flags.configs)
    if "source" in keys and flags.source == ".":
        source = (source / str(keys["source"])).resolve()
    if not source.is_dir():
        message = "there is no such folder"
        raise ContentError.at(flags.source, message, "give the registry's folder with --source")
    address = _address(flags, keys, source, environment, reader)
    target = open_target(flags.target or str(reader.registry(keys).get("target") or "plain"))
    registry = _registry_options(flags, keys, source, reader)
    site = _site_options(flags, keys, source, reader)
    apps = _app_options(reader.registry(keys).get("apps") or [], reader)
    reader.stop_on_errors()
    destination = Path(flags.destination or str(keys.get("destination") or "_site"))
    return Config(
        source,
        source / destination,
        target,
        address,
        registry,
        site,
        _page_options(keys, address, target, reader, environment),
        {str(old): str(new) for old, new in (reader.registry(keys).get("redirects") or {}).items()},
        apps,
        tuple(reader.files),
        tuple(reader.problems),
    )


class _Reader:
    """Reads and merges the files; remembers where each key was said."""

    def __init__(self, source: Path) -> None:
        self.problems: list[Problem] = []
        self.files: list[Path] = []
        self._source = source
        self._lines: dict[KeyPath, tuple[str, int]] = {}

    def read(self, names: Sequence[str]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for name in names or (CONFIG,):
            path = self._source / name
            if not path.is_file():
                if names:
                    self.problems.append(Problem(name, message="there is no such file"))
                continue
            self.files.append(path)
            try:
                self._merge_file(path, name, merged)
            except ContentError as error:
                self.problems.extend(error.problems)
        self._check(merged)
        self.stop_on_errors()
        return merged

    def _merge_file(self, path: Path, name: str, merged: dict[str, Any]) -> None:
        raw = path.read_bytes()
        if len(raw) > MAX_CONFIG:
            raise ContentError.at(name, f"is too large: the limit is {MAX_CONFIG} bytes")
        document = load_yaml(decode(raw, name), name)
        if document.value is None:
            return
        if not isinstance(document.value, dict):
            raise ContentError.at(name, "must be a mapping of keys to values", line=1)
        self._lines.update({at: (name, line) for at, line in document.lines.items()})
        _deep_merge(merged, document.value)

    def registry(self, keys: Mapping[str, Any]) -> Mapping[str, Any]:
        value = keys.get("registry")
        return value if isinstance(value, dict) else {}

    def problem(self, at: KeyPath, message: str, hint: str = "", *, warning: bool = False) -> None:
        place = self.place(at)
        self.problems.append(replace(place, message=message, hint=hint, warning=warning))

    def place(self, at: KeyPath) -> Problem:
        """Return a problem without words where a key was said."""
        return Problem(*self._lines.get(at, (CONFIG, 0)))

    def stop_on_errors(self) -> None:
        if any(not problem.warning for problem in self.problems):
            raise ContentError(self.problems)

    def _check(self, keys: Mapping[str, Any]) -> None:
        for key, value in keys.items():
            if key in KEYS:
                self._check_kind((key,), value, KEYS[key])
            elif hint := did_you_mean(key, KEYS):
                self.problem((key,), f"unknown key {key!r}", f"{hint} Rename it if it is your own.")
        for key, value in self.registry(keys).items():
            if key not in REGISTRY_KEYS:
                known = ", ".join(REGISTRY_KEYS)
                hint = did_you_mean(key, REGISTRY_KEYS) or f"known keys: {known}"
                self.problem(("registry", key), f"unknown key 'registry.{key}'", hint)
            else:
                self._check_kind(("registry", key), value, REGISTRY_KEYS[key])
                if key in _LATER and value:
                    text = f"registry.{key} does nothing in this version"
                    self.problem(("registry", key), text, warning=True)

    def _check_kind(self, at: KeyPath, value: Any, kind: str) -> None:
        if value is None:
            return
        fits = {
            _TEXT: isinstance(value, str | int) and not isinstance(value, bool),
            _FLAG: isinstance(value, bool),
            _LIST: isinstance(value, list),
            _MAP: isinstance(value, dict) or (at == ("collections",) and isinstance(value, list)),
            _SIZE: parse_size(value) is not None,
        }
        if not fits[kind]:
            wanted = kind or "a size such as '8 MiB'"
            self.problem(at, f"{'.'.join(map(str, at))} must be {wanted}")


def _deep_merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _deep_merge(into[key], value)
        else:
            into[key] = value


def parse_size(value: Any) -> int | None:
    """Return `8 MiB` or a number as bytes, or None for what is no size."""
    found = re.fullmatch(r"(\d{1,15})\s*([A-Za-z]{0,3})", str(value).strip())
    if found is None or found[2].lower() not in _UNITS:
        return None
    return int(found[1]) * _UNITS[found[2].lower()]


def _address(
    flags: Flags,
    keys: Mapping[str, Any],
    source: Path,
    environment: Mapping[str, str],
    reader: _Reader,
) -> Address:
    guess = _github_address(source, environment)
    said_url = flags.url if flags.url is not None else keys.get("url")
    said_base = flags.baseurl if flags.baseurl is not None else keys.get("baseurl")
    url = str(said_url or "").rstrip("/")
    base = str(said_base) if said_base is not None else ("" if url else guess.baseurl)
    url = url or guess.url
    if url and not _is_site_url(url):
        message = "url must be http(s)://HOST without a user, password, path or query"
        reader.problem(("url",), message, "put a path into baseurl")
        url = ""
    base = "/" + base.strip("/") if base.strip("/") else ""
    if re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", base) is None or {".", ".."} & set(base.split("/")):
        reader.problem(("baseurl",), "baseurl must be a path such as /registry")
        base = ""
    return Address(url, base)


def _is_site_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    name = re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?", parts.netloc)
    return parts.scheme in ("http", "https") and plain and name is not None


def _github_address(source: Path, environment: Mapping[str, str]) -> Address:
    """Return where GitHub Pages serves this repository, as the CI's variables tell it."""
    owner, slash, name = environment.get("GITHUB_REPOSITORY", "").partition("/")
    if not slash or re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", f"{owner}/{name}") is None:
        return Address()
    cname = source / "CNAME"
    if cname.is_file():
        domain = cname.read_text("utf-8", "replace").strip()
        if re.fullmatch(r"[A-Za-z0-9.-]+", domain):
            return Address(f"https://{domain}", "")
    host = f"{owner.lower()}.github.io"
    return Address(f"https://{host}", "" if name.lower() == host else f"/{name}")


def _registry_options(
    flags: Flags, keys: Mapping[str, Any], source: Path, reader: _Reader
) -> RegistryOptions:
    said = reader.registry(keys)
    blobs = str(said.get("blobs") or "site")
    if blobs != "site" and not re.fullmatch(r"https://[^\s\"'<>@?#]+", blobs):
        hint = "write 'site', or the https:// address that serves them"
        reader.problem(("registry", "blobs"), f"registry.blobs: {blobs!r} is no known place", hint)
    limit = parse_size(said["commit_below"]) if said.get("commit_below") is not None else None
    return RegistryOptions(
        source,
        blobs=blobs,
        commit_below=8 << 20 if limit is None else limit,
        immutable=tuple(map(str, said.get("immutable") or ())),
        allow_missing=flags.allow_missing,
    )


def _app_options(items: Any, reader: _Reader) -> tuple[AppOptions, ...]:
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


def _site_options(
    flags: Flags, keys: Mapping[str, Any], source: Path, reader: _Reader
) -> SiteOptions:
    timezone = str(keys.get("timezone") or "UTC")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        reader.problem(("timezone",), f"timezone: {timezone!r} is not in the time zone database")
        timezone = "UTC"
    return SiteOptions(
        source,
        destination=flags.destination or str(keys.get("destination") or "_site"),
        include=tuple(map(str, keys.get("include") or ())),
        exclude=tuple(map(str, keys.get("exclude") or ())),
        permalink=str(keys.get("permalink") or "pretty"),
        defaults=_defaults(keys.get("defaults") or [], reader),
        future=keys.get("future") is True,
        unpublished=keys.get("unpublished") is True,
        drafts=flags.drafts or keys.get("show_drafts") is True,
        timezone=timezone,
        collections=_jekyll_collections(keys.get("collections")),
        now=epoch(),
    )


def _defaults(items: list[Any], reader: _Reader) -> tuple[Default, ...]:
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


def _page_options(
    keys: Mapping[str, Any],
    address: Address,
    target: Target,
    reader: _Reader,
    environment: Mapping[str, str],
) -> PageOptions:
    parts = urlsplit(address.url)
    host = str(reader.registry(keys).get("host") or parts.netloc)
    repository = str(keys.get("repository") or environment.get("GITHUB_REPOSITORY", ""))
    if repository and "://" not in repository:
        repository = f"https://github.com/{repository}"
    return PageOptions(
        title=str(keys.get("title") or "Container registry"),
        description=str(keys.get("description") or ""),
        url=address.url,
        baseurl=address.baseurl,
        lang=str(keys.get("lang") or "en"),
        host=host,
        insecure=parts.scheme == "http" and host == parts.netloc,
        keys=keys,
        repository=repository,
        branch=str(keys.get("branch") or "main"),
        capabilities=target.at(address),
    )
