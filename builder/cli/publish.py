"""`builder publish`: the built site to where people reach it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli.console import Console
from builder.cli.options import Common, build_options, common_options, remote_options
from builder.config import Config
from builder.errors import ContentError, LocalError, UsageError, counted, did_you_mean
from builder.publish.hosts import deploy_command
from builder.publish.plan import Half, Plan, PublishOptions, site_name
from builder.registry.clock import now
from builder.remote.options import RemoteOptions
from builder.targets import target_names

if TYPE_CHECKING:
    from builder.build.pipeline import Pipeline
    from builder.publish.signing import SigningKey
    from builder.publish.site import Candidate
    from builder.storage.objects import ObjectStore

_STALE = "the server may still serve the release before this one"
_SETTLING = 2.0  # seconds in which a server that was told to has read its rules


@click.command("publish")
@click.argument("dest", metavar="[DEST]", default="")
@click.option(
    "--only", type=click.Choice(["v2", "pages"]), help="Publish only one half of the site."
)
@click.option("--no-build", is_flag=True, help="Publish the last build as it is.")
@click.option("--prune", is_flag=True, help="Then remove what no kept release needs.")
@click.option(
    "--keep",
    type=click.IntRange(2),
    default=5,
    show_default=True,
    metavar="N",
    help="How many releases to keep.",
)
@click.option(
    "--grace",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    metavar="MINUTES",
    help="How long to keep replaced content at least.",
)
@click.option(
    "--reload",
    "reload_command",
    metavar="COMMAND",
    default="",
    help="The command that reloads the web server.",
)
@click.option(
    "--key",
    "key_file",
    metavar="FILE",
    default="",
    help="Sign the release with the key in FILE.  [default: BUILDER_SIGNING_KEY]",
)
@click.option(
    "--expires",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    help="Let the release expire after DAYS.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    default="",
    help="The bucket's server.  [default: AWS_ENDPOINT_URL]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@build_options
@remote_options
@common_options
def command(
    *,
    dest: str,
    only: Half | None,
    no_build: bool,
    prune: bool,
    keep: int,
    grace: int,
    reload_command: str,
    key_file: str,
    expires: int | None,
    endpoint: str,
    dry_run: bool,
    remote: RemoteOptions,
    common: Common,
    jobs: int,
    strict: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Publish the site to a server's folder or a bucket.

    DEST is a folder, s3://BUCKET/PREFIX, gs://BUCKET or az://CONTAINER. Without
    DEST, or with the name of a target, print how to publish there. Only changes
    are sent, and content before the tags that point to it.
    """
    console = common.console
    bucket = "://" in dest
    if bucket and not flags["target"]:
        flags["target"] = "s3"
    config = common.config(**flags)
    target = config.target.capabilities.name
    if verbose:
        console.say(f"target {target}, built in {config.destination}")
    if not bucket and (not dest or _is_host(dest)):
        _say_how(console, dest or target, config)
        return
    store = _open(dest, endpoint=endpoint, remote=remote, reload_command=reload_command)
    if store is None:
        _check_folder(dest, config.source)
    reloading = _words(reload_command)
    from builder.build.how import How  # noqa: PLC0415 - the commands that build pay for it
    from builder.build.pipeline import Pipeline  # noqa: PLC0415
    from builder.publish.signing import PublicKey  # noqa: PLC0415
    from builder.publish.site import Candidate  # noqa: PLC0415

    key = _signing_key(key_file, config, console, dry_run=dry_run)
    options = PublishOptions(
        time=now(), name=site_name(config.address, only or ""), key=key, expires=expires or 0,
        keys=tuple(PublicKey.parse(text, "registry.keys") for text in config.keys),
        keep=keep, grace=grace * 60, prune=prune, jobs=jobs or 16,
    )  # fmt: skip
    pipeline = Pipeline(config, How(jobs, progress=console.step))
    if not no_build:
        _build(pipeline, console, strict=strict)
    with pipeline.built() as built:
        site = Candidate(built, config.target, config.address, only or "")
        if store is None:
            plan = _to_folder(console, Path(dest), site, options, reloading, dry_run=dry_run)
        else:
            plan = _to_bucket(console, store, site, options, dry_run=dry_run)
    note = "" if bucket or reload_command or dry_run else _note(target, plan)
    text = "" if console.quiet else _text(plan, note, dry_run=dry_run)
    console.result(_json(plan, dry_run=dry_run), text)


def _build(pipeline: Pipeline, console: Console, *, strict: bool) -> None:
    """Build the site; raises ContentError for warnings if `strict`."""
    report = pipeline.build()
    console.warn_all(report.warnings)
    if strict and report.warnings:
        raise ContentError(report.warnings)


def _to_folder(
    console: Console,
    root: Path,
    site: Candidate,
    options: PublishOptions,
    command: Sequence[str],
    *,
    dry_run: bool,
) -> Plan:
    from builder.publish.folder import publish_folder  # noqa: PLC0415 - only for folders

    reload = partial(_reload, command) if command else None
    return publish_folder(
        root, site, options, dry_run=dry_run, progress=console.step, reload=reload
    )


def _to_bucket(
    console: Console, store: ObjectStore, site: Candidate, options: PublishOptions, *, dry_run: bool
) -> Plan:
    from builder.publish.bucket import publish_bucket  # noqa: PLC0415 - only for buckets

    return publish_bucket(
        store,
        site,
        options,
        dry_run=dry_run,
        progress=lambda total: console.progress(total, "sending"),
    )


