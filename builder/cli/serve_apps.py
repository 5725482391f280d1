"""`builder serve --from`: the web apps of another registry, on this machine."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from builder.apps.model import CONFIG_TYPE
from builder.cli.options import given
from builder.cli.stopping import run_until_stopped
from builder.errors import UsageError
from builder.oci.mediatype import is_valid
from builder.remote.address import is_loopback
from builder.remote.options import RemoteOptions

_FITTING = frozenset({"registry", "kind", "host", "port", "source", "quiet", "insecure", "ca",
                      "open_browser", "no_color"})  # fmt: skip


def serve_apps(
    context: click.Context, registry: str, options: RemoteOptions, *, host: str, port: int
) -> None:
    """Serve until interrupted; raises UsageError for flags of the other kind of serving."""
    from builder.apps.origins import BELOW, OwnOrigins  # noqa: PLC0415 - tornado is heavy
    from builder.apps.source import RegistryApps  # noqa: PLC0415 - tornado is heavy
    from builder.preview.respond import Responder  # noqa: PLC0415
    from builder.preview.server import Server, url_host  # noqa: PLC0415
    from builder.targets import open_target  # noqa: PLC0415

    _refuse_others(context)
    place = _place(registry)
    kind = context.params["kind"] or CONFIG_TYPE
    if not is_valid(kind):
        raise UsageError(f"--type {kind}: is not a media type")
    cache = Path(context.params["source"]).absolute() / ".builder-cache" / "served"
    apps = RegistryApps(place, options, cache, config_type=kind)
    apps.check()
    capable = open_target("preview").capabilities
    near = is_loopback(host)
    answers = (OwnOrigins if near else Responder)(apps, capable)
    if not near:
        click.echo(
            "warning: apps share one origin here: each can read what the others show", err=True
        )
    server = Server(answers, host=host, port=port, reload=False, blocking=True,
                    allow_below=BELOW if near else "")  # fmt: skip
    address = f"http://{url_host(host)}"

    def ready() -> None:
        click.echo(f"serving {address}:{server.port}/  from {place}  (Ctrl-C to stop)")
        if context.params["open_browser"]:
            webbrowser.open(f"{address}:{server.port}/")

    run_until_stopped(server, ready)


def _place(registry: str) -> str:
    """Return host and port of what `--from` names; raises UsageError."""
    scheme, separator, place = registry.rpartition("://")
    place = place.rstrip("/")
    known = scheme in ("http", "https", "docker") if separator else True
    if not known or not place or set(place) & set("/@?# "):
        raise UsageError(f"--from {registry}: is not a registry", "write http://HOST:PORT")
    return place


def _refuse_others(context: click.Context) -> None:
    for parameter in given(context):
        if parameter.name not in _FITTING:
            raise UsageError(f"{parameter.opts[0]} does not go with --from: nothing is built then")
