"""`builder serve --from`: the web apps of another registry, on this machine."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click
from click.core import ParameterSource

from builder.errors import UsageError
from builder.remote.options import RemoteOptions

_FITTING = frozenset({"registry", "host", "port", "source", "quiet", "insecure", "ca",
                      "open_browser", "no_color"})  # fmt: skip


def serve_apps(
    context: click.Context, registry: str, options: RemoteOptions, *, host: str, port: int
) -> None:
    """Serve until interrupted; raises UsageError for flags of the other kind of serving."""
    from builder.apps.source import RegistryApps  # noqa: PLC0415 - tornado is heavy
    from builder.preview.respond import Responder  # noqa: PLC0415
    from builder.preview.server import Server  # noqa: PLC0415
    from builder.targets import open_target  # noqa: PLC0415

    _refuse_others(context)
    place = registry.partition("://")[2] or registry
    place = place.rstrip("/")
    if not place or "/" in place or "@" in place:
        raise UsageError(f"--from {registry}: is no registry", "write http://HOST:PORT")
    cache = Path(context.params["source"]).absolute() / ".builder-cache" / "apps"
    apps = RegistryApps(place, options, cache)
    apps.check()
    capable = open_target("preview").capabilities
    server = Server(Responder(apps, capable), host=host, port=port, reload=False, blocking=True)
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(
        lambda: click.echo(f"serving http://{host}:{server.port}/  from {place}  (Ctrl-C ends it)")
    )
    if stopped.is_set():
        raise KeyboardInterrupt


def _refuse_others(context: click.Context) -> None:
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if given and name not in _FITTING:
            raise UsageError(f"{parameter.opts[0]} does not go with --from: nothing is built then")
