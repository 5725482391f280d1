"""What a mirror does to one collection, by what is told, here and there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.oci.platform import Platform
from builder.sync.model import Copy, Mirror, Origin, moves_yaml
from builder.sync.plan import Held, plan

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
PLACE = "docker.io/library/x"
MIRROR = Mirror((("docker.io", "x"),))
SOME = replace(MIRROR, platforms=(Platform("linux", "amd64"),))


def mine(digest: str = ONE, *platforms: str) -> Held:
    return Held(digest, (), Origin(f"{PLACE}:t", digest, platforms))


@pytest.mark.parametrize(
    ("mirror", "here", "there", "action", "reason"),
    [
        (MIRROR, None, ONE, "new", ""),
        (MIRROR, mine(), ONE, "unchanged", ""),
        (MIRROR, mine(), TWO, "moved", ""),
        (MIRROR, Held(ONE), ONE, "unchanged", ""),
        (MIRROR, Held(ONE), TWO, "refused", "no mirror brought it"),
        (MIRROR, replace(mine(), is_immutable=True), TWO, "refused", "is immutable"),
        (MIRROR, replace(mine(), is_immutable=True), ONE, "unchanged", ""),
        (SOME, mine(), ONE, "moved", ""),
        (SOME, replace(mine(ONE, "linux/amd64"), digest=TWO), ONE, "unchanged", ""),
        (MIRROR, mine(ONE, "linux/amd64"), ONE, "moved", ""),
        (MIRROR, mine(), None, "stays", "prune is off"),
        (replace(MIRROR, prune=True, floor=0), mine(), None, "pruned", ""),
        (replace(MIRROR, prune=True), mine(), None, "refused", "floor is 1"),
        (replace(MIRROR, prune=True, floor=0, keep=("t*",)), mine(), None, "stays", "keep"),
        (
            replace(MIRROR, prune=True, floor=0), replace(mine(), is_immutable=True), None,
            "stays", "immutable",
        ),
    ],
)  # fmt: skip
def test_what_becomes_of_a_tag(
    mirror: Mirror, here: Held | None, there: str | None, action: str, reason: str
) -> None:
    held, found = {"t": here} if here else {}, {"t": there} if there else {}
    (step,) = plan(Copy(mirror, "x", PLACE), wanted=["t"], held=held, there=found)
    assert (step.action, step.digest) == (action, there or "")
    assert reason in step.reason
    assert bool(reason) == bool(step.reason)


def test_what_nobody_mirrored_is_left_alone() -> None:
    mirror = replace(MIRROR, prune=True, floor=0)
    assert plan(Copy(mirror, "x", PLACE), wanted=[], held={"own": Held(ONE)}, there={}) == ()


@pytest.mark.parametrize("tag", ["index.html", "con", "aux.1", "-x", "../x", "a/b"])
def test_a_tag_that_none_can_be_is_refused(tag: str) -> None:
    (step,) = plan(Copy(MIRROR, "x", PLACE), wanted=[tag], held={}, there={tag: ONE})
    assert step.action == "refused"
    assert step.reason


def test_what_is_attached_is_brought() -> None:
    attached = frozenset({"a", "b"})
    held = {"a": mine(), "b": mine()}
    steps = plan(Copy(MIRROR, "x", PLACE), wanted=["a", "b"], held=held,
                 there={"a": ONE, "b": TWO}, attached=attached)  # fmt: skip
    assert [step.action for step in steps] == ["attached", "moved"]


def test_what_is_remembered_is_bounded() -> None:
    text = moves_yaml([f"then {ONE}"] * 40, TWO, "now")
    assert text.startswith(f'["now {TWO}", "then ')
    assert text.count("then") == 19
    assert moves_yaml("nonsense", TWO, "now") == f'["now {TWO}"]'
