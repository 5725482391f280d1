"""`_config.yml` and the command line, turned into one frozen slice for each package.

Several files merge deeply, later ones winning. Every problem is reported at
once, with file and line. Nothing below the pipeline may name `Config`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builder.apps.model import AppOptions
from builder.config.address import read_address
from builder.config.companions import companion_options, warn_of_project_page
from builder.config.flags import Flags
from builder.config.keys import KEYS, REGISTRY_KEYS, parse_size
from builder.config.mirrors import mirror_options
from builder.config.reader import CONFIG, Reader
from builder.config.slices import (
    app_options,
    output_folder,
    page_links,
    page_options,
    registry_options,
    release_keys,
    site_options,
)
from builder.documents.discover import SiteOptions
from builder.errors import ContentError, Problem
from builder.pages.model import PageOptions
from builder.registry.model import RegistryOptions
from builder.sync.model import Mirror
from builder.targets import open_target
from builder.targets.base import Address, Target

__all__ = ["CONFIG", "KEYS", "REGISTRY_KEYS", "Config", "Flags", "load_config", "parse_size",
           "registry_at"]  # fmt: skip


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
    redirects: Mapping[str, str] = field(default_factory=dict)  # without slashes around names
    apps: tuple[AppOptions, ...] = ()
    keys: tuple[str, ...] = ()  # public keys of releases, base64
    engines: tuple[str, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()
    links: tuple[
        tuple[Problem, str], ...
    ] = ()  # where each is said, with what to say if nothing is at the address

    @property
    def cache(self) -> Path:
        """The folder of caches and records."""
        return self.source / ".builder-cache"


def load_config(flags: Flags, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration for a run.

    `environment` (default: the process's) gives what the CI says of itself. Raises
    ContentError with every problem of every file.
    """
    environment = os.environ if environment is None else environment
    reader = Reader(Path(flags.source).absolute())
    keys = reader.read(flags.configs)
    source = _source(flags, keys)
    if not source.is_dir():
        message = "there is no such folder"
        raise ContentError.at(flags.source, message, "give the registry's folder with --source")
    target = open_target(flags.target or str(reader.registry(keys).get("target") or "plain"))
    name = target.capabilities.name
    address = read_address(flags, keys, source, environment, reader, target=name)
    registry = registry_options(flags, keys, source, reader, environment)
    destination = output_folder(flags, keys, registry)
    site = site_options(flags, keys, source, reader, destination)
    apps = app_options(reader.registry(keys).get("apps") or [], reader)
    public_keys = release_keys(reader.registry(keys).get("keys") or [], reader)
    mirrors = mirror_options(reader.registry(keys).get("sync") or [], reader)
    pages = page_options(keys, address, target, reader, environment)
    redirects = _redirects(reader, keys)
    registry = replace(registry, companions=companion_options(keys, pages, reader))
    warn_of_project_page(pages, reader)
    reader.stop_on_errors()
    return Config(
        source,
        destination,
        target,
        address,
        registry,
        site,
        pages,
        redirects,
        apps,
        public_keys,
        tuple(map(str, reader.registry(keys).get("engines") or ())),
        mirrors,
        tuple(reader.files),
        tuple(reader.problems),
        (*page_links(keys, reader), *_moved(redirects, keys, reader)),
    )


def registry_at(
    flags: Flags, texts: Mapping[str, bytes]
) -> tuple[RegistryOptions, Mapping[str, str]]:
    """Return what configuration files of another commit say about content, and of old names.

    `texts` are the files' bytes by name, later ones winning. Raises
    ContentError with every problem of them.
    """
    reader = Reader(Path(flags.source).absolute())
    keys = reader.merge(texts)
    options = registry_options(flags, keys, _source(flags, keys), reader, os.environ)
    redirects = _redirects(reader, keys)
    reader.stop_on_errors()
    return options, redirects


def _redirects(reader: Reader, keys: Mapping[str, Any]) -> dict[str, str]:
    """Return the new names of collections by their old ones; one that moved twice has the last."""
    said = {
        str(old).strip("/"): str(new).strip("/")
        for old, new in (reader.registry(keys).get("redirects") or {}).items()
    }
    found = dict(said)
    for old, new in said.items():
        for _ in said:
            found[old] = said.get(found[old], found[old])
        if found[old] in said:
            message = f"registry.redirects: {old!r} leads to {new!r}, which leads back"
            reader.problem(("registry", "redirects", old), message, "remove one", warning=True)
    return found


def _moved(
    redirects: Mapping[str, str], keys: Mapping[str, Any], reader: Reader
) -> Iterator[tuple[Problem, str]]:
    """Yield where old names lead."""
    for said in reader.registry(keys).get("redirects") or {}:
        place, old = reader.place(("registry", "redirects", said)), str(said).strip("/")
        new = redirects[old]
        message = f"registry.redirects: {old!r} leads to {new!r}, which is not here"
        hint = "name a collection, or remove the line"
        yield replace(place, message=message, hint=hint), f"/{new}/"


def _source(flags: Flags, keys: Mapping[str, Any]) -> Path:
    """Return the registry's folder: `source:` counts where the command line says nothing."""
    source = Path(flags.source).absolute()
    if "source" in keys and flags.source == ".":
        return Path(os.path.realpath(source / str(keys["source"])))
    return source
