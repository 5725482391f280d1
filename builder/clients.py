"""What clients need of a host, and so who can get a manifest: the one table of that.

The pages offer commands by it, a build warns by it and `check --url` judges
by it. The rules were measured with real clients (docker 20.10 and 29, podman
4.3, buildah 1.28, skopeo 1.9 and 1.22, containerd 1.6 and 2.4, crane,
apptainer, oras, helm 4, oras-py). No network here, and no commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from builder.oci import mediatype
from builder.oci.manifest import Manifest

SINGLE, INDEX, DOCKER_SCHEMA2, ARTIFACT, REFERRER = KINDS = (
    "single image", "index", "Docker schema 2", "artifact", "referrer",
)  # fmt: skip
SCHEMA1 = "Docker schema 1"  # only ever a companion of another tag

DOCKER, CONTAINERD, PYTHON, CURL = "docker", "containerd", "python oras", "curl"
PODMAN, CRANE, ORAS = "podman, buildah, skopeo", "crane, apptainer", "oras, helm"
_IMAGES = frozenset({SINGLE, INDEX, DOCKER_SCHEMA2})
_ALL = frozenset(KINDS)
# Each family of clients, and the kinds of manifests that it is there for.
CLIENTS = {
    DOCKER: _IMAGES,
    PODMAN: _IMAGES,
    CONTAINERD: _IMAGES,
    CRANE: _ALL,
    ORAS: _ALL,
    PYTHON: frozenset({ARTIFACT, REFERRER, SINGLE}),
    CURL: _ALL,
}
_OTHERS = frozenset(CLIENTS) - {CURL}


class Obstacle(NamedTuple):
    """What keeps some clients from a manifest, and what to do about it.

    One that does not `block` concerns old releases or asks for a flag.
    """

    clients: frozenset[str]
    why: str
    fix: str
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """How a manifest and its content reach clients; a text is empty where all is well.

    `types` are the values of Content-Type that it comes with; `below` is the
    path that `/v2/` is below, `root` what `GET /v2/` answers instead of 200
    or 401, `head` what HEAD answers where GET answers 200; `site` is the
    address for `builder proxy`, `schema1` a companion tag, `host` the host's
    own name in messages.
    """

    kind: str
    media_type: str = ""
    types: tuple[str, ...] = ()
    site: str = ""
    host: str = "this host"
    schema1: str = ""
    below: str = ""
    root: str = ""
    head: str = ""
    plain_http: bool = False
    elsewhere: bool = False  # layers, to which the host does not redirect
    zstd: bool = False
    digest_without_length: bool = False  # in answers to HEAD
    compressed: bool = False
    unmeasured: bool = False  # without Content-Length


def kind_of(manifest: Manifest) -> str:
    """Return which of `KINDS` a manifest is; whether it is a referrer is not for it to say."""
    if manifest.is_index:
        return INDEX
    if manifest.media_type == mediatype.DOCKER_MANIFEST:
        return DOCKER_SCHEMA2
    return SINGLE if manifest.is_image else ARTIFACT


def obstacles(served: Served) -> Iterator[Obstacle]:
    """Yield what stands between clients and a manifest, most telling first."""
    proxy = f"pull through 'builder proxy {served.site}'"
    if served.below:
        why = f"/v2/ is below {served.below}, and clients look for it at the root of a host"
        yield Obstacle(_OTHERS, why, f"give it a host of its own, or {proxy}")
    elif served.root:
        why = f"GET /v2/ answers {served.root}; it must be 200 or 401"
        yield Obstacle(frozenset({PODMAN, CRANE}), why, "publish something at /v2/")
    if served.elsewhere:
        yield elsewhere(served)
    if served.plain_http:
        why = "the registry uses plain http, which clients refuse by default"
        flag = "serve it over https, or pass the client's flag for plain http"
        yield Obstacle(_OTHERS - {DOCKER}, why, flag, blocks=False)
        daemon = "serve it over https, or add it to the daemon's insecure-registries"
        yield Obstacle(frozenset({DOCKER}), why, daemon)
    yield from _type_obstacles(served, proxy)
    yield from _header_obstacles(served)
    if served.zstd:
        why = "layers are compressed with zstd, which Docker supports from version 23"
        yield Obstacle(frozenset({DOCKER}), why, "compress with gzip for older ones", blocks=False)


def elsewhere(served: Served) -> Obstacle:
    """Return what stands before layers that are on another host than the one clients ask."""
    why = f"layers are stored elsewhere, and {served.host} does not redirect to them"
    fix = f"publish to a host that redirects, or pull through 'builder proxy {served.site}'"
    return Obstacle(_OTHERS, why, fix)


def blocked(found: Iterable[Obstacle]) -> frozenset[str]:
    """Return the families of clients that some obstacle keeps away."""
    return frozenset().union(*(item.clients for item in found if item.blocks))


# What is wrong with a type: which clients cannot pull which kinds for it.
_WHO = {
    "generic": (
        (frozenset({PODMAN, DOCKER, CONTAINERD, ORAS}), _ALL),
        (frozenset({CRANE}), frozenset({INDEX})),
    ),
    "other": ((frozenset({DOCKER, CONTAINERD, PODMAN, CRANE, ORAS}), _ALL),),
    "parameters": ((frozenset({CRANE}), frozenset({INDEX})),),
}


def _type_obstacles(served: Served, proxy: str) -> Iterator[Obstacle]:
    """Yield who is kept away by the Content-Type of a manifest: the one hard requirement."""
    for said in served.types:
        why = f"manifests are sent {f'as {said}' if said else 'without a Content-Type'}"
        for clients, kinds in _WHO.get(_type_fault(said, served.media_type), ()):
            if served.kind not in kinds:
                continue
            fix = f"publish to a host that sets media types, or {proxy}"
            helped = clients & {PODMAN} if served.schema1 else frozenset()
            if helped:
                companion = f"{fix}; podman, buildah and skopeo can pull {served.schema1}"
                yield Obstacle(helped, why, companion)
            yield Obstacle(clients - helped, why, fix)


def _type_fault(said: str, own: str) -> str:
    if said == own:
        return ""
    bare = said.partition(";")[0].strip()
    if bare == own:
        return "parameters"
    return "other" if bare in mediatype.MANIFESTS else "generic"


def _header_obstacles(served: Served) -> Iterator[Obstacle]:
    """Yield who is kept away by what comes, or does not, beside the type."""
    if served.head:
        why = f"HEAD of a manifest answers {served.head} where GET answers 200"
        yield Obstacle(frozenset({DOCKER, CONTAINERD}), why, "answer HEAD like GET, or with 405")
    if served.digest_without_length:
        why = "HEAD gives a digest and no Content-Length, on which Docker before 23 fails"
        yield Obstacle(frozenset({DOCKER}), why, "send Content-Length", blocks=False)
    if served.compressed:
        why, fix = (
            "the host compresses manifests",
            "turn compression off below /v2/: Cache-Control: no-transform",
        )
        yield Obstacle(frozenset({ORAS}), why, fix)
    elif served.unmeasured:
        why = "manifests are sent without Content-Length"
        yield Obstacle(frozenset({ORAS}), why, "send Content-Length")
