"""Hosts that a built site is served from in tests: real servers on loopback, ended here.

Each runner is a context manager that yields host and port.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from tests.page_host import Twists, pages

ROOT = Path(__file__).parent.parent
BUILDER = [sys.executable, "-m", "builder"]


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program; return its output, or fail with all it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=90)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    command: list[str], port: int, *, seconds: int = 20, ready: str = "", **options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground until the block ends, with all that it starts itself.

    One that looks for a free port itself is left alone until it says that it is `ready`.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True, **options
        )  # type: ignore[call-overload]
        try:
            _wait(process, port, seconds, said, ready)
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(
    process: subprocess.Popen[bytes], port: int, seconds: int, said: IO[bytes], ready: str
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace")
        if process.poll() is not None:
            pytest.fail(f"the server ended: {text[-2000:]}")
        with socket.socket() as probe:
            if ready in text and probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server did not listen in time")


def until(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Wait for a condition; tell whether it came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def listening(*command: str, prefix: tuple[str, ...] = ()) -> Iterator[
    tuple[subprocess.Popen[str], str]
]:  # fmt: skip
    """Run a command that listens; yields it with the line that it says when it is ready."""
    environment = {key: value for key, value in os.environ.items() if key != "GITHUB_REPOSITORY"}
    process = subprocess.Popen(
        [*prefix, *BUILDER, *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 300)
        assert ready, f"builder {command[0]} said nothing for five minutes"
        yield process, process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def previewing(
    source: Path, *arguments: str, prefix: tuple[str, ...] = ()
) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """Run `builder serve` as `listening` does."""
    return listening("serve", "-s", str(source), *arguments, prefix=prefix)


@contextmanager
def serving(source: Path, *arguments: str) -> Iterator[str]:
    """Run `builder serve`; yields host and port."""
    port = free_port()
    with previewing(source, "-P", str(port), *arguments) as (process, line):
        assert line.startswith("serving "), process.stderr.read() if process.stderr else line
        yield f"127.0.0.1:{port}"
    assert process.returncode == 130


@contextmanager
def serve_preview(source: Path, folder: Path, target: str = "") -> Iterator[str]:
    """Run `builder serve`, for a target or with every capability, from a site in `folder`."""
    flags = ["-t", target] if target else []
    with serving(source, "-d", str(folder / "site"), "--no-livereload", *flags) as host:
        yield host


@contextmanager
def run_nginx(source: Path, folder: Path, also: str = "") -> Iterator[str]:
    """Build a site into `folder`; serve it by Debian's nginx with what was emitted."""
    with nginx_of(built(source, folder, "nginx"), folder, also) as host:
        yield host


@contextmanager
def nginx_of(site: Path, folder: Path, also: str = "") -> Iterator[str]:
    """Serve a site by Debian's nginx with the files beside it; `also` is for the same server."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
        "events {}\n"
        f"http {{ access_log off; include {site}.nginx/http.conf;\n"
        f"server {{ listen 127.0.0.1:{port}; root {site}; {also}\n"
        f"include {site}.nginx/server.conf; }} }}\n"
    )
    with started(["nginx", "-c", str(config)], port):
        yield f"127.0.0.1:{port}"


@contextmanager
def run_caddy(source: Path, folder: Path, also: str = "") -> Iterator[str]:
    """Build a site into `folder`; serve it by Debian's Caddy; `also` is for the same site."""
    site = built(source, folder, "caddy")
    port = free_port()
    config = folder / "Caddyfile"
    config.write_text(
        "{\n admin off\n auto_https off\n}\n"
        f"http://127.0.0.1:{port} {{\n bind 127.0.0.1\n root * {site}\n"
        f" import {site}.caddy/site.caddy\n {also}\n}}\n"
    )
    home = f"XDG_CONFIG_HOME={folder}"
    with started(
        ["env", home, "caddy", "run", "--adapter", "caddyfile", "--config", str(config)], port
    ):
        yield f"127.0.0.1:{port}"


_APACHE_MODULES = ("authz_core", "dir", "mime", "alias", "headers", "rewrite",
                   "setenvif", "env", "include", "negotiation")  # fmt: skip
