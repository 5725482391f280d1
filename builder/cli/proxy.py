"""`builder proxy`: a static site as a registry on this machine."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from builder.cli.options import Common, common_options, remote_options, server_options
from builder.cli.stopping import run_until_stopped
from builder.config.keys import parse_size
from builder.errors import UsageError
from builder.remote.address import is_loopback
from builder.remote.options import RemoteOptions


@click.command("proxy")
@click.argument("site", metavar="URL")
@server_options(5000)
@click.option(
    "--cache",
    "folder",
    metavar="DIR",
    default="",
    help="Where to cache blobs.  [default: ~/.cache/builder/proxy]",
)
@click.option(
    "--cache-size",
    "limit",
    metavar="SIZE",
    default="10 GiB",
    show_default=True,
    help="The size of the cache.",
)
@click.option("--no-cache", is_flag=True, help="Do not cache blobs.")
@remote_options
@common_options
def command(
    *,
    common: Common,
    site: str,
    host: str,
    port: int,
    allowed: tuple[str, ...],
    folder: str,
    limit: str,
    no_cache: bool,
    remote: RemoteOptions,
) -> None:  # fmt: skip
    """Serve the registry at URL with the headers that container clients need.

    URL is the address of a static registry on any file host, including its
    path.
    """
    from builder.preview.server import Server, url_host  # noqa: PLC0415 - tornado is heavy
    from builder.proxy.cache import BlobCache  # noqa: PLC0415
    from builder.proxy.lookup import ProxiedSite  # noqa: PLC0415
    from builder.proxy.respond import ProxyResponder  # noqa: PLC0415
    from builder.proxy.site import Site  # noqa: PLC0415
    from builder.targets import open_target  # noqa: PLC0415

    console = common.console
    size = 0 if no_cache else parse_size(limit)
    if size is None:
        raise UsageError(f"--cache-size {limit}: is not a size", "write 10 GiB, or bytes")
    if no_cache and folder:
        raise UsageError("--cache and --no-cache exclude each other")
    far = Site(site, remote)
    if not far.check():
        console.say(f"warning: {far.url}/v2/ is missing: is a static registry published there?")
    with ExitStack() as closing:
        place = Path(folder) if folder else _default_cache()
        if no_cache:
            place = Path(closing.enter_context(_folder_for_now()))
        proxied = ProxiedSite(far, BlobCache(place, size))
        responder = ProxyResponder(proxied, open_target("preview").capabilities)
        server = Server(responder, host=host, port=port, reload=False, blocking=True,
                        allow_hosts=allowed)  # fmt: skip
        if not is_loopback(host):
            console.say(f"warning: anyone who reaches {host} can pull from this registry")

        def ready() -> None:
            shown = f"{url_host(host)}:{server.port}"
            console.result(
                {"address": shown, "site": far.url},
                f"serving http://{shown}/  from {far.url}  (Ctrl-C to stop)",
            )

        run_until_stopped(server, ready)


def _folder_for_now() -> tempfile.TemporaryDirectory[str]:
    # Downloads that end with the program may still write there.
    return tempfile.TemporaryDirectory(prefix="builder-proxy-", ignore_cleanup_errors=True)


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification says to ignore a relative path.
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return home / "builder" / "proxy"
