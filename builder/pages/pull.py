"""How to get what a tag holds: the commands of the clients that work on this host.

A command that would fail by what `builder.clients` knows is not shown. Every
command stands on its own and works when it is pasted, by tag and by digest.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builder import clients
from builder.errors import Problem, some
from builder.pages import headerless, plan
from builder.pages.address import PLACEHOLDER, PROXY, Client, Command, TagAddress
from builder.pages.model import PageOptions
from builder.registry.model import Collection, LegacyLayer, Tag

_MAX_LAYERS = 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Pull:
    """What a pull block shows: the reference, the clients, and what to know first."""

    reference: str
    clients: tuple[Client, ...]
    note: str = ""


def pull_of(collection: Collection, tag: Tag, options: PageOptions) -> Pull | None:
    """Return how to get a tag, or None for one that has nothing to get yet."""
    at = TagAddress(options, collection, tag, options.host or PLACEHOLDER)
    if not tag.has_manifest:
        return None
    if not tag.in_v2:
        return Pull("", (_legacy(at),))
    makers = _MAKERS.get(at.kind, _ARTIFACT)
    clients_ = [client for maker in makers if (client := maker(at)) is not None]
    return Pull(at.by_tag, tuple(clients_), _note(at))


def unreachable(collection: Collection, options: PageOptions) -> Iterator[Problem]:
    """Yield one warning for all tags whose layers are where this host cannot lead clients."""
    host = options.host or PLACEHOLDER
    served = [
        (tag.name, at.served(tag.manifest))
        for tag in collection.tags
        if tag.manifest is not None and tag.in_v2
        for at in (TagAddress(options, collection, tag, host),)
    ]
    names = [name for name, how in served if how.elsewhere]
    if names:
        obstacle = clients.elsewhere(served[0][1])
        message = f"clients cannot pull {some(names)}: {obstacle.why}"
        yield Problem(collection.origin, 0, message, obstacle.fix, warning=True)


def _note(at: TagAddress) -> str:
    """Return what to know first: why some clients are missing, and the way out."""
    if not at.options.host:
        return f"Replace {PLACEHOLDER} with the host that serves this registry."
    obstacle = next((item for item in at.obstacles if item.blocks), None)
    if obstacle is None:
        return ""
    others = "so only the clients below can pull this tag. Its owner can"
    return f"{obstacle.why[0].upper()}{obstacle.why[1:]}, {others} {obstacle.fix}."


def _docker(at: TagAddress) -> Client | None:
    commands = headerless.pulls(at, clients.DOCKER, lambda ref: f"docker pull {ref}")
    if not commands:
        commands = (*headerless.loads(at, "docker"), *headerless.old_docker(at))
    return _client("docker", "Docker", commands)


def _client(key: str, title: str, commands: tuple[Command, ...], note: str = "") -> Client | None:
    return Client(key, title, commands, note) if commands else None


def _podman(at: TagAddress) -> Client | None:
    flag = at.flag("--tls-verify=false")
    commands = headerless.pulls(at, clients.PODMAN, lambda ref: f"podman pull{flag} {ref}")
    if not at.reaches(clients.PODMAN):
        commands += headerless.loads(at, "podman")
    return _client("podman", "Podman", commands, headerless.note(at, clients.PODMAN))


def _buildah(at: TagAddress) -> Client | None:
    """Return Buildah's command where it differs from Podman's: for a companion."""
    if at.reaches(clients.PODMAN):
        return None
    flag = at.flag("--tls-verify=false")
    commands = headerless.pulls(at, clients.PODMAN, lambda ref: f"buildah pull{flag} {ref}")
    return _client("buildah", "Buildah", commands, headerless.note(at, clients.PODMAN))


def _apptainer(at: TagAddress) -> Client | None:
    flag = at.flag("--no-https")
    form = f"apptainer pull{flag} docker://"
    commands = headerless.pulls(at, clients.CRANE, lambda ref: f"{form}{ref}")
    return _client("apptainer", "Apptainer", commands)


def _sif(at: TagAddress) -> Client | None:
    form = f"apptainer pull{at.flag('--no-https')} oras://"
    commands = headerless.pulls(at, clients.CRANE, lambda ref: f"{form}{ref}")
    return _client("apptainer", "Apptainer", commands)


def _skopeo(at: TagAddress) -> Client | None:
    every = " --all" if at.is_multi and at.reaches(clients.PODMAN) else ""
    form = f"skopeo copy{at.flag('--src-tls-verify=false')}{every} docker://"
    place = f"oci:{at.short}:{at.tag.name}"
    commands = headerless.pulls(at, clients.PODMAN, lambda ref: f"{form}{ref} {place}")
    return _client("skopeo", "Skopeo", commands, headerless.note(at, clients.PODMAN))


def _crane(at: TagAddress) -> Client | None:
    form = f"crane pull{at.flag('--insecure')}"
    commands = headerless.pulls(at, clients.CRANE, lambda ref: f"{form} {ref} {at.short}.tar")
    return _client("crane", "crane", commands)


def _oras_copy(at: TagAddress) -> Client | None:
    form = f"oras copy{at.flag('--from-plain-http')} --to-oci-layout"
    place = f"{at.short}:{at.tag.name}"
    commands = headerless.pulls(at, clients.ORAS, lambda ref: f"{form} {ref} {place}")
    return _client("oras", "ORAS", commands)


def _oras_pull(at: TagAddress) -> Client | None:
    """Return how oras fetches files; what has no titles is copied, since it would write nothing."""
    if not _titled(at):
        return _oras_copy(at)
    form = f"oras pull{at.flag('--plain-http')}"
    return _client("oras", "ORAS", headerless.pulls(at, clients.ORAS, lambda ref: f"{form} {ref}"))


def _titled(at: TagAddress) -> bool:
    manifest = at.tag.manifest
    return manifest is not None and any(layer.title for layer in manifest.layers)


def _proxy(at: TagAddress) -> Client | None:
    """Return how a registry on the user's own machine adds what the host leaves out."""
    if not at.blocked:
        return None
    maker = _PROXIED.get(at.kind, _oras_pull)
    client = maker(at.proxied())
    pulls = [Command("then", item.text) for item in client.commands[:1]] if client else []
    commands = (Command("once", f"builder proxy {at.site}"), *pulls)
    note = f"While it runs, every client can pull from {PROXY}."
    return Client("proxy", "Any client", commands, note)


