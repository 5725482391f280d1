"""`builder verify`: whether a published site is what it says it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from builder.cli.console import Console
from builder.cli.options import Common, common_options, engine_option, remote_options
from builder.config import Config
from builder.errors import ContentError, Problem, RemoteError, counted, printable
from builder.oci.digest import Digest
from builder.remote.options import RemoteOptions

if TYPE_CHECKING:
    from builder.remote.http import Http
    from builder.verify.findings import Verified, VerifyOptions
    from builder.verify.seen import Seen
    from builder.verify.site import Share


@click.command("verify")
@click.argument("places", metavar="DIR-or-URL...", nargs=-1, required=True)
@click.option(
    "--public-key",
    "public_keys",
    metavar="KEY|FILE",
    multiple=True,
    help="A key that may sign the release; may be repeated.  [default: registry.keys]",
)
@click.option(
    "--state",
    metavar="FOLDER",
    help="Where to store the last release seen.  [default: .builder-cache of a registry]",
)
@click.option(
    "--name",
    metavar="URL",
    help="The name of the site.  [default: with keys, the registry's or the URL]",
)
@click.option(
    "--only", type=click.Choice(["v2", "pages"]), help="Check only one half of a split site."
)
@click.option(
    "--sample",
    type=click.IntRange(0, 100),
    default=100,
    show_default=True,
    metavar="PERCENT",
    help="Check only this share of files over 4 MiB, at random.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="How many files to read at once.",
)
@engine_option
@remote_options
@common_options
def command(
    *,
    places: tuple[str, ...],
    public_keys: tuple[str, ...],
    state: str | None,
    name: str | None,
    only: str | None,
    sample: int,
    jobs: int,
    engine: str,
    remote: RemoteOptions,
    common: Common,
) -> None:  # fmt: skip
    """Download a published site and check every digest.

    Checks release.json and its signature, every file that it lists, and
    everything that the catalog, tags, manifests and referrers lead to, wherever
    layers are stored. If several places are given, they must have the same
    release.
    """
    from builder.publish.signing import PublicKey, find_public_key  # noqa: PLC0415
    from builder.remote.http import Http  # noqa: PLC0415
    from builder.verify.findings import VerifyOptions  # noqa: PLC0415 - with the cryptography
    from builder.verify.seen import Seen  # noqa: PLC0415

    console = common.console
    config = common.config(anywhere=True)
    keys = [find_public_key(text) for text in public_keys]
    keys = keys or [PublicKey.parse(text, "registry.keys") for text in config.keys]
    if keys and name is None:
        name = _expected_name(config, places, console)
    half = cast("Literal['', 'v2', 'pages']", only or "")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    options = VerifyOptions(keys, half, sample / 100, jobs, name or "", now)
    folder = Path(state) if state else config.cache if config.files else None
    http = Http(remote)
    if config.registry.offsite is not None:
        http.trust(config.registry.offsite.url(Digest.of(b"")))  # the user wrote where layers are
    done = []
    for place in places:
        with _sharing(engine, place, remote, options) as share:
            done.append(_verify(console, place, http, options, Seen(folder), share=share))
    problems = [_at(item, problem, places) for item in done for problem in item.problems]
    problems += _mixed(done)
    console.result([_json(item) for item in done], "\n".join(_text(item, keys) for item in done))
    if problems:
        raise ContentError(problems)
    for item in done:
        if item.far:
            first, many = item.far[0], len(item.far)
            message = f"{item.address}: {many} paths could not be reached; {first.path}: "
            raise RemoteError(message + first.message, first.hint)


def _expected_name(config: Config, places: Sequence[str], console: Console) -> str:
    """Return which site a release must name: the registry's own, else that at the address."""
    from builder.publish.plan import site_name  # noqa: PLC0415

    name = site_name(config.address, "") if config.files else ""
    name = name or next((place.rstrip("/") for place in places if "://" in place), "")
    if not name:
        message = "no name of a site is known, so a release of any site is accepted"
        hint = "set url in _config.yml, or give --name URL; --name '' accepts any site"
        console.warn(Problem(places[0], message=message, hint=hint, warning=True))
    return name


