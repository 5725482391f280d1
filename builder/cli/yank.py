"""`builder yank`: a tag that people should not take any more, and why."""

from __future__ import annotations

import click

from builder.build.judge import judge_of
from builder.cli.options import Common, common_options, dry_run_option
from builder.errors import UsageError
from builder.oci.reference import Reference
from builder.registry.edit import lock, yank_tag


@click.command("yank")
@click.argument("reference", metavar="NAME:TAG")
@click.argument("reason", required=False, default="")
@click.option("--undo", is_flag=True, help="Remove the warning.")
@dry_run_option
@common_options
def command(*, reference: str, reason: str, undo: bool, dry_run: bool, common: Common) -> None:
    """Warn users about a tag, with a reason.

    The image can still be pulled. Pages, lists, search and feeds show the
    warning for every tag with the same digest, and no page shows such a tag as
    the newest.
    """
    wanted = Reference.parse(reference)
    if not wanted.tag:
        raise UsageError(f"{reference}: names no tag", "write NAME:TAG")
    if undo == bool(reason.strip()):
        hint = 'write NAME:TAG "why it should not be used"'
        raise UsageError("give a reason, or --undo alone", hint)
    config = common.config()
    with lock(config.registry):
        tags = yank_tag(
            config.registry, wanted.name, wanted.tag, " ".join(reason.split()),
            judge=judge_of(config), dry_run=dry_run,
        )  # fmt: skip
    verb = ("would " if dry_run else "") + ("restore" if undo else "yank")
    verb = verb if dry_run else {"restore": "restored", "yank": "yanked"}[verb]
    value = {"name": wanted.name, "tag": wanted.tag, "yanked": reason or None, "sameDigest": tags,
             "dryRun": dry_run}  # fmt: skip
    also = f", and so {', '.join(tags)}, with the same digest" if tags else ""
    common.console.result(value, f"{verb} {wanted}{also}")