def _python(at: TagAddress) -> Client | None:
    """Return the client that needs no media types, where others do."""
    if not at.reaches(clients.PYTHON) or (at.kind == "image" and at.reaches(clients.ORAS)):
        return None
    insecure = "insecure=True" if at.options.insecure else ""

    def line(reference: str) -> str:
        code = f'import oras.client; oras.client.OrasClient({insecure}).pull(target="{reference}")'
        return f"python3 -c {shlex.quote(code)}"

    return Client("python", "Python", at.both(line), "Needs the package oras: pip install oras.")


def _ctr(at: TagAddress) -> Client | None:
    form = f"ctr images pull{at.flag('--plain-http')}"
    commands = headerless.pulls(at, clients.CONTAINERD, lambda ref: f"{form} {ref}")
    if not at.reaches(clients.CONTAINERD):
        commands = headerless.loads(at, "ctr")
    return _client("ctr", "containerd", commands)


def _dockerfile(at: TagAddress) -> Client | None:
    commands = headerless.pulls(at, clients.DOCKER, lambda ref: f"FROM {ref}")
    return _client("from", "Dockerfile", commands)


def _kubernetes(at: TagAddress) -> Client | None:
    if at.options.insecure or not at.reaches(clients.CONTAINERD):
        return None  # a cluster needs configuration of each node for that
    name = re.sub(r"[^a-z0-9-]", "-", at.short).strip("-")
    commands = at.both(lambda ref: f"containers:\n  - name: {name or 'main'}\n    image: {ref}")
    return Client("kubernetes", "Kubernetes", commands)


def _helm(at: TagAddress) -> Client | None:
    if not at.reaches(clients.ORAS):
        return None
    flag = at.flag("--plain-http")
    name, tag = at.collection.name, at.tag.name.replace("_", "+")
    chart = f"oci://{at.host}/{name}"
    commands = (
        Command("install", f"helm install my-release {chart} --version {tag}{flag}"),
        Command("download", f"helm pull {chart} --version {tag}{flag}"),
    )
    return Client("helm", "Helm", commands)


