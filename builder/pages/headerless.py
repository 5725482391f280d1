"""Ways around what a host cannot do: companion tags, single images, archives, the proxy.

Single images for clients that guess, companion tags for those that take an
untyped manifest for Docker schema 1, archives for all the others; see
`registry.companions`. Archives are there for hosts of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builder import clients
from builder.pages.address import Client, Command, TagAddress
from builder.registry.companions import platform_suffix
from builder.registry.model import Archive, Collection, Companion, Tag

_MAX_PLATFORMS = 8
_LOADS = {
    "docker": "curl -fL {} | docker load",
    "podman": "podman load -i {}",
    "ctr": "curl -fL {} | ctr images import -",
}
_OLD = "is the image as a Docker schema 1 manifest, the only kind that needs no media type."


@dataclass(frozen=True, slots=True)
class CompanionLine:
    """A companion tag: its name, what it is, and the platform where there are several."""

    name: str
    digest: str
    kind: str
    platform: str


@dataclass(frozen=True, slots=True)
class ArchiveLine:
    """An archive to download: a path below the site's base, and bytes."""

    url: str
    size: int
    platform: str


def companion_lines(collection: Collection, tag: Tag) -> tuple[CompanionLine, ...]:
    """Return what the page of a tag says of its companions."""
    return tuple(
        CompanionLine(
            item.name, item.digest, "schema1" if item.schema1 else "platform", item.platform
        )
        for item in collection.companions.get(tag.name, ())
    )


def archive_lines(collection: Collection, tag: Tag) -> tuple[ArchiveLine, ...]:
    """Return what the page of a tag says of its archives."""
    return tuple(
        ArchiveLine(f"/{item.path}", item.size, item.platform)
        for item in collection.archives.get(tag.name, ())
    )


def pulls(at: TagAddress, family: str, form: Callable[[str], str]) -> tuple[Command, ...]:
    """Return how a client that pulls by reference gets the tag, or what is there in its place.

    That is the tag itself; else each image of an index; else its companions.
    """
    if at.reaches(family):
        return at.both(form)
    if at.is_multi and at.reaches(family, clients.SINGLE):
        return tuple(Command(platform, form(ref)) for platform, ref in _platforms(at))
    if family == clients.PODMAN and at.reaches(family, clients.SCHEMA1):
        return tuple(
            Command(f"by {by}{_on(item)}", form(ref))
            for item in _schema1(at)
            for by, ref in (("tag", at.named(item.name)), ("digest", at.hashed(item.digest)))
        )
    return ()


def note(at: TagAddress, family: str) -> str:
    """Return what a companion is, where that is what a client pulls."""
    found = _schema1(at)
    return f"{found[0].name} {_OLD}" if found and not at.reaches(family) else ""


def old_docker(at: TagAddress) -> Iterator[Command]:
    """Yield how old releases of Docker pull companions."""
    if at.reaches(clients.DOCKER, clients.SCHEMA1):
        for item in _schema1(at):
            label = f"Docker up to 20.10{_on(item)}"
            yield Command(label, f"docker pull {at.named(item.name)}")


def loads(at: TagAddress, program: str, label: str = "archive") -> tuple[Command, ...]:
    """Return how `docker`, `podman` or `ctr` loads the tag's archives."""
    archives = at.collection.archives.get(at.tag.name, ())[:_MAX_PLATFORMS]
    return tuple(
        Command(f"{label}{_on(item)}", _LOADS[program].format(f"{at.site}/{item.path}"))
        for item in archives
    )


def archive(at: TagAddress) -> Client | None:
    """Return how an archive is loaded, for tags that nobody needs one of to pull."""
    if not at.reaches(clients.DOCKER):
        return None
    commands = (
        *loads(at, "docker", "Docker"), *loads(at, "podman", "Podman"),
        *loads(at, "ctr", "containerd"),
    )  # fmt: skip
    return Client("archive", "Archive", commands) if commands else None


def _platforms(at: TagAddress) -> Iterator[tuple[str, str]]:
    """Yield the platforms of an index with a reference of each: a tag if there is one."""
    collection, tag = at.collection, at.tag
    made = {item.name for item in at.companions if not item.schema1}
    images = collection.images(tag.manifest) if tag.manifest is not None else ()
    for item in images[:_MAX_PLATFORMS]:
        digest = item.descriptor.digest
        if item.manifest is None or item.platform is None:
            continue
        name = f"{tag.name}{platform_suffix(item.platform)}"
        real = collection.tag(name)
        same = real is not None and real.manifest is not None and real.manifest.digest
        is_tag = name in made or same == digest
        yield str(item.platform), at.named(name) if is_tag else at.hashed(digest)


def _schema1(at: TagAddress) -> tuple[Companion, ...]:
    return tuple(item for item in at.companions if item.schema1)[:_MAX_PLATFORMS]


def _on(item: Companion | Archive) -> str:
    return f", {item.platform}" if item.platform else ""