# What hosts that rent space say for all of their sites: some names are programs.
_APACHE_PROGRAMS = """\
AddHandler cgi-script .cgi
AddHandler type-map .var
AddEncoding x-gzip .gz
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
<FilesMatch "[.]php$">
 SetHandler cgi-script
</FilesMatch>
"""
_APACHE_THREADS = """\
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
"""
# PHP itself, for any part of a name: its module does without threads.
_APACHE_PHP = """\
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule cgi_module /usr/lib/apache2/modules/mod_cgi.so
LoadModule php_module {php}
AddHandler application/x-httpd-php .php .phtml .phar
AddHandler cgi-script .pl
"""


@contextmanager
def run_apache(source: Path, folder: Path, *, php: bool = False) -> Iterator[str]:
    """Build a site into `folder`; serve it by Debian's Apache, which reads its `.htaccess`."""
    with serve_apache(built(source, folder, "apache"), folder, php=php) as host:
        yield host


@contextmanager
def serve_apache(site: Path, folder: Path, root: str = "", *, php: bool = False) -> Iterator[str]:
    """Serve a folder by Apache, with what it needs for itself in `folder`.

    `root` is the directive that says where the site is, when it is not `site`;
    with `php` the server runs PHP, whatever part of a name says so.
    """
    port = free_port()
    config = folder / "apache.conf"
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in _APACHE_MODULES
    )
    config.write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
        f"ServerName 127.0.0.1\nListen 127.0.0.1:{port}\n{modules}"
        f"User www-data\nGroup www-data\nTypesConfig /etc/mime.types\n"
        f"{root or f'DocumentRoot {site}'}\n"
        f"{_apache_php() if php else f'{_APACHE_THREADS}ScriptSock {folder}/cgi'}\n"
        f"{_APACHE_PROGRAMS}"
        f"<Directory {site}>\n AllowOverride All\n Options +ExecCGI +Includes\n"
        " Require all granted\n</Directory>\n"
    )
    let_in(folder)
    with started(["apache2", "-D", "FOREGROUND", "-f", str(config)], port):
        yield f"127.0.0.1:{port}"


def _apache_php() -> str:
    """Return what makes Apache run PHP, of whichever version Debian has."""
    php = next(Path("/usr/lib/apache2/modules").glob("libphp*.so"))
    return _APACHE_PHP.format(php=php)


def let_in(folder: Path) -> None:
    """Let a server that gives up root's rights reach what is below `folder`."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.getuid() and not each.stat().st_mode & 0o001:
            each.chmod(each.stat().st_mode | 0o011)


def _npm(program: str, folder: Path) -> list[str]:
    """Return the start of a command that runs a host's own runtime, at home in `folder`."""
    quiet = ("CI=1", "WRANGLER_SEND_METRICS=false", "NO_UPDATE_NOTIFIER=1")
    return ["env", f"HOME={folder}", f"XDG_CONFIG_HOME={folder}", *quiet, program]


@contextmanager
def run_cloudflare(source: Path, folder: Path) -> Iterator[str]:
    """Build a site into `folder`; serve it by the runtime of Cloudflare Pages."""
    site = built(source, folder, "cloudflare-pages")
    port = free_port()
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--inspector-port", str(free_port()),
             "--compatibility-date", "2024-01-01"]  # fmt: skip
    command = [*_npm("wrangler", folder), "pages", "dev", str(site), *flags]
    with started(command, port, seconds=60, cwd=str(folder)):
        _until_it_answers(port)
        yield f"127.0.0.1:{port}"


@contextmanager
def run_firebase(source: Path, folder: Path) -> Iterator[str]:
    """Build a site into `folder`; serve it by Firebase's emulator."""
    site = built(source, folder, "firebase")
    port = free_port()
    document = json.loads((site / "firebase.json").read_text())
    ports = {name: {"host": "127.0.0.1", "port": free_port()} for name in ("hub", "logging")}
    hosting = {"host": "127.0.0.1", "port": port}
    document["emulators"] = {"hosting": hosting, **ports, "ui": {"enabled": False}}
    config = site / "firebase.json"
    config.write_text(json.dumps(document))
    flags = ["--only", "hosting", "--config", str(config), "--project", "demo-site"]
    command = [*_npm("firebase", folder), "emulators:start", *flags]
    with started(command, port, seconds=60, ready="All emulators ready", cwd=str(site)):
        yield f"127.0.0.1:{port}"


