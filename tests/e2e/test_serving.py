"""`builder serve` where things come late, run out, or knock with the wrong protocol."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.conftest import write_tree
from tests.hosts import BUILDER, previewing, serving, until
from tests.images import Image

pytestmark = pytest.mark.e2e

G = "collections/vanessa/greeting"


def got(host: str, path: str = "vanessa/greeting/") -> str:
    return requests.get(f"http://{host}/{path}", timeout=10).text


def test_folders_that_come_later_are_watched(greeting: Path) -> None:
    with serving(greeting) as host:
        layout = greeting / "_layouts/page.html"
        write_tree(greeting, {"about.md": "---\ntitle: About\n---\nText.\n"})
        layout.parent.mkdir()
        for words in ("first words", "second words"):
            layout.write_text(f"<p>{words}</p>{{{{ content }}}}")
            assert until(lambda words=words: words in got(host, "about/")), words  # type: ignore[misc]
        (greeting / "assets/deep").mkdir(parents=True)
        for words in ("one", "two"):
            (greeting / "assets/deep/a.txt").write_text(words)
            assert until(lambda words=words: words in got(host, "assets/deep/a.txt"))  # type: ignore[misc]


def test_collections_that_go_and_come_back(greeting: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with serving(greeting) as host:
        (greeting / "collections").rename(elsewhere)
        assert until(lambda: "vanessa" not in got(host, "v2/_catalog"))
        shutil.copytree(elsewhere, greeting / "collections")
        assert until(lambda: "vanessa" in got(host, "v2/_catalog"))
        (greeting / G / "README.md").write_text("---\ntitle: Again\n---\nBack again.\n")
        assert until(lambda: "Back again." in got(host))


def test_the_last_collection_of_a_namespace(greeting: Path) -> None:
    write_tree(greeting, {"collections/vanessa/README.md": "---\ntitle: V\n---\nHers.\n"})
    with serving(greeting) as host:
        for file in sorted((greeting / G).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        assert until(lambda: "vanessa/greeting" not in got(host, "collections.json"))
        assert until(lambda: '"vanessa"' in got(host, "collections.json"))


def test_what_include_names_is_watched(greeting: Path) -> None:
    (greeting / "_config.yml").write_text("include: [.well-known, docs]\n")
    write_tree(greeting, {".well-known/a.txt": "one", "docs/b.txt": "one"})
    with serving(greeting) as host:
        for path in (".well-known/a.txt", "docs/b.txt"):
            (greeting / path).write_text("two")
            assert until(lambda path=path: got(host, path) == "two"), path  # type: ignore[misc]


def test_a_layer_that_arrives_in_the_store(greeting: Path) -> None:
    image = Image.of("slow")
    image.tag(greeting / G, "slow")
    digest, layer = next((d, b) for d, b in image.blobs.items() if not b.startswith(b"{"))
    (greeting / G / "blobs" / digest.replace(":", "/")).unlink()
    with serving(greeting, "--allow-missing") as host:
        assert "slow" not in got(host, "v2/vanessa/greeting/tags/list")
        place = greeting / "_blobs/blobs" / digest.replace(":", "/")
        place.parent.mkdir(parents=True)
        place.write_bytes(layer)
        assert until(lambda: "slow" in got(host, "v2/vanessa/greeting/tags/list"))


@contextmanager
def with_few(
    source: Path, count: int, what: str = "watches"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `builder serve` where inotify has only so many watches, or instances."""
    limit = f'echo {count} > /proc/sys/user/max_inotify_{what}; exec "$@"'
    prefix = ("unshare", "-Ur", "sh", "-c", limit, "sh")
    with previewing(source, "-P", "0", prefix=prefix) as (process, line):
        yield process, line.split("/")[2]


def says_that_it_polls(process: subprocess.Popen[str]) -> bool:
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    return "limit of inotify" in said


