"""What a deployed site is good for: from what it answered to which clients can pull from it.

No network here: facts go in, a judgement comes out. The rules were measured
with real clients (docker 20.10 and 29, podman 4.3, buildah 1.28, skopeo 1.9
and 1.22, containerd 1.6 and 2.4, crane, apptainer, oras, helm 4, oras-py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from builder.oci import mediatype
from builder.probe.facts import (
    ARTIFACT,
    DOCKER,
    INDEX,
    KINDS,
    REFERRER,
    SINGLE,
    Facts,
    Part,
    Reply,
    Sample,
    Tagged,
)

_IMAGES = frozenset({SINGLE, INDEX, DOCKER})
_ALL = frozenset(KINDS)
# Each family of clients, and the kinds of manifests that it is there for.
CLIENTS = {
    "docker": _IMAGES,
    "podman, buildah, skopeo": _IMAGES,
    "containerd": _IMAGES,
    "crane, apptainer": _ALL,
    "oras, helm": _ALL,
    "python oras": frozenset({ARTIFACT, REFERRER, SINGLE}),
    "curl": _ALL,
}
_ENGINES = ("docker", "containerd")
_PODMAN, _CRANE, _ORAS = "podman, buildah, skopeo", "crane, apptainer", "oras, helm"
_OK = 200


class Obstacle(NamedTuple):
    """What keeps some clients from some kinds of manifests, and what to do about it."""

    clients: frozenset[str]
    kinds: frozenset[str]
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a family of clients can use the site: `yes`, `partly` or `no`."""

    clients: str
    works: str
    fails: tuple[str, ...]  # kinds
    obstacles: tuple[Obstacle, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the shape that `--json` prints."""
        causes = [{"why": item.why, "fix": item.fix} for item in self.obstacles]
        return {"clients": self.clients.split(", "), "works": self.works,
                "fails": list(self.fails), "causes": causes}  # fmt: skip


class Feature(NamedTuple):
    """One thing that registries can do beside pulls."""

    name: str
    has: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say of a site; `broken` is what it promises and does not keep."""

    verdicts: tuple[Verdict, ...]
    features: tuple[Feature, ...]
    broken: tuple[tuple[str, str], ...]  # path, and what is wrong


def judge(facts: Facts) -> Judgement:
    """Return which clients can use a site, what it can do beside that, and what it breaks."""
    obstacles = tuple(_obstacles(facts))
    present = frozenset(sample.kind for sample in facts.samples)
    verdicts = tuple(_verdict(name, kinds & present, obstacles) for name, kinds in CLIENTS.items())
    return Judgement(verdicts, tuple(_features(facts)), tuple(dict.fromkeys(_broken(facts))))


def _verdict(name: str, kinds: frozenset[str], obstacles: Iterable[Obstacle]) -> Verdict:
    mine = tuple(it for it in obstacles if name in it.clients and it.kinds & kinds)
    fails = kinds & frozenset().union(*(item.kinds for item in mine))
    works = "yes" if not fails else "no" if fails == kinds else "partly"
    return Verdict(name, works, tuple(kind for kind in KINDS if kind in fails), mine)


def _obstacles(facts: Facts) -> Iterator[Obstacle]:
    everyone = frozenset(CLIENTS) - {"curl"}
    proxy = _proxy(facts)
    if facts.path:
        why = f"/v2/ is below {facts.path}, and clients look for it at the root of a host"
        yield Obstacle(everyone, _ALL, why, f"give it a host of its own, or {proxy}")
    elif facts.root.status not in (_OK, 401):
        clients = frozenset({_PODMAN, _CRANE})
        why = f"GET /v2/ answers {facts.root.shown}; it must be 200 or 401"
        yield Obstacle(clients, _ALL, why, "publish something at /v2/")
    if facts.url.startswith("http:") and not facts.near:
        why = "it is plain http, which clients refuse unless they are told otherwise"
        yield Obstacle(everyone, _ALL, why, "serve it by https")
    yield from _type_obstacles(facts)
    yield from _head_obstacles(facts)
    zstd = frozenset(sample.kind for sample in facts.samples if sample.zstd)
    if zstd:
        why = "layers are compressed by zstd, which Docker reads since 23"
        yield Obstacle(frozenset({"docker"}), zstd, why, "compress by gzip for older ones")
    elsewhere = frozenset(part.kind for part in facts.parts if part.elsewhere)
    if elsewhere:
        why = "layers are stored elsewhere, and this host does not redirect to them"
        yield Obstacle(everyone, elsewhere, why, f"publish to a host that redirects, or {proxy}")


def _type_obstacles(facts: Facts) -> Iterator[Obstacle]:
    """Yield who is kept away by the Content-Type of manifests: the one hard requirement."""
    found: dict[tuple[str, str], set[str]] = {}
    for sample in facts.samples:
        for reply in (sample.by_tag, sample.by_digest):
            if reply is not None and reply.status == _OK:
                fault = _type_fault(reply.type, sample.media_type)
                if fault:
                    found.setdefault((fault, reply.type), set()).add(sample.kind)
    for (fault, said), kinds in found.items():
        why = f"manifests come {f'as {said}' if said else 'without a Content-Type'}"
        for clients, failing in _WHO[fault]:
            fix = f"publish to a host that sets types, or {_proxy(facts)}"
            if facts.schema1 and _PODMAN in clients:
                fix += f"; podman, buildah and skopeo can pull {facts.schema1}"
            yield Obstacle(clients, frozenset(failing & kinds), why, fix)


def _proxy(facts: Facts) -> str:
    return f"pull by 'builder proxy {facts.url}'"


def _type_fault(said: str, own: str) -> str:
    if said == own:
        return ""
    bare = said.partition(";")[0].strip()
    if bare == own:
        return "parameters"
    return "other" if bare in mediatype.MANIFESTS else "generic"


# What is wrong with a type: which clients cannot pull which kinds for it.
_WHO = {
    "generic": (
        (frozenset({_PODMAN}), _ALL),
        (frozenset({*_ENGINES, _ORAS}), _ALL),
        (frozenset({_CRANE}), frozenset({INDEX})),
    ),
    "other": ((frozenset({*_ENGINES, _PODMAN, _CRANE, _ORAS}), _ALL),),
    "parameters": ((frozenset({_CRANE}), frozenset({INDEX})),),
}


def _head_obstacles(facts: Facts) -> Iterator[Obstacle]:
    """Yield who is kept away by what comes, or does not, beside the type."""
    for sample in facts.samples:
        kinds = frozenset({sample.kind})
        heads = [it for it in (sample.head_by_tag, sample.head_by_digest) if it is not None]
        bad = next((it for it in heads if it.status not in (_OK, 405, 501)), None)
        if bad is not None and sample.by_digest.status == _OK:
            why = f"HEAD of a manifest answers {bad.shown} where GET answers 200"
            yield Obstacle(frozenset(_ENGINES), kinds, why, "answer HEAD as GET, or by 405")
        if any(it.status == _OK and it.digest and it.length is None for it in heads):
            why = "HEAD gives a digest and no Content-Length, on which Docker before 23 fails"
            yield Obstacle(frozenset({"docker"}), kinds, why, "send Content-Length")
        if any(it.encoding for it in sample.replies):
            why = "the host compresses manifests"
            fix = "no compression below /v2/: Cache-Control: no-transform"
            yield Obstacle(frozenset({_ORAS}), kinds, why, fix)
        elif any(it.status == _OK and it.length is None for it in sample.replies):
            why = "manifests come without Content-Length"
            yield Obstacle(frozenset({_ORAS}), kinds, why, "send Content-Length")


def _features(facts: Facts) -> Iterator[Feature]:
    if facts.blob_part is not None:
        has = facts.blob_part.status == 206
        yield Feature("Range", has, "pulls that broke off go on" if has else
                      "pulls that broke off begin anew")  # fmt: skip
    has = any(reply.digest for sample in facts.samples for reply in sample.replies)
    yield Feature("Docker-Content-Digest", has, "clients see a tag's digest without a download"
                  if has else "clients compute it; 'oras discover TAG' needs it")  # fmt: skip
    has = facts.missing.status == 404 and "json" in facts.missing.type
    yield Feature("errors in JSON", has, "clients say what is missing" if has else
                  f"a missing tag answers {facts.missing.shown}")  # fmt: skip
    if facts.paged is not None:
        has = bool(facts.paged.link)
        yield Feature("tags in pages", has, "n and last are heard" if has else
                      "n and last are ignored: every list is whole")  # fmt: skip
    yield _referrers_feature(facts)
    if facts.filtered is not None and facts.filtered.status == _OK:
        has = "artifactType" in facts.filtered.filters
        yield Feature("artifactType filter", has, "the host filters" if has else
                      "clients filter for themselves")  # fmt: skip


def _referrers_feature(facts: Facts) -> Feature:
    known, unknown = _is_list(facts.referrers), _is_list(facts.no_referrers)
    if known and unknown:
        return Feature("referrers", True, "a list for every digest")
    if known:
        return Feature("referrers", False, "a list for known digests, an error for unknown ones: "
                       "publish all or none")  # fmt: skip
    return Feature("referrers", False, "clients use the tag sha256-<hex>")


def _is_list(reply: Reply | None) -> bool:
    return reply is not None and reply.status == _OK and reply.type == mediatype.OCI_INDEX


def _broken(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what the site promises and does not keep."""
    for tagged in facts.tags:
        yield from _broken_tag(tagged)
    for sample in facts.samples:
        yield from _broken_sample(sample)
    for part in facts.parts:
        yield from _broken_part(part)
    if facts.blob is not None and facts.blob.found != facts.blob_digest:
        found = f"the bytes have the digest {facts.blob.found}"
        yield f"blob {facts.blob_digest}", facts.blob.fault or found
    if facts.missing.status == _OK:
        yield "v2/", "a tag that does not exist answers 200: clients cannot tell what is there"
    if _is_list(facts.referrers) and facts.no_referrers and not _is_list(facts.no_referrers):
        yield "v2/", f"referrers of an unknown digest answer {facts.no_referrers.shown}"


def _broken_tag(tagged: Tagged) -> Iterator[tuple[str, str]]:
    path, reply = f"v2/{tagged.name}/manifests/{tagged.tag}", tagged.reply
    if reply.status != _OK:
        yield path, f"is in the list of tags and answers {reply.shown}"
    elif tagged.fault:
        yield path, f"is no manifest: {tagged.fault}"
    elif reply.digest and reply.digest != reply.found and not tagged.schema1:
        yield path, f"Docker-Content-Digest says {reply.digest}, the bytes have {reply.found}"


def _broken_part(part: Part) -> Iterator[tuple[str, str]]:
    if part.reply.status in (0, 404, 410) and not part.elsewhere:
        yield part.path, f"answers {part.reply.shown}, and the {part.kind} needs it"
    elif part.reply.digest and part.reply.digest != part.digest:
        yield part.path, f"Docker-Content-Digest says {part.reply.digest}"


def _broken_sample(sample: Sample) -> Iterator[tuple[str, str]]:
    path = f"v2/{sample.name}/manifests/{sample.digest}"
    reply = sample.by_digest
    if reply.status != _OK:
        yield path, f"{sample.reference} is this, and it answers {reply.shown}"
    elif reply.found != sample.digest:
        yield path, f"the bytes have the digest {reply.found}"
    elif reply.digest and reply.digest != sample.digest:
        yield path, f"Docker-Content-Digest says {reply.digest}"
