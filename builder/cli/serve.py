"""`builder serve`: the site on this machine, as its host would serve it."""

from __future__ import annotations

import multiprocessing
import signal
import ssl
import time
import webbrowser
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from builder.build.judge import judge_of
from builder.build.pipeline import Pipeline, preview
from builder.cli.build import summary
from builder.cli.console import Console
from builder.cli.options import (
    Common,
    build_options,
    common_options,
    remote_options,
    server_options,
)  # fmt: skip
from builder.cli.serve_apps import serve_apps
from builder.cli.stopping import run_until_stopped
from builder.config import Config
from builder.documents.discover import is_read
from builder.errors import BuilderError, ContentError, LockedError, UsageError
from builder.pull_requests.owners import find_owners
from builder.receive.receiver import Receiver, Rules
from builder.registry.folder import TAGS
from builder.remote.address import is_loopback
from builder.remote.options import RemoteOptions
from builder.write.lookup import PreviewSite

if TYPE_CHECKING:
    from builder.preview.users import Users

_SWEEP = 100  # builds between two looks for what no page leads to any more


class _Outcome(NamedTuple):
    """What a build in the other process came to."""

    text: str
    problems: tuple[str, ...]
    failed: bool


class _Door(NamedTuple):
    """Where the server listens, to whom, and how."""

    host: str
    port: int
    names: tuple[str, ...]
    tls: ssl.SSLContext | None
    users: Users | None


@click.command("serve")
@server_options(4000)
@click.option("--push", is_flag=True, help="Also take what clients push, into the registry.")
@click.option("--tls-cert", metavar="FILE", default="", help="Speak TLS: the certificate, PEM.")
@click.option("--tls-key", metavar="FILE", default="", help="The certificate's key, PEM.")
@click.option(
    "--htpasswd", metavar="FILE", default="", help="Let in the users of this file alone (bcrypt)."
)
@click.option("-o", "--open", "open_browser", is_flag=True, help="Open a browser.")
@click.option("--no-livereload", is_flag=True, help="Do not reload the browser after a change.")
@click.option(
    "--from",
    "registry",
    metavar="URL",
    help="Serve the web apps of another registry, http://HOST:PORT, and nothing else.",
)
@click.option(
    "--type", "kind", metavar="TYPE", help="With --from: the media type of an app's config."
)
@build_options
@remote_options
@common_options
@click.pass_context
def command(
    context: click.Context,
    *,
    common: Common,
    destination: str,
    baseurl: str | None,
    url: str | None,
    target: str,
    drafts: bool,
    allow_missing: bool,
    strict: bool,
    jobs: int,
    verbose: bool,
    host: str,
    port: int,
    allowed: tuple[str, ...],
    push: bool,
    tls_cert: str,
    tls_key: str,
    htpasswd: str,
    open_browser: bool,
    no_livereload: bool,
    registry: str | None,
    kind: str | None,
    remote: RemoteOptions,
) -> None:  # fmt: skip
    """Build, serve on this machine, and reload on change.

    Without -t every header is sent, whatever the configured target can do;
    with -t the preview answers exactly as that host would.

    With --from, /NAME/VERSION/ is the web app that the registry's tag holds.
    """
    if registry and push:
        raise UsageError("--push is for this registry, --from for another", "give one of them")
    if registry:
        serve_apps(context, registry, remote, host=host, port=port)
        return
    if push and target:
        raise UsageError("--push needs every header, and -t takes some away", "leave -t away")
    if remote != RemoteOptions() or kind:
        raise UsageError("--insecure, --ca and --type are for --from alone")
    del strict, verbose
    flags: dict[str, Any] = {"baseurl": baseurl, "drafts": drafts, "allow_missing": allow_missing}
    name = target or "preview"

    def configure(address: str) -> Config:
        config = common.config(target=name, destination=destination, url=url or address, **flags)
        return config if destination else replace(config, destination=config.cache / "serve" / name)

    console = common.console
    if not target:
        _say_limits(console, common.config(target="", destination="", url=url or "", **flags))
    if bool(tls_cert) != bool(tls_key):
        raise UsageError("--tls-cert and --tls-key go together", "give both")
    if push and not is_loopback(host) and not (tls_cert and htpasswd):
        hint = "give --tls-cert, --tls-key and --htpasswd, or push to this machine only"
        raise UsageError(f"--push on {host} would let everybody write", hint)
    if not is_loopback(host):
        who = "anyone who logs in" if htpasswd else "anyone who reaches it"
        console.say(f"warning: on {host} {who} can read this registry")
    from builder.preview.listening import tls_context  # noqa: PLC0415 - tornado is heavy
    from builder.preview.users import Users  # noqa: PLC0415

    door = _Door(
        host, port, allowed, tls_context(tls_cert, tls_key) if tls_cert else None,
        Users.read(Path(htpasswd)) if htpasswd else None,
    )  # fmt: skip
    rules = _rules(lambda: common.config(target="", destination="", url=url or "", **flags))
    builder = _Builder(configure, jobs)
    try:
        _serve(configure, builder, console, door, rules=rules if push else None,
               reload=not no_livereload, browse=open_browser)  # fmt: skip
    finally:
        builder.close()