@contextmanager
def run_s3(source: Path, folder: Path) -> Iterator[str]:
    """Publish a site to a bucket; serve that by a front that may read it, on its own domain."""
    store, port = free_port(), free_port()
    config = folder / "Caddyfile"
    config.write_text(
        "{\n admin off\n auto_https off\n}\n"
        f"http://127.0.0.1:{port} {{\n bind 127.0.0.1\n rewrite * /bucket{{uri}}\n"
        " @write not method GET HEAD\n respond @write 403\n"  # as a bucket does to strangers
        f" reverse_proxy 127.0.0.1:{store} {{\n header_up Host 127.0.0.1\n"
        '  header_up Authorization "AWS front:rights"\n }\n}\n'
    )
    endpoint = f"http://127.0.0.1:{store}"
    keys = ("AWS_ACCESS_KEY_ID=somebody", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=us-east-1")
    flags = ["-s", str(source), "-t", "s3", "-d", str(folder / "site"), "--endpoint", endpoint]
    moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(store)]
    caddy = ["env", f"XDG_CONFIG_HOME={folder}", "caddy", "run", "--adapter", "caddyfile"]
    with started(moto, store), started([*caddy, "--config", str(config)], port):
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
        run("env", *keys, *BUILDER, "publish", "s3://bucket", *flags)
        yield f"127.0.0.1:{port}"


def _until_it_answers(port: int) -> None:
    """Wait for a server that listens before it has read its files."""
    for _ in range(100):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5):
            return
        time.sleep(0.2)
    pytest.fail("the server did not answer in time")


@contextmanager
def run_plain(source: Path, folder: Path) -> Iterator[str]:
    """Build a site into `folder`; serve it by a file server that knows no rules."""
    site = built(source, folder, "plain")
    port = free_port()
    flags = ["-d", str(site), "-b", "127.0.0.1", str(port)]
    with started([sys.executable, "-m", "http.server", *flags], port):
        yield f"127.0.0.1:{port}"


@contextmanager
def run_pages(source: Path, folder: Path) -> Iterator[str]:
    """Build a site into `folder`, serve it as GitHub Pages does: all types by extension."""
    with pages(folder / "site", Twists(root="")) as host:
        built(source, folder, "github-pages", "--url", host.url)
        yield host.url.removeprefix("http://")


@contextmanager
def proxying(url: str, *arguments: str) -> Iterator[str]:
    """Run `builder proxy`; yields host and port."""
    with listening("proxy", url, "-P", "0", *arguments) as (process, line):
        assert line.startswith("serving http://"), line
        yield line.split()[1].removeprefix("http://").rstrip("/")
    assert process.returncode == 130


@contextmanager
def run_proxied_pages(source: Path, folder: Path) -> Iterator[str]:
    """Build a site into `folder`; serve it as GitHub Pages does, and that by `builder proxy`."""
    site = built(source, folder, "github-pages", "-b", "/registry")
    with pages(site) as host, proxying(host.url, "--cache", str(folder / "cache")) as address:
        yield address


def built(source: Path, folder: Path, target: str, *flags: str) -> Path:
    """Build the site of a target."""
    site = folder / "site"
    run(*BUILDER, "build", "-q", "-s", str(source), "-t", target, "-d", str(site), *flags)
    return site


# Every host that runs here, by the name that tests and tables give it.
HOSTS: dict[str, Callable[[Path, Path], AbstractContextManager[str]]] = {
    "builder serve": serve_preview,
    "builder serve -t nginx": partial(serve_preview, target="nginx"),
    "nginx": run_nginx,
    "caddy": run_caddy,
    "apache": run_apache,
    "cloudflare-pages": run_cloudflare,
    "firebase": run_firebase,
    "s3": run_s3,
    "github-pages": run_pages,
    "plain": run_plain,
    "builder proxy": run_proxied_pages,
}
