"""`builder serve`: the site on this machine, as its host would serve it."""

from __future__ import annotations

import os
import ssl
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from builder.build.judge import judge_of
from builder.build.pipeline import preview
from builder.cli.console import Console
from builder.cli.options import (
    Common,
    build_options,
    common_options,
    remote_options,
    server_options,
)  # fmt: skip
from builder.cli.serve_apps import serve_apps
from builder.cli.serve_builds import Outcome, Rebuilder, config_stamp
from builder.cli.stopping import run_until_stopped
from builder.config import Config
from builder.documents.discover import is_read
from builder.errors import ContentError, UsageError
from builder.pull_requests.owners import find_owners
from builder.receive.receiver import Receiver, Rules
from builder.registry.folder import TAGS
from builder.remote.address import is_loopback
from builder.remote.options import RemoteOptions
from builder.write.lookup import PreviewSite

if TYPE_CHECKING:
    from builder.preview.respond import Responder
    from builder.preview.users import Users
    from builder.preview.watch import Watcher

_SWEEP = 100  # builds between two looks for what no page leads to any more


class _Door(NamedTuple):
    """Where the server listens, to whom, and how."""

    host: str
    port: int
    names: tuple[str, ...]
    tls: ssl.SSLContext | None
    users: Users | None


def _file(_: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """Return the file that a flag names; an unset variable of a script must not open a door."""
    if value == "":
        raise UsageError(f"{parameter.opts[0]} names no file", "name one, or omit the flag")
    return value or ""


@click.command("serve")
@server_options(4000)
@click.option("--push", is_flag=True, help="Also accept pushes, into the registry's folder.")
@click.option(
    "--tls-cert",
    metavar="FILE",
    callback=_file,
    help="Serve over TLS with this certificate (PEM).",
)
@click.option("--tls-key", metavar="FILE", callback=_file, help="The certificate's key, PEM.")
@click.option(
    "--htpasswd",
    metavar="FILE",
    callback=_file,
    help="Require a login by a user in this file (bcrypt).",
)
@click.option("-o", "--open", "open_browser", is_flag=True, help="Open a browser.")
@click.option("--no-livereload", is_flag=True, help="Do not reload the browser after a change.")
@click.option(
    "--from",
    "registry",
    metavar="URL",
    help="Serve the web apps of another registry, http://HOST:PORT, instead.",
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
    """Preview the site on this machine, and rebuild on change.

    Without -t the preview sends all headers that clients need; with -t it
    answers as that kind of host would.

    With --from, it serves the web apps of another registry at /NAME/VERSION/.
    """
    if registry and push:
        raise UsageError("--push and --from exclude each other", "give one of them")
    if registry:
        serve_apps(context, registry, remote, host=host, port=port)
        return
    if push and target:
        raise UsageError("--push needs all headers, but -t may drop some", "omit -t")
    if remote != RemoteOptions() or kind:
        raise UsageError("--insecure, --ca and --type are for --from alone")
    del strict, verbose
    flags: dict[str, Any] = {"baseurl": baseurl, "drafts": drafts, "allow_missing": allow_missing}
    name = target or "preview"

    def published() -> Config:
        return common.config(target="", destination="", url=url or "", **flags)

    def configure(address: str) -> Config:
        config = common.config(target=name, destination=destination, url=url or address, **flags)
        return config if destination else replace(config, destination=config.cache / "serve" / name)

    console = common.console
    if not target:
        _say_limits(console, published())
    for flag, file in (("--tls-key", tls_key), ("--htpasswd", htpasswd)):
        _refuse_inside(published().source, flag, file)
    door = _door(host, port, allowed, tls=(tls_cert, tls_key), htpasswd=htpasswd, push=push)
    if not is_loopback(host):
        who = "anyone who logs in" if htpasswd else "anyone who reaches it"
        console.say(f"warning: on {host} {who} can read this registry")
    rules = _rules(published) if push else None
    with closing(Rebuilder(configure, jobs)) as builder:
        shown = _Preview(configure, builder, console, door, rules, reload=not no_livereload)
        shown.run(browse=open_browser)


def _door(
    host: str, port: int, names: tuple[str, ...], *, tls: tuple[str, str], htpasswd: str, push: bool
) -> _Door:
    """Return where to listen; `tls` names the files of certificate and key, or nothing.

    Raises UsageError for what would let everybody write.
    """
    from builder.preview.listening import tls_context  # noqa: PLC0415 - tornado is heavy
    from builder.preview.users import Users  # noqa: PLC0415

    if bool(tls[0]) != bool(tls[1]):
        raise UsageError("--tls-cert and --tls-key go together", "give both")
    if push and not is_loopback(host) and not (all(tls) and htpasswd):
        hint = "give --tls-cert, --tls-key and --htpasswd, or push to this machine only"
        raise UsageError(f"--push on {host} would let everybody write", hint)
    context = tls_context(*tls) if all(tls) else None
    return _Door(host, port, names, context, Users.read(Path(htpasswd)) if htpasswd else None)


def _refuse_inside(source: Path, flag: str, file: str) -> None:
    """Raise UsageError for a secret in the registry's folder: that is committed and published."""
    # Not Path.resolve, which fails for links in a circle.
    if file and Path(os.path.realpath(file)).is_relative_to(os.path.realpath(source)):
        message = f"{flag}: {file} is in the registry's folder, which is committed and published"
        hint = "move it out of there, and make a new one if others have seen it"
        raise UsageError(message, hint)


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
        console.say(f"note: when published for {capable.name} it will lack: {', '.join(lacking)}")
        console.say(f"      'builder serve -t {capable.name}' shows it exactly")


class _Preview:
    """A server, what it shows, and the watcher that has it built again."""

    def __init__(
        self,
        configure: Callable[[str], Config],
        builder: Rebuilder,
        console: Console,
        door: _Door,
        rules: Callable[[], Rules] | None,
        *,
        reload: bool,
    ) -> None:
        from builder.preview.server import Server, url_host  # noqa: PLC0415 - tornado is heavy

        spool = configure("").source / ".builder-cache/receive"
        self._receiver = Receiver(spool, rules) if rules else None
        self._server = Server(
            host=door.host, port=door.port, reload=reload, allow_hosts=door.names,
            receiver=self._receiver, users=door.users, tls=door.tls,
        )  # fmt: skip
        scheme = "https" if door.tls else "http"
        self._address = f"{scheme}://{url_host(door.host)}:{self._server.port}"
        self._config = configure(self._address)
        self._place = preview(self._config)
        self._builder = builder
        self._console = console
        self._held: list[PreviewSite] = []
        self._builds = count()

    def run(self, *, browse: bool) -> None:
        """Serve and watch until stopped; `browse` opens a browser."""
        from builder.preview.watch import Watcher  # noqa: PLC0415 - watchdog is heavy

        site, configs, say = self._config.site, _names(self._config), self._console.say
        watcher = Watcher(
            self._config.source, lambda path: is_read(path, site, configs), self._rebuild, say
        )
        kept = self._place.has_site()
        if not kept and self._rebuild(None).failed:
            self._server.close()
            hint = "fix the problems above"
            raise ContentError.at(str(self._config.source), "the first build failed", hint)
        self._server.responder = self._responder()
        watching = threading.Thread(target=self._watch, args=(watcher,), kwargs={"look": kept})
        watching.start()
        if kept:  # and looked through once all is watched, however long that takes
            say("serving the last preview until the new build is done")
        else:
            watching.join()
        try:
            run_until_stopped(self._server, lambda: self._ready(browse=browse))
        finally:
            watching.join()
            watcher.stop()

    def _watch(self, watcher: Watcher, *, look: bool) -> None:
        watcher.start()
        if look:
            watcher.look()

    def _ready(self, *, browse: bool) -> None:
        shown = f"{self._address}{self._config.address.baseurl}/"
        click.echo(f"serving {shown}  (Ctrl-C to stop)")
        if browse:
            webbrowser.open(shown)

    def _rebuild(self, touched: frozenset[str] | None) -> Outcome:
        began = time.monotonic()
        outcome = self._builder.build(self._address, touched)
        self._console.say(f"{outcome.text} in {time.monotonic() - began:.2f} s")
        self._server.show(None if outcome.failed else self._responder, outcome.problems)
        if not outcome.failed and next(self._builds) % _SWEEP == 0:
            with closing(self._place.site()) as site:
                site.sweep()
        return outcome

    def _responder(self) -> Responder:
        """Return what answers from the site of the last build; that of the one before ends."""
        from builder.preview.respond import Responder  # noqa: PLC0415 - tornado is heavy

        self._held.insert(0, self._place.site())
        for site in self._held[1:]:
            self._held.remove(site)
            site.close()
        shown = self._receiver.over(self._held[0]) if self._receiver else self._held[0]
        return Responder(shown, self._config.pages.capabilities, self._config.address.baseurl)


def _rules(configure: Callable[[], Config]) -> Callable[[], Rules]:
    """Return what a push is held against: the configuration as it is at that time."""
    known: list[tuple[Config, object, Rules]] = []

    def rules() -> Rules:
        if not known or known[0][1] != config_stamp(known[0][0]):
            config = configure()
            made = Rules(config.registry, judge_of(config), _owners(config))
            known[:] = [(config, config_stamp(config), made)]
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
