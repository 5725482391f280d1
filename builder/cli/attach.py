"""`builder attach`: signatures, SBOMs and other files that refer to an image."""

from __future__ import annotations

import re

import click

from builder.build.judge import judge_of
from builder.cli.add import parse_platform
from builder.cli.options import Common, common_options, dry_run_option
from builder.errors import UsageError
from builder.oci import mediatype
from builder.oci.reference import Reference
from builder.registry.attach import find_subject
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.transports.files import FileSource
from builder.transports.intake import add_image
from builder.transports.registry_sink import Terms

# Short words for types that people attach.
TYPES = {
    "spdx": mediatype.SPDX,
    "cyclonedx": mediatype.CYCLONEDX,
    "sigstore": mediatype.SIGSTORE_BUNDLE,
    "in-toto": mediatype.IN_TOTO,
    "vex": mediatype.OPENVEX,
    "sarif": mediatype.SARIF,
    "text": mediatype.TEXT,
}
_ENDINGS = ((".spdx.json", "spdx"), (".cdx.json", "cyclonedx"), (".bom.json", "cyclonedx"),
            (".sigstore.json", "sigstore"), (".sigstore", "sigstore"), (".intoto.jsonl", "in-toto"),
            (".openvex.json", "vex"), (".sarif", "sarif"))  # fmt: skip


@click.command("attach")
@click.argument("reference", metavar="NAME[:TAG|@DIGEST]")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    default="",
    help=f"A media type, or one of {', '.join(TYPES)}.  [default: by the file's name]",
)
@click.option(
    "--annotation",
    "annotations",
    metavar="KEY=VALUE",
    multiple=True,
    help="Add an annotation; may be repeated.",
)
@click.option("--platform", metavar="OS/ARCH", help="Attach to one platform's image of an index.")
@dry_run_option
@common_options
def command(
    *,
    reference: str,
    files: tuple[str, ...],
    kind: str,
    annotations: tuple[str, ...],
    platform: str | None,
    dry_run: bool,
    common: Common,
) -> None:  # fmt: skip
    """Attach files to an image: an SBOM, a signature, or any other file.

    The files become a referrer, which clients find by the image's digest.
    Attaching the same file again changes nothing.
    """
    console = common.console
    wanted = Reference.parse(reference, tag="latest")
    artifact_type = _artifact_type(kind, files[0])
    config = common.config()
    options = config.registry
    terms = Terms(created=now(), judge=judge_of(config), dry_run=dry_run)
    notes = dict(map(_pair, annotations))
    chosen = parse_platform(platform) if platform else None
    with lock(options):
        subject = find_subject(options, wanted, chosen)
        spool = options.source / ".builder-cache"
        with FileSource(files, spool, artifact_type, subject, notes) as medium:
            added = add_image(options, medium, medium.resolve(), Reference(wanted.name), terms)
    value = {
        "name": wanted.name,
        "subject": str(subject.digest),
        "digest": str(added.digest),
        "artifactType": artifact_type,
        "changed": added.changed,
        "dryRun": dry_run,
    }
    verb = "would attach" if dry_run else "attached" if added.changed else "unchanged:"
    text = f"{verb} {wanted.name}@{added.digest} ({artifact_type}) to {subject.digest}"
    console.result(value, text)


def _artifact_type(kind: str, file: str) -> str:
    if not kind:
        kind = next((word for ending, word in _ENDINGS if file.lower().endswith(ending)), "")
    if not kind:
        known = ", ".join(TYPES)
        raise UsageError(f"{file}: its name does not tell what it is", f"give --type: {known}")
    found = TYPES.get(kind, kind)
    if not mediatype.is_valid(found):
        raise UsageError(f"--type {kind}: is not a media type", f"or one of {', '.join(TYPES)}")
    return found


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", key) is None:
        raise UsageError(f"--annotation {text}: is not KEY=VALUE")
    return key, value
