"""What a deployed site is good for: from what it answered to which clients can pull from it.

No network here: facts go in, a judgement comes out, by the rules of
`builder.clients`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from builder.clients import CLIENTS, KINDS, Obstacle, Served, obstacles
from builder.oci import mediatype
from builder.probe.facts import Facts, Part, Reply, Sample, Tagged

_OK = 200


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


class Hindrance(NamedTuple):
    """An obstacle, and all kinds of manifests that it stands before here."""

    obstacle: Obstacle
    kinds: frozenset[str]


def judge(facts: Facts) -> Judgement:
    """Return which clients can use a site, what it can do beside that, and what it breaks."""
    found: dict[Obstacle, set[str]] = {}
    for sample in facts.samples:
        for obstacle in obstacles(_served(facts, sample)):
            found.setdefault(obstacle, set()).add(sample.kind)
    hindrances = [Hindrance(obstacle, frozenset(kinds)) for obstacle, kinds in found.items()]
    present = frozenset(sample.kind for sample in facts.samples)
    verdicts = tuple(_verdict(name, kinds & present, hindrances) for name, kinds in CLIENTS.items())
    return Judgement(verdicts, tuple(_features(facts)), tuple(dict.fromkeys(_broken(facts))))


def _verdict(name: str, kinds: frozenset[str], hindrances: Iterable[Hindrance]) -> Verdict:
    mine = [it for it in hindrances if name in it.obstacle.clients and it.kinds & kinds]
    blocking = (it.kinds for it in mine if it.obstacle.blocks)
    fails = kinds & frozenset().union(*blocking)
    works = "yes" if not fails else "no" if fails == kinds else "partly"
    shown = tuple(kind for kind in KINDS if kind in fails)
    return Verdict(name, works, shown, tuple(dict.fromkeys(it.obstacle for it in mine)))


def _served(facts: Facts, sample: Sample) -> Served:
    """Return how one sample came."""
    heads = [it for it in (sample.head_by_tag, sample.head_by_digest) if it is not None]
    bad = next((it for it in heads if it.status not in (_OK, 405, 501)), None)
    good = [it for it in sample.replies if it.status == _OK]
    gets = [it for it in (sample.by_tag, sample.by_digest) if it is not None and it.status == _OK]
    return Served(
        sample.kind,
        sample.media_type,
        tuple(dict.fromkeys(it.type for it in gets)),
        site=facts.url,
        schema1=facts.schema1,
        below=facts.path,
        root="" if facts.root.status in (_OK, 401) else facts.root.shown,
        head=bad.shown if bad is not None and sample.by_digest.status == _OK else "",
        plain_http=facts.url.startswith("http:") and not facts.near,
        elsewhere=any(part.elsewhere for part in facts.parts if part.kind == sample.kind),
        zstd=sample.zstd,
        digest_without_length=any(it.digest and it.length is None for it in heads if it in good),
        compressed=any(it.encoding for it in sample.replies),
        unmeasured=any(it.length is None for it in good),
    )


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