def _open(
    dest: str, *, endpoint: str, remote: RemoteOptions, reload_command: str
) -> ObjectStore | None:
    """Return the bucket that DEST names, None for a folder; raises UsageError for flags amiss."""
    if "://" not in dest:
        if endpoint:
            raise UsageError("--endpoint is for buckets", "a folder is on this machine")
        return None
    if reload_command:
        raise UsageError("--reload is for folders", "a bucket's server reads no rules")
    from builder.storage.objects import open_objects  # noqa: PLC0415 - 20 ms

    return open_objects(dest, endpoint=endpoint, insecure=remote.insecure, ca=remote.ca)


def _words(command: str) -> list[str]:
    """Return a command's words, before anything is done; raises UsageError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        message = f"--reload {command}: {error}"
        raise UsageError(message, "write it as in a shell") from None
    if command and not words:
        raise UsageError("--reload: is empty", "write a command such as 'nginx -s reload'")
    return words


def _reload(command: Sequence[str]) -> None:
    """Run a command and give the server the time to change over; raises LocalError."""
    shown = f"--reload {shlex.join(command)}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LocalError(f"{shown}: {error.strerror or error}", _STALE) from None
    if done.returncode:
        said = f": {text[-300:]}" if (text := done.stderr.strip()) else ""
        raise LocalError(f"{shown}: exit {done.returncode}{said}", _STALE)
    time.sleep(_SETTLING)


def _signing_key(
    file: str, config: Config, console: Console, *, dry_run: bool
) -> SigningKey | None:
    """Return the key that signs the release, if any.

    Raises UsageError where `verify` would refuse the release; a dry run needs no secret.
    """
    from builder.publish.signing import find_signing_key  # noqa: PLC0415 - with the cryptography

    key = find_signing_key(file)
    if key is None:
        if config.keys and not dry_run:
            hint = "give --key FILE, or set BUILDER_SIGNING_KEY"
            raise UsageError("registry.keys is set, so the release must be signed", hint)
        return None
    if config.keys and key.public.text not in config.keys:
        hint = f"add its public key, {key.public.text}, or use another"
        raise UsageError(f"the key {key.public.id} is not one of registry.keys", hint)
    if not config.address.url:
        console.say("no url is set, so the signed release does not name its site")
    return key


def _is_host(dest: str) -> bool:
    return deploy_command(dest, "") is not None and not Path(dest).exists()


def _check_folder(dest: str, source: Path) -> None:
    """Refuse what no folder was meant by, and a folder that the next build would publish."""
    if ":" in dest.partition("/")[0]:
        hint = f"mount another machine's folder first; a bucket is s3://BUCKET; a folder ./{dest}"
        raise UsageError(f"{dest}: is neither a folder here nor a bucket", hint)
    if not Path(dest).exists() and (near := did_you_mean(dest, target_names())):
        raise UsageError(f"{dest}: there is no such folder", f"{near} A folder is ./{dest}")
    folder, registry = Path(os.path.realpath(dest)), Path(os.path.realpath(source))
    if folder.is_relative_to(registry):
        inner = folder.relative_to(registry).parts
        if not (inner and inner[0].startswith(("_", "."))):
            message = f"{dest}: lies in the registry's folder, which the next build would publish"
            raise UsageError(message, "choose a folder elsewhere")


def _say_how(console: Console, target: str, config: Config) -> None:
    found = deploy_command(target, _shown(config.destination))
    if found is None:
        raise UsageError("no DEST is given", "write a folder, or s3://BUCKET")
    build = f"builder build -t {target}"
    publish, remark = found
    value = {"target": target, "build": build, "publish": publish, "remark": remark}
    console.result(value, f"{build}\n{publish}\n  ({remark})")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _note(target: str, plan: Plan) -> str:
    """Return what is left to do for a server that reads its rules only when it is told."""
    if not plan.changed:
        return ""
    if target in ("apache", "caddy", "nginx"):
        return f"reload {target}: until then it serves the release before this one"
    return ""


def _json(plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "destination": plan.destination,
        "generation": plan.generation,
        "changed": plan.changed,
        "sent": {"files": len(plan.send), "bytes": plan.size},
        "stages": [
            {"stage": name, "files": files, "bytes": size} for name, files, size in plan.stages()
        ],
        "unchanged": plan.same,
        "removed": list(plan.remove),
        "dryRun": dry_run,
    }


def _text(plan: Plan, note: str, *, dry_run: bool) -> str:
    would = "would send" if dry_run else "sent"
    lines = [
        f"{name:15} {files:>9,} files {size:>15,} bytes" for name, files, size in plan.stages()
    ]
    if plan.changed:
        what = f"release {plan.generation} at {plan.destination}"
        lines.append(
            f"{what}: {would} {counted(len(plan.send), 'file')}, {plan.same:,} there already"
        )
    else:
        lines.append(f"nothing changed: release {plan.generation} at {plan.destination}")
    if plan.remove:
        verb = "would remove" if dry_run else "removed"
        lines.append(f"{verb} {len(plan.remove):,} that no kept release needs")
    return "\n".join([*lines, note] if note else lines)