def _say_limits(console: Console, config: Config) -> None:
    capable = config.pages.capabilities
    if capable.name == "preview":
        return
    lacking = [
        text
        for text, has in (
            ("a Content-Type for each manifest", capable.media_types),
            ("digest headers", capable.headers),
            ("redirects", capable.redirects),
            ("/v2/ at the root of its host", capable.host_root),
        )
        if not has
    ]
    if lacking:
        console.say(f"note: published for {capable.name} it will lack: {', '.join(lacking)}")
        console.say(f"      'builder serve -t {capable.name}' shows it exactly")


def _serve(
    configure: Callable[[str], Config],
    builder: _Builder,
    console: Console,
    door: _Door,
    *,
    rules: Callable[[], Rules] | None,
    reload: bool,
    browse: bool,
) -> None:
    from builder.preview.respond import Responder  # noqa: PLC0415 - tornado is heavy
    from builder.preview.server import Server, url_host  # noqa: PLC0415
    from builder.preview.watch import Watcher  # noqa: PLC0415

    spool = configure("").source / ".builder-cache/receive"
    receiver = Receiver(spool, rules) if rules else None
    server = Server(
        host=door.host, port=door.port, reload=reload, allow_hosts=door.names,
        receiver=receiver, users=door.users, tls=door.tls,
    )  # fmt: skip
    scheme = "https" if door.tls else "http"
    address = f"{scheme}://{url_host(door.host)}:{server.port}"
    config = configure(address)
    configs = _names(config)

    place = preview(config)
    held: list[PreviewSite] = []
    builds = count()

    def responder() -> Responder:
        held.insert(0, place.site())
        for site in held[1:]:
            held.remove(site)
            site.close()
        shown = receiver.over(held[0]) if receiver else held[0]
        return Responder(shown, config.pages.capabilities, config.address.baseurl)

    def rebuild(touched: frozenset[str] | None) -> _Outcome:
        began = time.monotonic()
        outcome = builder.build(address, touched)
        console.say(f"{outcome.text} in {time.monotonic() - began:.2f} s")
        server.show(None if outcome.failed else responder, outcome.problems)
        if not outcome.failed and next(builds) % _SWEEP == 0:
            with closing(place.site()) as site:
                site.sweep()
        return outcome

    def ready() -> None:
        shown = f"{address}{config.address.baseurl}/"
        click.echo(f"serving {shown}  (Ctrl-C ends it)")
        if browse:
            webbrowser.open(shown)

    def changed(touched: frozenset[str]) -> None:
        rebuild(touched)

    watcher = Watcher(
        config.source, lambda path: is_read(path, config.site, configs), changed, console.say
    )
    kept = place.has_site()
    if not kept and rebuild(None).failed:
        server.close()
        raise ContentError.at(
            str(config.source), "the first build failed", "mend what is said above"
        )
    server.responder = responder()
    watcher.start()
    if kept:
        console.say("the last preview is served until what is new has been built")
        watcher.look()
    try:
        run_until_stopped(server, ready)
    finally:
        watcher.stop()


