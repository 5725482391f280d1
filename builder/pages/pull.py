"""How to get what a tag holds: the commands of the clients that work on this host.

Which clients can pull from which kind of host was measured; a command that
would fail is not shown. Every command stands on its own and works when it is
pasted, by tag and by digest.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builder.pages import plan
from builder.pages.headerless import (
    archive,
    buildah,
    containerd,
    docker,
    podman,
    proxy,
    singles,
    skopeo,
)
from builder.pages.model import PageOptions
from builder.pages.wanted import PLACEHOLDER, Client, Command, Wanted
from builder.registry.model import Collection, LegacyLayer, Tag

_TITLE = "org.opencontainers.image.title"
_MAX_LAYERS = 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Pull:
    """What a pull block shows: the reference, the clients, and what to know first."""

    reference: str
    digest_reference: str
    clients: tuple[Client, ...]
    note: str = ""


def pull_of(collection: Collection, tag: Tag, options: PageOptions) -> Pull | None:
    """Return how to get a tag, or None for one that has nothing to get yet."""
    wanted = Wanted(options, collection, tag, options.host or PLACEHOLDER)
    if not tag.has_manifest:
        return None
    if not tag.in_v2:
        return Pull("", "", (_legacy(wanted),))
    kind = plan.tag_kind(collection, tag)
    makers = _MAKERS.get(kind, _ARTIFACT)
    if not options.by_name:
        makers = _NAMELESS.get(kind, (proxy, _curl))
    elif not options.typed:
        makers = _HEADERLESS.get(kind, (proxy, _python, _curl))
    clients = [client for maker in makers if (client := maker(wanted)) is not None]
    return Pull(wanted.by_tag, wanted.by_digest, tuple(clients), _note(wanted))


def _note(wanted: Wanted) -> str:
    options = wanted.options
    if not options.host:
        return f"Write the host that serves this registry in place of {PLACEHOLDER}."
    if not options.by_name:
        return (
            "This registry is served below a folder of its host, where clients do not look for "
            "images by name; the files themselves are here."
        )
    if not options.typed:
        return (
            f"{options.capabilities.title} does not give manifests their own media type, so only "
            "the clients below can pull from it."
        )
    return ""


def _docker(wanted: Wanted) -> Client:
    return Client("docker", "Docker", wanted.both(lambda ref: f"docker pull {ref}"))


def _podman(wanted: Wanted) -> Client:
    flag = wanted.flag("--tls-verify=false")
    return Client("podman", "Podman", wanted.both(lambda ref: f"podman pull{flag} {ref}"))


def _apptainer(wanted: Wanted) -> Client | None:
    flag = wanted.flag("--no-https")
    commands = _each(wanted, lambda ref: f"apptainer pull{flag} docker://{ref}")
    return Client("apptainer", "Apptainer", commands) if commands else None


def _each(wanted: Wanted, form: Callable[[str], str]) -> tuple[Command, ...]:
    """Return the commands of a client that needs media types to find its way in an index."""
    return wanted.both(form) if wanted.options.typed else singles(wanted, form)


def _sif(wanted: Wanted) -> Client | None:
    if not wanted.options.typed and wanted.is_multi:
        return None
    flag = wanted.flag("--no-https")
    commands = wanted.both(lambda ref: f"apptainer pull{flag} oras://{ref}")
    return Client("apptainer", "Apptainer", commands)


def _skopeo(wanted: Wanted) -> Client:
    flag = wanted.flag("--src-tls-verify=false")
    every = " --all" if wanted.is_multi else ""
    place = f"oci:{wanted.short}:{wanted.tag.name}"
    commands = wanted.both(lambda ref: f"skopeo copy{flag}{every} docker://{ref} {place}")
    return Client("skopeo", "Skopeo", commands)


def _crane(wanted: Wanted) -> Client | None:
    flag = wanted.flag("--insecure")
    file = f"{wanted.short}.tar"
    commands = _each(wanted, lambda ref: f"crane pull{flag} {ref} {file}")
    return Client("crane", "crane", commands) if commands else None


def _oras_copy(wanted: Wanted) -> Client:
    flag = wanted.flag("--from-plain-http")
    place = f"{wanted.short}:{wanted.tag.name}"
    commands = wanted.both(lambda ref: f"oras copy{flag} --to-oci-layout {ref} {place}")
    return Client("oras", "ORAS", commands)


def _oras_pull(wanted: Wanted) -> Client:
    flag = wanted.flag("--plain-http")
    return Client("oras", "ORAS", wanted.both(lambda ref: f"oras pull{flag} {ref}"))


def _python(wanted: Wanted) -> Client:
    insecure = "insecure=True" if wanted.options.insecure else ""

    def line(reference: str) -> str:
        code = f'import oras.client; oras.client.OrasClient({insecure}).pull(target="{reference}")'
        return f"python3 -c {shlex.quote(code)}"

    return Client("python", "Python", wanted.both(line), "With the package oras: pip install oras.")


def _ctr(wanted: Wanted) -> Client:
    flag = wanted.flag("--plain-http")
    return Client("ctr", "containerd", wanted.both(lambda ref: f"ctr images pull{flag} {ref}"))


def _dockerfile(wanted: Wanted) -> Client:
    return Client("from", "Dockerfile", wanted.both(lambda ref: f"FROM {ref}"))


def _kubernetes(wanted: Wanted) -> Client | None:
    if wanted.options.insecure:
        return None  # a cluster needs configuration of each node for that
    name = re.sub(r"[^a-z0-9-]", "-", wanted.short).strip("-")
    commands = wanted.both(lambda ref: f"containers:\n  - name: {name or 'main'}\n    image: {ref}")
    return Client("kubernetes", "Kubernetes", commands)


def _helm(wanted: Wanted) -> Client:
    flag = wanted.flag("--plain-http")
    name, tag = wanted.collection.name, wanted.tag.name.replace("_", "+")
    chart = f"oci://{wanted.host}/{name}"
    commands = (
        Command("install", f"helm install my-release {chart} --version {tag}{flag}"),
        Command("download", f"helm pull {chart} --version {tag}{flag}"),
    )
    return Client("helm", "Helm", commands)


def _folder(wanted: Wanted) -> Client | None:
    """Return what gets a web app's folder back: its layers, one over the other."""
    if wanted.tag.manifest is None:
        return None
    layers = plan.main_image(wanted.collection, wanted.tag.manifest).layers
    commands = [
        Command(
            "the folder" if len(layers) == 1 else f"layer {number}",
            f"curl -fL {shlex.quote(wanted.blob_url(layer.digest))} | tar {_how(layer.media_type)}",
        )
        for number, layer in enumerate(layers[:_MAX_LAYERS], 1)
    ]
    note = "" if len(layers) == 1 else "Every layer, in this order."
    return Client("folder", "Folder", tuple(commands), note) if commands else None


