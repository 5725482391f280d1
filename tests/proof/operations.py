"""The operations that are spoiled, and what must hold whatever happened to each.

All that an operation changes lies in one folder, its state, or in a bucket of
its own: the registry is `registry` there, what is published is `srv`.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.cli import run as builder
from builder.storage.objects import open_objects
from tests.conftest import write_tree
from tests.gateways import make_bucket
from tests.hosts import BUILDER
from tests.images import Image
from tests.publish.conftest import complete
from tests.remote.hostile import NAME as FAR
from tests.remote.hostile import Behaviour, hostile

NAME = "vanessa/greeting"
Check = Callable[[Path], None]
Command = Callable[[Path], list[str]]


def registry_of(state: Path) -> Path:
    """Return the folder of the registry."""
    return state / "registry"


@cache
def upstream() -> str:
    """Return a repository to mirror, which is served until this process ends."""
    behaviour = Behaviour(image=Image.of("far"), tags=b'{"tags": ["1", "2", "3"]}')
    stack = ExitStack()
    atexit.register(stack.close)
    server = stack.enter_context(hostile(behaviour))
    return f"127.0.0.1:{server.server_address[1]}/{FAR}"


def make_state(state: Path) -> None:
    """Make a registry of one image, and what is brought into it."""
    registry = registry_of(state)
    config = "title: T\nurl: https://example.org\nregistry:\n  commit_below: 100\n"
    write_tree(registry, {"_config.yml": f"{config}  sync: [{upstream()}]\n"})
    write_tree(registry / "collections" / NAME, {"README.md": "---\ntitle: G\n---\nHello.\n"})
    Image.of("one").tag(registry / "collections" / NAME, "latest")
    Image.index(Image.of("new"), Image.of("other")).layout(state / "layout", "1")
    (state / "note.txt").write_text("a note")


def blobs_are_whole(state: Path) -> None:
    """Check that every blob has the bytes of its name, wherever it is kept."""
    for blob in [*state.rglob("blobs/sha256/*"), *state.rglob(f"blobs/sha256:{'?' * 64}")]:
        if blob.is_file() and not blob.name.startswith("."):
            digest = hashlib.sha256(blob.read_bytes()).hexdigest()
            assert digest == blob.name.removeprefix("sha256:"), blob


def registry_is_whole(state: Path) -> None:
    """Check that the registry builds, so that each tag that is visible is complete."""
    blobs_are_whole(registry_of(state))
    flags = ["-q", "-s", str(registry_of(state)), "-d", str(state / "check")]
    assert builder(["build", *flags]) == 0


def nothing_is_left(state: Path) -> None:
    """Check that all is whole, and that no unfinished file has stayed."""
    registry_is_whole(state)
    assert not [path for path in state.rglob(".incoming-*") if "check" not in path.parts]
    assert not list(state.rglob(".builder-tmp"))


def reader(folder: Path) -> Callable[[str], bytes | None]:
    """Return what reads a path of a site in a folder."""
    return lambda path: (folder / path).read_bytes() if (folder / path).is_file() else None


def site_is_whole(state: Path) -> None:
    """Check that the tags of a site are complete, if it has any yet."""
    served = reader(state / "srv" if (state / "srv/v2").exists() else state / "srv/current")
    listed = served(f"v2/{NAME}/tags/list")
    for tag in json.loads(listed)["tags"] if listed else []:
        complete(served, tag)


def release_is_served(state: Path) -> None:
    """Check that the release before, or the new one, is complete and pointed to."""
    assert (state / "srv/current").exists()
    site_is_whole(state)


def site_is_done(state: Path) -> None:
    """Check that a site is complete, and has what the registry has."""
    site_is_whole(state)
    blobs_are_whole(state)
    assert not list((state / "srv").rglob(".incoming-*"))
    served = reader(state / "srv" if (state / "srv/v2").exists() else state / "srv/current")
    manifest = registry_of(state) / "collections" / NAME / "manifests/latest/manifest.json"
    assert served(f"v2/{NAME}/manifests/latest") == manifest.read_bytes()


def release_is_done(state: Path) -> None:
    """Check that a release is what it says."""
    site_is_done(state)
    assert builder(["verify", "-q", "--state", str(state / "seen"), str(state / "srv")]) == 0


def bucket_of(state: Path) -> str:
    """Return the name of the bucket that goes with a state."""
    return (state / "bucket").read_text()


def new_bucket(state: Path) -> None:
    """Make a bucket, of which nobody else knows."""
    (state / "bucket").write_text(f"b{uuid.uuid4().hex}")
    make_bucket(os.environ["AWS_ENDPOINT_URL"], bucket_of(state))


def _object(state: Path) -> Callable[[str], bytes | None]:
    store = open_objects(f"s3://{bucket_of(state)}")

    def read(path: str) -> bytes | None:
        found = store.get(path)
        return found[0] if found else None

    return read


def bucket_is_whole(state: Path) -> None:
    """Check that the tags in a bucket are complete, if it has any yet."""
    if _object(state)(f"v2/{NAME}/manifests/latest") is not None:
        complete(_object(state))


def bucket_is_done(state: Path) -> None:
    """Check that a bucket has it all, the pointer included."""
    complete(_object(state))
    assert _object(state)("release.json")
    assert _object(state)("moves.json")


@dataclass(frozen=True, slots=True)
class Operation:
    """A command, by the state that it works on; `holds` after whatever, `done` after it ran again.

    `before` prepares a state once, `start` each copy of it; `program` is what
    runs the command.
    """

    command: Command
    holds: Check = registry_is_whole
    done: Check = nothing_is_left
    before: tuple[Command, ...] = ()
    start: Check | None = None
    program: Sequence[str] = tuple(BUILDER)


def _publish(state: Path) -> list[str]:
    old = ["--prune", "--keep", "2", "--grace", "0"]
    return ["publish", str(state / "srv"), "-j1", "-t", "nginx", *old]


def _move(state: Path) -> list[str]:
    return ["add", f"oci:{state}/layout:1", f"{NAME}:latest"]


def _note(state: Path) -> list[str]:
    return ["attach", NAME, f"{state}/note.txt", "--type", "text/plain"]


OPERATIONS = {
    "add": Operation(lambda state: ["add", f"oci:{state}/layout:1", f"{NAME}:new"]),
    "add, moving a tag": Operation(_move),
    "push": Operation(
        lambda state: ["push", f"{state}/layout", f"{NAME}:new"],
        program=(sys.executable, "-m", "tests.proof.push"),
    ),
    "tag": Operation(lambda _: ["tag", f"{NAME}:latest", "again"]),
    "untag": Operation(lambda _: ["untag", f"{NAME}:latest"]),
    "rm": Operation(lambda _: ["rm", NAME]),
    "mv": Operation(lambda _: ["mv", NAME, "anna/hello"]),
    "sync": Operation(lambda _: ["sync"]),
    "attach": Operation(lambda state: ["attach", NAME, f"{state}/note.txt", "--type", "text"]),
    "gc": Operation(
        lambda _: ["gc", "--delete"],
        before=(_move, lambda _: ["untag", f"{NAME}:latest"]),
    ),
    "build": Operation(
        lambda state: ["build", "-j1", "-d", f"{state}/srv"],
        site_is_whole, site_is_done,
        before=(lambda state: ["build", "-j1", "-d", f"{state}/srv"], _move),
    ),
    "publish to a folder": Operation(
        _publish, release_is_served, release_is_done, before=(_publish, _note, _publish, _move)
    ),
    "first publish to a folder": Operation(_publish, site_is_whole, release_is_done),
    "publish to a bucket": Operation(
        lambda state: ["publish", f"s3://{bucket_of(state)}", "-j1"],
        bucket_is_whole, bucket_is_done, start=new_bucket,
    ),
}  # fmt: skip
