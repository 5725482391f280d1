"""`builder submit`: a pull request's branch for another repository's registry."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from builder.build.judge import judge_of
from builder.cli.add import parse_platform
from builder.cli.options import (
    Common,
    accept_foreign,
    author_option,
    common_options,
    dry_run_option,
    no_fetch_option,
    remote_options,
)
from builder.errors import UsageError, redacted
from builder.oci.reference import Reference
from builder.pull_requests.author import find_author
from builder.pull_requests.origin import Origin
from builder.pull_requests.submit import Submission, Wanted, submit
from builder.remote.options import RemoteOptions
from builder.transports.sources import SourceOptions, open_source


@click.command("submit")
@click.argument("image", metavar="SOURCE")
@click.argument("name", metavar="NAME[:TAG]")
@click.option(
    "--registry",
    required=True,
    metavar="PATH|URL",
    help="The registry's git repository: a local clone, or a URL.",
)
@click.option(
    "--base",
    default="",
    metavar="BRANCH",
    help="The branch to propose to.  [default: the repository's default branch]",
)
@click.option(
    "--branch", default="", metavar="NAME", help="The branch to create.  [default: submit/NAME-TAG]"
)
@click.option("--message", default="", metavar="TEXT", help="The commit's message.")
@author_option
@click.option("--platform", metavar="OS/ARCH", help="Import only the image of one platform.")
@accept_foreign
@no_fetch_option
@click.option("--push", is_flag=True, help="Push the branch.")
@click.option("--replace", is_flag=True, help="Replace the branch of an earlier run.")
@dry_run_option
@remote_options
@common_options
def command(
    *,
    image: str,
    name: str,
    registry: str,
    platform: str | None,
    author: str | None,
    no_fetch: bool,
    push: bool,
    dry_run: bool,
    remote: RemoteOptions,
    common: Common,
    **how: Any,
) -> None:  # fmt: skip
    """Propose an image to a registry in another repository.

    Creates a branch that changes one tag's folder, checks it as 'builder check
    --base' does, and pushes it with --push. A URL is cloned first; in a local
    clone only the branch is added. SOURCE is any source of 'builder add';
    --source is the registry's folder in its repository.
    """
    console = common.console
    origin = Origin.parse(registry)
    if common.configs:
        raise UsageError("--config is not for submit", "the registry's own configuration counts")
    if origin.folder is None and not (push or dry_run):
        hint = "add --push, or --dry-run to see what would be pushed"
        raise UsageError("with a URL, the branch is lost unless it is pushed", hint)
    wanted = Reference.parse(name)
    if wanted.digest:
        raise UsageError(f"{name}: an image is proposed under a tag", "write NAME:TAG")
    with tempfile.TemporaryDirectory(prefix="builder-submit-") as folder:
        workspace = Path(folder)
        with open_source([image], SourceOptions(workspace / "spool", remote)) as medium:
            reference = Reference(wanted.name, wanted.tag or medium.suggested_tag or "latest")
            choices = Wanted(
                reference,
                common.source,
                author=find_author(os.environ) if author is None else author,
                remote=None if no_fetch else remote,
                platform=parse_platform(platform) if platform else None,
                push=push,
                dry_run=dry_run,
                **how,
            )
            done = submit(
                medium, origin, choices, workspace, judge_of=judge_of,
                progress=lambda total: console.progress(total, f"adding {reference}"),
            )  # fmt: skip
    console.warn_all(done.proposal.problems if done.proposal else ())
    console.result(_json(done, choices), redacted(_text(done, choices)))


def _json(done: Submission, wanted: Wanted) -> dict[str, Any]:
    return {
        "name": done.added.name,
        "tag": done.added.tag,
        "digest": str(done.added.digest),
        "changed": bool(done.commit),
        "base": done.base,
        "branch": done.branch,
        "commit": done.commit or None,
        "files": list(done.files),
        "pushed": bool(done.commit) and wanted.push and not wanted.dry_run,
        "dryRun": wanted.dry_run,
        "compare": done.request.page or None,
        "command": done.request.command or None,
    }


def _text(done: Submission, wanted: Wanted) -> str:
    reference = f"{done.added.name}:{done.added.tag}"
    if not done.commit:
        return f"unchanged: {done.base} has {reference} {done.added.digest}"
    verb = "would propose" if wanted.dry_run else "pushed" if wanted.push else "committed"
    lines = [f"{verb} {reference} {done.added.digest} on {done.branch}"]
    lines += [f"  {path}" for path in done.files]
    if not wanted.dry_run and not wanted.push:
        lines.append(f"  push it: git push origin {done.branch}")
    lines += [f"  {text}" for text in (done.request.page, done.request.command) if text]
    return "\n".join(lines)
