"""What a mirror would do to one collection: a function of what is told, here, and there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from builder.errors import counted
from builder.oci.reference import tag_fault
from builder.pages import versions
from builder.sync.model import Copy, Mirror, Origin
from builder.sync.tags import chosen, fits

# What becomes of a tag.
NEW, MOVED, ATTACHED, UNCHANGED, PRUNED, STAYS, REFUSED = (
    "new", "moved", "attached", "unchanged", "pruned", "stays", "refused",
)  # fmt: skip
FETCHED = (NEW, MOVED, ATTACHED)
MAX_TAGS = 20_000  # that one repository may have chosen


@dataclass(frozen=True, slots=True)
class Held:
    """A tag that is here: its digest, and the digests of its manifest and what is in its index.

    `origin` is None for one that no mirror brought.
    """

    digest: str
    manifests: tuple[str, ...] = ()
    origin: Origin | None = None
    is_immutable: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one tag, and why; `digest` is what it is there, empty where it is gone.

    `before` is the digest that it has here.
    """

    name: str
    tag: str
    action: str
    place: str
    digest: str = ""
    before: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the shape that `--json` prints."""
        return {
            "name": self.name,
            "tag": self.tag,
            "action": self.action,
            "from": self.place,
            "digest": self.digest or None,
            "before": self.before or None,
            "reason": self.reason or None,
        }


def wanted_tags(mirror: Mirror, listed: Sequence[str]) -> list[str]:
    """Return the tags of a repository that a mirror wants, newest first."""
    return chosen(listed, mirror.tags, exclude=mirror.exclude, newest=mirror.newest)


def plan(
    copy: Copy,
    *,
    wanted: Sequence[str],
    held: Mapping[str, Held],
    there: Mapping[str, str],
    attached: frozenset[str] = frozenset(),
) -> tuple[Step, ...]:
    """Return what becomes of each tag of a collection.

    `there` are the digests of wanted tags that exist, `attached` the tags that something new
    refers to.
    """
    found = [tag for tag in wanted if tag in there]
    steps = [_step(copy, tag, held.get(tag), there[tag]) for tag in found]
    steps = [
        replace(step, action=ATTACHED)
        if step.action == UNCHANGED and step.tag in attached else step
        for step in steps
    ]  # fmt: skip
    return (*steps, *_left(copy, held, set(found)))


def _step(copy: Copy, tag: str, here: Held | None, digest: str) -> Step:
    step = Step(copy.name, tag, NEW, copy.place, digest)
    if here is None:
        fault = tag_fault(tag)
        return replace(step, action=REFUSED, reason=fault) if fault else step
    step = replace(step, before=here.digest)
    if here.origin is None and here.digest == digest:
        return replace(step, action=UNCHANGED)
    if here.origin is None:
        reason = "is here already, and no mirror brought it: untag it, or exclude it"
        return replace(step, action=REFUSED, reason=reason)
    if (here.origin.digest, here.origin.platforms) == (digest, copy.platforms):
        return replace(step, action=UNCHANGED)
    if here.is_immutable:
        return replace(step, action=REFUSED, reason="is immutable here, and another image there")
    return replace(step, action=MOVED)


def _left(copy: Copy, held: Mapping[str, Held], found: set[str]) -> Iterator[Step]:
    """Yield what becomes of tags that a mirror brought, and that are gone or not wanted now."""
    mirrored = {tag for tag, here in held.items() if here.origin is not None}
    reasons = {tag: _reason_to_stay(copy.mirror, tag, held[tag])
               for tag in held if tag in mirrored - found}  # fmt: skip
    going = {tag for tag, reason in reasons.items() if not reason}
    left = sum(not versions.is_tool_tag(tag) for tag in found | mirrored - going)
    floor = copy.mirror.floor
    for tag, reason in reasons.items():
        step = Step(copy.name, tag, STAYS, copy.place, before=held[tag].digest, reason=reason)
        if reason:
            yield step
        elif left < floor:
            why = f"would leave {counted(left, 'tag')}, and floor is {floor}: nothing is pruned"
            yield replace(step, action=REFUSED, reason=why)
        else:
            yield replace(step, action=PRUNED)


def _reason_to_stay(mirror: Mirror, tag: str, here: Held) -> str:
    """Return why a tag stays that is gone there, or not wanted; empty where it goes."""
    if here.is_immutable:
        return "immutable"
    if fits(tag, mirror.keep):
        return "keep"
    return "" if mirror.prune else "prune is off"