@pytest.mark.parametrize(
    ("what", "count"), [("instances", 0), *(("watches", count) for count in range(1, 6))]
)
def test_where_inotify_ends_files_are_looked_at(greeting: Path, what: str, count: int) -> None:
    with with_few(greeting, count, what) as (process, host):
        (greeting / G / "README.md").write_text("---\ntitle: Greeting\n---\nSeen at last.\n")
        assert until(lambda: "Seen at last." in got(host))
        assert says_that_it_polls(process)


def test_where_inotify_ends_later_files_are_looked_at(greeting: Path) -> None:
    with with_few(greeting, 8) as (process, host):
        for words in ("one", "two"):
            for number in range(9):
                page = f"---\ntitle: More\n---\nSaid {words}.\n"
                write_tree(greeting, {f"collections/vanessa/more{number}/README.md": page})
            for number in range(9):
                path = f"vanessa/more{number}/"
                assert until(lambda p=path, w=words: f"Said {w}." in got(host, p))  # type: ignore[misc]
        assert says_that_it_polls(process)


def test_a_port_that_nobody_chose_is_the_one_on_the_pages(greeting: Path) -> None:
    with previewing(greeting, "-P", "0") as (_, line):
        host = line.split("/")[2]
        port = host.rpartition(":")[2]
        assert port != "0"
        assert f"{host}/vanessa/greeting" in got(host, "vanessa/greeting/tags/latest/")


def test_version_six(greeting: Path) -> None:
    with previewing(greeting, "-P", "0", "-H", "::1") as (_, line):
        assert re.match(r"serving http://\[::1\]:[0-9]+/ ", line)
        assert "Greeting" in got(line.split("/")[2])


def asked(host: str, name: str) -> int:
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request("GET", "/", headers={"Host": name})
        return connection.getresponse().status


def test_names_that_are_allowed(greeting: Path) -> None:
    with previewing(greeting, "-P", "0", "--allow-host", "Preview.example") as (_, line):
        host = line.split("/")[2]
        assert asked(host, "localhost:8080") == 200  # a forwarded port
        assert asked(host, "preview.example") == 200
        assert asked(host, "evil.example") == 421
        assert asked(host, "localhost.evil.example:80") == 421


def knock(host: str, headers: dict[str, str]) -> int:
    """Ask for livereload's socket; return the status."""
    more = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request("GET", "/livereload", headers=more | headers)
        return connection.getresponse().status


def test_the_reload_socket_is_for_our_own_pages(greeting: Path) -> None:
    with serving(greeting) as host:
        port = host.rpartition(":")[2]
        evil = f"evil.example:{port}"
        assert knock(host, {"Host": evil, "Origin": f"http://{evil}"}) == 421
        assert knock(host, {"Host": host, "Origin": f"http://{evil}"}) == 403
        assert knock(host, {"Host": host, "Origin": f"http://{host}"}) == 101
        for origin in ("http://[", "null", f"http://user@{host}", f"http://{host}, x"):
            for name in ("Origin", "Sec-WebSocket-Origin"):
                assert knock(host, {"Host": host, name: origin}) == 403