def _how(media_type: str) -> str:
    """Return the flags with which tar takes a layer apart."""
    return {"gzip": "-xz", "zstd": "--zstd -x"}.get(media_type.rpartition("+")[2], "-x")


def _curl(wanted: Wanted) -> Client:
    """Return the plain files: an artifact's by their titles, else the manifest."""
    manifest = wanted.tag.manifest
    if manifest is None:
        return _legacy(wanted)
    layers = manifest.layers
    files = [(layer, layer.annotations.get(_TITLE, "")) for layer in layers]
    titled = [(layer, title) for layer, title in files if _PLAIN_NAME.fullmatch(title)]
    kind = plan.tag_kind(wanted.collection, wanted.tag)
    if kind == "sif" and len(layers) == 1 and not titled:
        name = f"{wanted.short}_{wanted.tag.name}.sif"
        titled = [(layers[0], name)]
    commands = [
        Command(title, f"curl -fL -o {title} {shlex.quote(wanted.blob_url(layer.digest))}")
        for layer, title in titled[:20]
    ]
    if not commands:
        url = f"{wanted.api}/manifests/"
        commands = [
            Command("manifest by tag", f"curl -fL {url}{wanted.tag.name}"),
            Command("manifest by digest", f"curl -fL {url}{manifest.digest}"),
        ]
        commands.extend(
            Command(f"layer {number}", f"curl -fLO {shlex.quote(wanted.blob_url(layer.digest))}")
            for number, layer in enumerate(layers[:8], 1)
        )
    return Client("curl", "curl", tuple(commands))


def _legacy(wanted: Wanted) -> Client:
    """Return the layers of an original manifest, each from where it is stored."""
    legacy = wanted.tag.legacy
    layers = legacy.layers if legacy is not None else ()
    stem = f"{wanted.short}_{wanted.tag.name}"
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


_Maker = Callable[[Wanted], Client | None]
_IMAGE: tuple[_Maker, ...] = (
    _docker, _podman, _apptainer, _skopeo, _crane, _oras_copy, _ctr, _dockerfile, _kubernetes,
    archive,
)  # fmt: skip
_ARTIFACT: tuple[_Maker, ...] = (_oras_pull, _python, _curl)
_MAKERS: dict[str, tuple[_Maker, ...]] = {
    "image": _IMAGE,
    "chart": (_helm, *_ARTIFACT),
    "sif": (_sif, *_ARTIFACT),
    "app": (_folder, _oras_pull, _skopeo, _curl),
}

# Where every file has the same media type.
_HEADERLESS: dict[str, tuple[_Maker, ...]] = {
    "image": (
        docker, podman, _apptainer, buildah, skopeo, _crane, containerd, proxy, _python, _curl,
    ),
    "sif": (_sif, proxy, _python, _curl),
    "app": (_folder, proxy, _python, _curl),
}  # fmt: skip
# Where nothing can be pulled by name, because `/v2/` is not at the root of its host.
_NAMELESS: dict[str, tuple[_Maker, ...]] = {
    "image": (docker, podman, containerd, proxy, _curl),
    "app": (_folder, proxy, _curl),
}
