"""`builder keygen`: the key that signs releases."""

from __future__ import annotations

import os
from pathlib import Path

import click

from builder.cli.options import Common, common_options
from builder.errors import LocalError, UsageError


@click.command("keygen")
@click.argument("file", metavar="FILE")
@click.option("--show", is_flag=True, help="Print the public key of an existing FILE.")
@common_options
def command(*, file: str, show: bool, common: Common) -> None:
    """Create an Ed25519 key that signs releases, and print its public half.

    FILE is secret, so it cannot be in a registry's folder, which is committed
    and published. Put the public key into registry.keys.
    """
    from builder.publish.signing import SigningKey, load_signing_key  # noqa: PLC0415 - slow

    console = common.console
    if show:
        key = load_signing_key(file)
    else:
        _refuse_registry(file)
        key = SigningKey.make()
        _write(file, key.to_pem())
    public = key.public
    console.result({"key": file, "public": public.text, "id": public.id}, public.text)
    if not show:
        console.say(f"wrote {file}; keep it secret, and put this into _config.yml:")
        console.say(f"registry:\n  keys: [{public.text}]")


def _refuse_registry(file: str) -> None:
    folders = Path(os.path.realpath(os.path.dirname(file)))
    for folder in (folders, *folders.parents):
        if (folder / "_config.yml").is_file() and (folder / "collections").is_dir():
            message = f"{file}: lies in the registry {folder}, which is committed and published"
            raise UsageError(message, f"write it elsewhere, as in {folder.parent / 'release.key'}")


def _write(file: str, pem: bytes) -> None:
    """Write a file that only its owner reads; raises UsageError where there is one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, 0o600)
    except FileExistsError:
        raise UsageError(f"{file}: is there already", "use another name, or --show") from None
    except OSError as error:
        hint = "the file's folder must be there, and yours to write to"
        raise LocalError.of(error, file, hint) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        os.unlink(file)
        raise LocalError(f"{file}: {error.strerror}", "nothing was written") from None