@pytest.mark.parametrize("frame", [b"hello", b"[]", b"[" * 30_000], ids=len)
def test_a_frame_that_is_no_message(frame: bytes, greeting: Path) -> None:
    with previewing(greeting, "-P", "0") as (process, line):
        host = line.split("/")[2]
        address, port = host.split(":")
        with socket.create_connection((address, int(port)), timeout=10) as sock:
            sock.sendall(
                f"GET /livereload HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            assert sock.recv(4096).startswith(b"HTTP/1.1 101")
            length = len(frame)
            size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
            masked = bytes([0x80 | size[0]]) + size[1:] + bytes(4)
            sock.sendall(b"\x81" + masked + frame)
            assert until(lambda: b"\x88" in sock.recv(4096))
        assert "Greeting" in got(host)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said


def test_who_speaks_tls_is_answered_at_once(greeting: Path) -> None:
    context = ssl.create_default_context()
    with serving(greeting) as host:
        address, port = host.split(":")
        began = time.monotonic()
        with socket.create_connection((address, int(port)), timeout=10) as sock, pytest.raises(
            ssl.SSLError, match="WRONG_VERSION"
        ):  # fmt: skip
            context.wrap_socket(sock, server_hostname="localhost")
        assert time.monotonic() - began < 5


def test_more_connections_than_descriptors(greeting: Path) -> None:
    prefix = ("sh", "-c", 'ulimit -n 80; exec "$@"', "sh")
    with previewing(greeting, "-P", "0", prefix=prefix) as (process, line):
        host = line.split("/")[2]
        address, port = host.split(":")
        held = [socket.create_connection((address, int(port)), timeout=10) for _ in range(150)]
        time.sleep(1)
        spent = _cpu(process.pid)
        time.sleep(1)
        assert _cpu(process.pid) - spent < 0.5  # it waits, and does not spin
        for sock in held:
            sock.close()
        assert until(lambda: "Greeting" in got(host))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said


def test_who_sends_headers_slowly_makes_room_and_who_has_sent_them_stays(greeting: Path) -> None:
    prefix = ("sh", "-c", 'ulimit -n 80; exec "$@"', "sh")
    with previewing(greeting, "-P", "0", "--push", prefix=prefix) as (_, line), ExitStack() as held:
        host = line.split("/")[2]
        address, port = host.split(":")

        def begin(text: str) -> socket.socket:
            sock = socket.create_connection((address, int(port)), timeout=10)
            held.enter_context(sock).sendall(f"{text} HTTP/1.1\r\nHost: {host}\r\n".encode())
            return sock

        working = begin("POST /v2/vanessa/new/blobs/uploads/?digest=sha256:" + "0" * 64)
        working.sendall(b"Content-Length: 9\r\n\r\n")
        slow = [begin("GET /") for _ in range(60)]

        def still_asked() -> bool:
            for sock in slow:
                with suppress(OSError):
                    sock.sendall(b"X-More: more\r\n")
            return "Greeting" in got(host)

        assert until(still_asked)
        working.sendall(b"too late?")
        assert working.recv(4096).startswith(b"HTTP/1.1 400")  # its digest was another


@pytest.mark.slow
@pytest.mark.parametrize("way", ["reads nothing", "writes nothing"])
def test_who_stalls_makes_room(way: str, greeting: Path) -> None:
    Image.holding(os.urandom(16 << 20)).tag(greeting / G, "large")
    digest = next(path.name for path in (greeting / G / "blobs/sha256").iterdir()
                  if path.stat().st_size > 1 << 20)  # fmt: skip
    start, more = {
        "reads nothing": (f"GET /v2/vanessa/greeting/blobs/sha256:{digest}", ""),
        "writes nothing": ("POST /v2/vanessa/new/blobs/uploads/", "Content-Length: 9\r\n"),
    }[way]
    prefix = ("sh", "-c", 'ulimit -n 80; exec "$@"', "sh")
    with previewing(greeting, "-P", "0", "--push", prefix=prefix) as (_, line), ExitStack() as held:
        host = line.split("/")[2]
        address, port = host.split(":")
        for _ in range(26):
            sock = held.enter_context(socket.create_connection((address, int(port)), timeout=10))
            sock.sendall(f"{start} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        assert requests.get(f"http://{host}/", timeout=60).status_code == 200


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_preview_that_is_there_is_shown_at_once(greeting: Path) -> None:
    with previewing(greeting, "-P", "4123") as (_, line):
        assert line.startswith("serving")
    (greeting / G / "README.md").write_text("---\ntitle: Greeting\n---\nNew words.\n")
    with previewing(greeting, "-P", "4123") as (process, line):
        host = line.split("/")[2]
        assert "Greeting" in got(host)
        assert until(lambda: "New words." in got(host))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "serving the last preview" in said


def test_ctrl_c_in_the_first_build(greeting: Path) -> None:
    for number in range(300):
        write_tree(greeting, {f"collections/many/c{number}/README.md": "---\ntitle: C\n---\nT.\n"})
    process = subprocess.Popen(
        [*BUILDER, "serve", "-s", str(greeting), "-P", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