def _folder(at: TagAddress) -> Client | None:
    """Return what gets a web app's folder back: its layers, one over the other."""
    if at.tag.manifest is None:
        return None
    layers = plan.main_image(at.collection, at.tag.manifest).layers
    commands = [
        Command(
            "the folder" if len(layers) == 1 else f"layer {number}",
            f"curl -fL {shlex.quote(at.blob_url(layer.digest))} | tar {_how(layer.media_type)}",
        )
        for number, layer in enumerate(layers[:_MAX_LAYERS], 1)
    ]
    note = "" if len(layers) == 1 else "All layers, in this order."
    return Client("folder", "Folder", tuple(commands), note) if commands else None


def _how(media_type: str) -> str:
    """Return the flags with which tar takes a layer apart."""
    return {"gzip": "-xz", "zstd": "--zstd -x"}.get(media_type.rpartition("+")[2], "-x")


def _files_of_image(at: TagAddress) -> Client | None:
    """Return an image's plain files, where some client cannot pull it."""
    return _curl(at) if clients.blocked(at.obstacles) else None


def _curl(at: TagAddress) -> Client:
    """Return the plain files: an artifact's by their titles, else the manifest."""
    manifest = at.tag.manifest
    if manifest is None:
        return _legacy(at)
    layers = manifest.layers
    files = [(layer, layer.title) for layer in layers]
    titled = [(layer, title) for layer, title in files if _PLAIN_NAME.fullmatch(title)]
    if at.kind == "sif" and len(layers) == 1 and not titled:
        name = f"{at.short}_{at.tag.name}.sif"
        titled = [(layers[0], name)]
    commands = [
        Command(title, f"curl -fL -o {title} {shlex.quote(at.blob_url(layer.digest))}")
        for layer, title in titled[:20]
    ]
    if not commands:
        url = f"{at.api}/manifests/"
        commands = [
            Command("manifest by tag", f"curl -fL {url}{at.tag.name}"),
            Command("manifest by digest", f"curl -fL {url}{manifest.digest}"),
        ]
        commands.extend(
            Command(f"layer {number}", f"curl -fLO {shlex.quote(at.blob_url(layer.digest))}")
            for number, layer in enumerate(layers[:8], 1)
        )
    return Client("curl", "curl", tuple(commands))


def _legacy(at: TagAddress) -> Client:
    """Return the layers of an original manifest, each from where it is stored."""
    legacy = at.tag.legacy
    layers = legacy.layers if legacy is not None else ()
    stem = f"{at.short}_{at.tag.name}"
    commands = [
        Command(
            "image" if len(layers) == 1 else f"layer {number}",
            f"curl -fL -o {name} {shlex.quote(layer.url)}",
        )
        for number, layer, name in _numbered(stem, layers)
    ]
    return Client("curl", "curl", tuple(commands))


def _numbered(stem: str, layers: Sequence[LegacyLayer]) -> Iterator[tuple[int, LegacyLayer, str]]:
    for number, layer in enumerate(layers, 1):
        suffix = "" if len(layers) == 1 else f"-{number}"
        yield number, layer, f"{stem}{suffix}.sif"


_Maker = Callable[[TagAddress], Client | None]
# Whose command stands for every client's behind the proxy; files are oras's.
_PROXIED: dict[str, _Maker] = {"image": _docker, "chart": _helm, "sif": _sif}
_ARTIFACT: tuple[_Maker, ...] = (_oras_pull, _proxy, _python, _curl)
# Each kind's clients in the order of the page; a maker answers None where its client cannot.
_MAKERS: dict[str, tuple[_Maker, ...]] = {
    "image": (
        _docker, _podman, _apptainer, _buildah, _skopeo, _crane, _oras_copy, _ctr, _dockerfile,
        _kubernetes, headerless.archive, _proxy, _python, _files_of_image,
    ),
    "chart": (_helm, *_ARTIFACT),
    "sif": (_sif, *_ARTIFACT),
    "app": (_folder, _oras_pull, _skopeo, _proxy, _python, _curl),
}  # fmt: skip
