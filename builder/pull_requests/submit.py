"""Making a pull request from another repository: one image, one tag, one branch.

The image goes into a clone of the organisation's registry that is thrown away
after; what comes of it is judged by the same rules as in the registry's own
CI, before anything leaves this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from builder.config import Config, Flags, load_config
from builder.errors import ContentError, Problem
from builder.oci.descriptor import Descriptor
from builder.oci.graph import select_platform
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.pull_requests.base import open_base
from builder.pull_requests.clone import Clone
from builder.pull_requests.judge import judge
from builder.pull_requests.model import Limits, Proposal
from builder.pull_requests.origin import Origin, Request, request_for
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.model import RegistryOptions
from builder.registry.scan import README
from builder.registry.stage import Judge
from builder.remote.options import RemoteOptions
from builder.storage import LocalStorage
from builder.storage.base import OffsiteStorage
from builder.storage.local import blob_path
from builder.storage.parallel import Progress, silent
from builder.transports.intake import Added, add_image
from builder.transports.registry_sink import Terms
from builder.transports.sources import ImageSource

_Bring = Callable[[], None]  # brings one layer to its place, and raises RemoteError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is submitted and how; empty texts leave it to `submit`.

    `folder` is the registry's in its repository, `base` the branch that is
    proposed to; `author` and `remote` are those of `judge`.
    """

    reference: Reference
    folder: str = "."
    base: str = ""
    branch: str = ""
    message: str = ""
    author: str = ""
    remote: RemoteOptions | None = None
    platform: Platform | None = None
    allow_foreign: bool = False
    push: bool = False
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """What came of it; `commit` is empty when the registry has the image under that tag."""

    added: Added
    base: str
    branch: str
    commit: str = ""
    files: tuple[str, ...] = ()
    proposal: Proposal | None = None
    request: Request = field(default_factory=Request)


def submit(
    medium: ImageSource,
    origin: Origin,
    wanted: Wanted,
    workspace: Path,
    *,
    judge_of: Callable[[Config], Judge],
    progress: Progress = silent,
) -> Submission:
    """Put the image of `medium` on a new branch of the repository `origin`.

    `workspace` is an empty folder that the caller removes; `judge_of` gives
    what has the last word on content, as a build has. Raises ContentError
    with every problem that the registry's rules find, UsageError for a branch
    that is taken, RemoteError and LocalError for what git refuses.
    """
    clone = Clone(origin, workspace / "registry", wanted.base)
    branch = wanted.branch or default_branch(wanted.reference)
    clone.begin(branch, replace=wanted.replace)
    flags = Flags(os.fspath(clone.folder / wanted.folder))
    config = load_config(flags)
    options = config.registry
    with lock(options):
        added = _add(medium, options, wanted, judge_of(config), progress)
    if not added.changed:
        return Submission(added, clone.base, branch)
    far = _far(added, options)
    files = _files(added, options, clone.folder)
    title = f"Add {wanted.reference}"
    commit = clone.commit(files, wanted.message or f"{title}\n\n{added.digest}\n")
    proposal = judge(open_base(flags, clone.start), wanted.author, Limits(), wanted.remote)
    if any(not problem.warning for problem in proposal.problems):
        raise ContentError(proposal.problems)
    if not wanted.dry_run:
        for bring in far:
            bring()
        clone.deliver(branch, push=wanted.push, replace=wanted.replace)
    request = request_for(clone.url, clone.base, branch, title, os.environ)
    return Submission(added, clone.base, branch, commit, clone.changed(), proposal, request)


def default_branch(reference: Reference) -> str:
    """Return `submit/NAME-TAG` in letters that every git and every host takes."""
    text = re.sub(r"[^A-Za-z0-9._-]", "-", f"{reference.name}-{reference.tag}")
    text = re.sub(r"\.(?=\.|lock\b|$)", "-", text)
    return f"submit/{text}"


def _add(
    medium: ImageSource,
    options: RegistryOptions,
    wanted: Wanted,
    judge: Judge,
    progress: Progress,
) -> Added:
    """Add the image to the clone, all of it: nothing leaves this machine before it is judged."""
    top = medium.resolve("")
    if wanted.platform is not None:
        top = select_platform(top, medium, medium.label, wanted.platform)
    # Immutable or not: the rules of the base branch decide, and say what to do.
    terms = Terms(created=now(), judge=judge, force=True, allow_foreign=wanted.allow_foreign)
    kept_here = replace(options, offsite=None)
    return add_image(kept_here, medium, top, wanted.reference, terms, progress=progress)


def _far(added: Added, options: RegistryOptions) -> list[_Bring]:
    """Return how the layers that are too large for git are brought to where they belong.

    Where only others can bring them, they are forgotten here, so that judging
    fetches them. Raises ContentError when the registry has no such place.
    """
    large = [part.descriptor for part in added.parts if part.place == "store"]
    if large and options.offsite is None:
        raise ContentError(_homeless(added, large, options))
    store = LocalStorage(options.source / options.store, options.store)
    if isinstance(options.offsite, OffsiteStorage):
        return [
            partial(options.offsite.put, item.digest, item.size, store.path(item.digest))
            for item in large
            if not options.offsite.holds(item.digest, item.size)
        ]
    for item in large:
        store.delete(item.digest)
    return []


def _homeless(
    added: Added, large: Sequence[Descriptor], options: RegistryOptions
) -> Iterator[Problem]:
    path = f"{options.collections}/{added.name}/{TAGS}/{added.tag}"
    hint = "the registry's maintainers can set registry.blobs, or raise registry.commit_below"
    for item in large:
        message = (
            f"the layer {item.digest} is {item.size} bytes; the registry keeps no more than "
            f"{options.commit_below} in git, and has no other place"
        )
        yield Problem(path, 0, message, hint)


def _files(added: Added, options: RegistryOptions, top: Path) -> Iterator[str]:
    """Yield the files that were written, from the repository's top."""
    folder = CollectionFolder(options, added.name)
    tag = folder.path / TAGS / added.tag
    written = [*(tag / name for name in ("manifest.json", README)), folder.path / README]
    written += [
        folder.path / blob_path(part.descriptor.digest)
        for part in added.parts
        if part.place == "collection"
    ]
    yield from (os.fspath(path.relative_to(top)) for path in written if path.exists())
