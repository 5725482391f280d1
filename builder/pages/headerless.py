"""How to get a tag from a host that gives every file the same media type.

Single images for clients that guess, companion tags for those that take an
untyped manifest for Docker schema 1, archives for all the others; see
`registry.companions`. Archives are there for hosts of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builder.pages.wanted import PLACEHOLDER, Client, Command, Wanted
from builder.registry.companions import platform_suffix
from builder.registry.model import Archive, Collection, Companion, Tag

_MAX_PLATFORMS = 8
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


def docker(wanted: Wanted) -> Client | None:
    """Return how Docker loads an archive, and how its old releases pull."""
    commands = [*_loads(wanted, _docker_load)]
    commands += [
        Command(f"Docker up to 20.10{_on(item)}", f"docker pull {wanted.named(item.name)}")
        for item in _schema1(wanted)
    ]
    return Client("docker", "Docker", tuple(commands)) if commands else None


def podman(wanted: Wanted) -> Client | None:
    """Return how Podman pulls a companion or loads an archive."""
    flag = wanted.flag("--tls-verify=false")
    commands = (*_pulls(wanted, lambda ref: f"podman pull{flag} {ref}"),
                *_loads(wanted, _podman_load))  # fmt: skip
    return Client("podman", "Podman", commands, _note(wanted)) if commands else None


def buildah(wanted: Wanted) -> Client | None:
    """Return how Buildah pulls a companion."""
    flag = wanted.flag("--tls-verify=false")
    commands = tuple(_pulls(wanted, lambda ref: f"buildah pull{flag} {ref}"))
    return Client("buildah", "Buildah", commands, _note(wanted)) if commands else None


def skopeo(wanted: Wanted) -> Client | None:
    """Return how skopeo copies a companion, which becomes an image of today's kind."""
    flag = wanted.flag("--src-tls-verify=false")
    place = f"oci:{wanted.short}:{wanted.tag.name}"
    commands = tuple(_pulls(wanted, lambda ref: f"skopeo copy{flag} docker://{ref} {place}"))
    return Client("skopeo", "Skopeo", commands, _note(wanted)) if commands else None


def containerd(wanted: Wanted) -> Client | None:
    """Return how containerd imports an archive."""
    commands = tuple(_loads(wanted, _ctr_import))
    return Client("ctr", "containerd", commands) if commands else None


def archive(wanted: Wanted) -> Client | None:
    """Return how an archive is loaded, for hosts where nobody needs one to pull."""
    commands = (
        *_loads(wanted, _docker_load, "Docker"),
        *_loads(wanted, _podman_load, "Podman"),
        *_loads(wanted, _ctr_import, "containerd"),
    )
    return Client("archive", "Archive", commands) if commands else None


def proxy(wanted: Wanted) -> Client:
    """Return how a registry on the user's own machine adds what the host leaves out."""
    commands = (
        Command("once", f"builder proxy {_site(wanted)}"),
        Command("then", f"docker pull localhost:5000/{wanted.collection.name}:{wanted.tag.name}"),
    )
    note = "Docker, Podman and all others pull from localhost:5000 while it runs."
    return Client("proxy", "Any client", commands, note)


def singles(wanted: Wanted, form: Callable[[str], str]) -> tuple[Command, ...]:
    """Return a command for the tag's only image, or one for each image of its index."""
    if not wanted.is_multi:
        return wanted.both(form)
    return tuple(Command(platform, form(ref)) for platform, ref in _platforms(wanted))


def _site(wanted: Wanted) -> str:
    """Return the address of the site."""
    options = wanted.options
    base = f"{options.url.rstrip('/')}{options.baseurl.rstrip('/')}" if options.url else ""
    return base or f"https://{PLACEHOLDER}"


def _platforms(wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield the platforms of an index with a reference of each: a tag if there is one."""
    collection, tag = wanted.collection, wanted.tag
    made = {item.name for item in collection.companions.get(tag.name, ()) if not item.schema1}
    for child in (tag.manifest.manifests if tag.manifest is not None else ())[:_MAX_PLATFORMS]:
        image = collection.manifests.get(child.digest)
        if image is None or image.is_index or not child.platform or not child.platform.is_known:
            continue
        name = f"{tag.name}{platform_suffix(child.platform)}"
        real = collection.tag(name)
        same = real is not None and real.manifest is not None and real.manifest.digest
        is_tag = name in made or same == child.digest
        yield str(child.platform), wanted.named(name) if is_tag else wanted.hashed(child.digest)


def _schema1(wanted: Wanted) -> tuple[Companion, ...]:
    found = wanted.collection.companions.get(wanted.tag.name, ())
    return tuple(item for item in found if item.schema1)[:_MAX_PLATFORMS]


def _on(item: Companion | Archive) -> str:
    return f", {item.platform}" if item.platform else ""


def _pulls(wanted: Wanted, form: Callable[[str], str]) -> Iterator[Command]:
    for item in _schema1(wanted):
        yield Command(f"by tag{_on(item)}", form(wanted.named(item.name)))
        yield Command(f"by digest{_on(item)}", form(wanted.hashed(item.digest)))


def _note(wanted: Wanted) -> str:
    found = _schema1(wanted)
    return f"{found[0].name} {_OLD}" if found else ""


def _loads(wanted: Wanted, form: Callable[[str], str], who: str = "archive") -> Iterator[Command]:
    for item in wanted.collection.archives.get(wanted.tag.name, ())[:_MAX_PLATFORMS]:
        yield Command(f"{who}{_on(item)}", form(f"{_site(wanted)}/{item.path}"))


def _docker_load(url: str) -> str:
    return f"curl -fL {url} | docker load"


def _podman_load(url: str) -> str:
    return f"podman load -i {url}"


def _ctr_import(url: str) -> str:
    return f"curl -fL {url} | ctr images import -"
