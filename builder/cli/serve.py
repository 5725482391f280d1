"""`builder serve`: the site on this machine, as its host would serve it."""

from __future__ import annotations

import multiprocessing
import signal
import time
import webbrowser
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import click

from builder.build.pipeline import Pipeline
from builder.cli.build import summary
from builder.cli.options import (
    Common,
    Console,
    build_options,
    common_options,
    remote_options,
)
from builder.cli.serve_apps import serve_apps
from builder.cli.stopping import run_until_stopped
from builder.config import Config
from builder.errors import BuilderError, ContentError, LockedError, UsageError
from builder.remote.options import RemoteOptions


class _Outcome(NamedTuple):
    """What a build in the other process came to."""

    text: str
    problems: tuple[str, ...]
    failed: bool


@click.command("serve")
@click.option("-H", "--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "-P",
    "--port",
    type=click.IntRange(0, 65535),
    default=4000,
    show_default=True,
    help="Port; 0 takes a free one.",
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
    open_browser: bool,
    no_livereload: bool,
    registry: str | None,
    kind: str | None,
    insecure: bool,
    ca: str,
) -> None:  # fmt: skip
    """Build, serve on this machine, and reload on change.

    Without -t every header is sent, whatever the configured target can do;
    with -t the preview answers exactly as that host would.

    With --from, /NAME/VERSION/ is the web app that the registry's tag holds.
    """
    if registry:
        serve_apps(context, registry, RemoteOptions(insecure, ca), host=host, port=port)
        return
    if insecure or ca or kind:
        raise UsageError("--insecure, --ca and --type are for --from alone")
    del strict, verbose
    console = common.console
    shown = host if ":" not in host else f"[{host}]"
    address = url or f"http://{shown}:{port}"
    arguments: dict[str, Any] = {
        "baseurl": baseurl, "url": address,
        "drafts": drafts, "allow_missing": allow_missing,
    }  # fmt: skip

    def configure() -> Config:
        name = target or "preview"
        place = destination or f".builder-cache/preview/{name}"
        return common.config(target=name, destination=place, **arguments)

    first = configure()
    if not target:
        _say_limits(console, common.config(target="", destination="", **arguments))
    builder = _Builder(configure, jobs)
    began = time.monotonic()
    outcome = builder.build(None)
    if outcome.failed:
        raise ContentError.at(common.source, "the first build failed", "mend what is said above")
    console.say(f"{outcome.text} in {time.monotonic() - began:.2f} s")
    if host not in ("127.0.0.1", "localhost", "::1"):
        console.say(f"warning: anyone who reaches {host} can read this registry")
    _serve(first, builder, console, host=host, port=port, reload=not no_livereload,
           started=lambda: webbrowser.open(address) if open_browser else None)  # fmt: skip


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
        console.say(f"note: the target {capable.name} will not do: {', '.join(lacking)}")
        console.say(f"      'builder serve -t {capable.name}' shows it exactly")


def _serve(
    config: Config,
    builder: _Builder,
    console: Console,
    *,
    host: str,
    port: int,
    reload: bool,
    started: Callable[[], object],
) -> None:
    from builder.preview.respond import Responder  # noqa: PLC0415 - tornado is heavy
    from builder.preview.server import Server  # noqa: PLC0415
    from builder.preview.watch import Watcher  # noqa: PLC0415
    from builder.write.lookup import BuiltSite  # noqa: PLC0415

    def responder() -> Responder:
        site = BuiltSite(config.destination, Pipeline(config).record_path)
        return Responder(site, config.pages.capabilities, config.address.baseurl)

    server = Server(responder(), host=host, port=port, reload=reload)

    def rebuild(touched: frozenset[str]) -> None:
        began = time.monotonic()
        outcome = builder.build(touched)
        console.say(f"{outcome.text} in {time.monotonic() - began:.2f} s")
        server.show(None if outcome.failed else responder, outcome.problems)

    def ready() -> None:
        shown = f"http://{host}:{server.port}{config.address.baseurl}/"
        click.echo(f"serving {shown}  (Ctrl-C ends it)")
        started()

    ignored = [config.cache, config.destination, config.source / "_site", config.source / "_blobs"]
    ignored += [config.source / name for name in ("builder", "tests", "docs", ".venv", ".git")]
    watcher = Watcher(config.source, ignored, rebuild)
    watcher.start()
    try:
        run_until_stopped(server, ready)
    finally:
        watcher.stop()
        builder.close()


class _Builder:
    """A process that builds, forked before this one has threads.

    Builds there do not hold up requests here, and its memory of the last
    build makes the next one short.
    """

    def __init__(self, configure: Callable[[], Config], jobs: int) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_build_loop, args=(theirs, self._pipe, configure, jobs)
        )
        self._process.start()
        theirs.close()

    def build(self, touched: frozenset[str] | None) -> _Outcome:
        """Build there, print what is wrong, and return how it went."""
        try:
            self._pipe.send(touched)
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
    pipe: Connection, parents: Connection, configure: Callable[[], Config], jobs: int
) -> None:
    """Build whenever asked, until the pipe is closed."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    pipeline: Pipeline | None = None
    stamp: object = None
    while True:
        try:
            touched = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            if pipeline is None or stamp != _config_stamp(pipeline.config):
                pipeline, touched = Pipeline(configure(), jobs=jobs), None
                stamp = _config_stamp(pipeline.config)
            report = pipeline.build(touched)
            warnings = tuple(map(str, report.warnings)) if touched is None else ()
            pipe.send(_Outcome(summary(report), warnings, failed=False))
        except LockedError as error:
            pipe.send(_Outcome("waiting", (str(error),), failed=True))
        except BuilderError as error:
            problems = getattr(error, "problems", (error,))
            pipe.send(_Outcome("not built", tuple(map(str, problems)), failed=True))
        except OSError as error:
            text = f"{error.filename or 'the disk'}: {error.strerror}"
            pipe.send(_Outcome("not built", (text,), failed=True))


def _config_stamp(config: Config) -> object:
    return [(path, path.stat().st_mtime_ns if path.exists() else 0)
            for path in config.files or (Path(config.source / "_config.yml"),)]  # fmt: skip