@contextmanager
def _sharing(
    engine: str, place: str, remote: RemoteOptions, options: VerifyOptions
) -> Iterator[Share | None]:
    """Give what hands files to the machines of a cluster, or None where there is none."""
    if engine == "local":
        yield None
        return
    from builder.verify.hashing import Hasher, hash_died  # noqa: PLC0415
    from builder.write.engine import open_engine  # noqa: PLC0415

    address = place if "://" in place else os.path.abspath(place)
    with open_engine(engine)(Hasher(address, remote, replace(options, keys=())), 0) as pool:
        yield lambda rows: pool.run("hash", rows, key=itemgetter(0), died=hash_died)


def _verify(
    console: Console,
    text: str,
    http: Http,
    options: VerifyOptions,
    seen: Seen,
    *,
    share: Share | None,
) -> Verified:
    from builder.publish.moves import HEAD  # noqa: PLC0415
    from builder.verify.findings import Finding  # noqa: PLC0415
    from builder.verify.places import open_place  # noqa: PLC0415
    from builder.verify.site import Verifier  # noqa: PLC0415

    place = open_place(text, http)
    verifier = Verifier(place, http, options, share)
    try:
        release = verifier.release()
    except ContentError as error:
        for fault in error.problems:
            verifier.found(Finding(fault.path, fault.message, hint=fault.hint))
        return verifier.result
    if release is not None and seen.is_blank(place.address):
        console.say(f"nothing was seen of {place.address} before: whether this is its newest "
                    "release shows from the next run on")  # fmt: skip
    older = seen.judge(place.address, release) if release is not None else None
    if older is not None:
        verifier.found(Finding(older.path, older.message, hint=older.hint))
    total = release.size if release is not None else None
    with console.progress(total, "verifying") as advance:
        result = verifier.run(advance)
    if options.only != "pages" and all(item.path != HEAD for item in result.findings):
        rewritten = seen.judge_log(place.address, result.log)
        if rewritten is not None:
            verifier.found(Finding(rewritten.path, rewritten.message, hint=rewritten.hint))
    return result


def _at(item: Verified, problem: Problem, places: Sequence[str]) -> Problem:
    """Return a problem that says where it is when there are several places."""
    if len(places) == 1:
        return problem
    return Problem(f"{item.address}/{problem.path}", 0, problem.message, problem.hint)


def _mixed(done: Sequence[Verified]) -> list[Problem]:
    """Return a problem for every place whose release is not the first one's."""
    found = []
    first = next((item for item in done if item.release is not None), None)
    for item in done:
        if first is None or first.release is None or item.problems:
            continue
        theirs = item.release.digest if item.release is not None else ""
        if theirs != first.release.digest:
            what = f"release {item.release.generation}" if item.release else "no release"
            message = f"has {what}, {first.address} has release {first.release.generation}"
            hint = "these mirrors do not have the same release"
            found.append(Problem(item.address, message=message, hint=hint))
    return found


def _json(item: Verified) -> dict[str, Any]:
    release = item.release
    return {
        "place": item.address,
        "release": release
        and {
            "generation": release.generation,
            "time": release.time,
            "expires": release.expires or None,
            "name": release.name,
            "signed": bool(release.signatures),
            "checkedBy": release.checked_by or None,
        },
        "moves": len(item.log.moves) if item.log else None,
        "names": item.names,
        "manifests": item.manifests,
        "blobs": item.blobs,
        "files": item.files,
        "bytes": item.size,
        "problems": [
            {
                "path": printable(found.path),
                "message": found.message,
                "expected": found.expected or None,
                "actual": found.actual or None,
                "reached": not found.far,
            }
            for found in item.findings
        ],
    }


def _text(item: Verified, keys: Sequence[object]) -> str:
    count = len(item.findings)
    verdict = counted(count, "finding") if count else "no problems found"
    parts = ((item.names, "name"), (item.manifests, "manifest"), (item.blobs, "blob"))
    read = ", ".join(counted(number, noun) for number, noun in (*parts, (item.size, "byte")))
    release = item.release
    if release is None:
        return f"{item.address}: {read}; no release.json: {verdict}"
    signed = f"signed by {release.checked_by}" if keys else (
        "its signature was not checked: no key is known" if release.signatures else "not signed"
    )  # fmt: skip
    name = printable(release.name) or "a site without a name"
    about = f"release {release.generation} of {name}, {release.time}, {signed}"
    return f"{item.address}: {about}\n  {counted(item.files, 'file')}, {read}: {verdict}"