def _rules(configure: Callable[[], Config]) -> Callable[[], Rules]:
    """Return what a push is held against: the configuration as it is at that time."""
    known: list[tuple[Config, object, Rules]] = []

    def rules() -> Rules:
        if not known or known[0][1] != _config_stamp(known[0][0]):
            config = configure()
            made = Rules(config.registry, judge_of(config), _owners(config))
            known[:] = [(config, _config_stamp(config), made)]
        return known[0][2]

    return rules


def _owners(config: Config) -> Callable[[str, str], bool]:
    """Return who may push what: everybody who is let in, or those whom OWNERS names."""

    def read(path: str) -> bytes | None:
        file = config.source / path
        return file.read_bytes() if file.is_file() else None

    def may(user: str, name: str) -> bool:
        owners = find_owners(read, "")
        folder = f"{config.registry.collections}/{name}/{TAGS}"
        return owners is None or owners.may_change(user, folder)

    return may


def _names(config: Config) -> frozenset[str]:
    """Return the configuration files as source paths, the usual one even where it is missing."""
    inside = (path for path in config.files if path.is_relative_to(config.source))
    return frozenset({"_config.yml", *(str(path.relative_to(config.source)) for path in inside)})


class _Builder:
    """A process that builds, forked before this one has threads.

    Builds there do not hold up requests here, and its memory of the last
    build makes the next one short.
    """

    def __init__(self, configure: Callable[[str], Config], jobs: int) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_build_loop, args=(theirs, self._pipe, configure, jobs)
        )
        self._process.start()
        theirs.close()

    def build(self, address: str, touched: frozenset[str] | None) -> _Outcome:
        """Build for a preview at `address` there, print what is wrong, and return how it went."""
        try:
            self._pipe.send((address, touched))
            outcome: _Outcome = self._pipe.recv()
        except (EOFError, BrokenPipeError):
            text = "the building process has ended; start 'builder serve' again"
            return _Outcome(text, (text,), failed=True)
        for problem in outcome.problems:
            click.echo(problem, err=True)
        return outcome

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()


def _build_loop(
    pipe: Connection, parents: Connection, configure: Callable[[str], Config], jobs: int
) -> None:
    """Build whenever asked, until the pipe is closed."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    kept = _Kept(configure, jobs)
    with suppress(EOFError, ConnectionResetError, BrokenPipeError):  # the server has ended
        while True:
            pipe.send(kept.build(*pipe.recv()))


class _Kept:
    """The pipeline of one build after the other, made anew when the configuration changes."""

    def __init__(self, configure: Callable[[str], Config], jobs: int) -> None:
        self._configure = configure
        self._jobs = jobs
        self._pipeline: Pipeline | None = None
        self._stamp: object = None

    def build(self, address: str, touched: frozenset[str] | None) -> _Outcome:
        """Build; what goes wrong is an outcome too."""
        try:
            return self._build(address, touched)
        except LockedError as error:
            return _Outcome("waiting", (str(error),), failed=True)
        except BuilderError as error:
            problems = getattr(error, "problems", (error,))
            return _Outcome("not built", tuple(map(str, problems)), failed=True)
        except OSError as error:
            text = f"{error.filename or 'the disk'}: {error.strerror}"
            return _Outcome("not built", (text,), failed=True)

    def _build(self, address: str, touched: frozenset[str] | None) -> _Outcome:
        if self._pipeline is None or self._stamp != _config_stamp(self._pipeline.config):
            self._pipeline, touched = preview(self._configure(address), jobs=self._jobs), None
            self._stamp = _config_stamp(self._pipeline.config)
        report = self._pipeline.build(touched)
        warnings = tuple(map(str, report.warnings)) if touched is None else ()
        return _Outcome(summary(report), warnings, failed=False)


def _config_stamp(config: Config) -> object:
    """Return what the configuration's files say: they are few, and times can be equal."""
    files = config.files or (Path(config.source / "_config.yml"),)
    return [(path, path.read_bytes() if path.exists() else b"") for path in files]
