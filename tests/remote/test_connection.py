"""Servers that do not speak as they should, or too slowly: raw sockets on loopback."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import LocalError, RemoteError
from builder.remote import connection, faults, http
from builder.remote.connection import speaks_tls
from builder.remote.fetch import open_url
from builder.remote.http import Http, Request
from builder.remote.options import RemoteOptions
from builder.remote.pace import retry_after
from tests.remote.hostile import talking

BACKOFF = http._backoff
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)


def client() -> Http:
    found = Http(RemoteOptions())
    found.policy.name("127.0.0.1")
    return found


def get(port: int, scheme: str = "http") -> bytes:
    with client().send(Request("GET", f"{scheme}://127.0.0.1:{port}/x", {}, {})) as answer:
        return answer.text()


def saying(*pieces: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    """Return what reads a request and answers with some pieces, with pauses between them."""

    def script(peer: socket.socket) -> None:
        peer.recv(65536)
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(pause)

    return script


@contextmanager
def counted(script: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[int]]]:
    """Run a script; also yields a list that gets an entry for each connection."""
    calls: list[int] = []

    def counting(peer: socket.socket) -> None:
        calls.append(1)
        script(peer)

    with talking(counting) as port:
        yield port, calls


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5000, b"-1", b"1e3", b" "])
def test_a_length_that_is_none(length: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nok"

    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with talking(script) as port:
        options = RemoteOptions()
        with open_url(f"http://127.0.0.1:{port}/x", options, named=True) as stream:
            assert stream.read() == b"ok"


def test_what_is_as_it_should_be() -> None:
    with talking(saying(OK)) as port:
        assert get(port) == b"ok"


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="' + b"a" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["another protocol", "status", "long header", "many headers", "long challenge"],
)
def test_what_is_no_http_is_asked_once(said: bytes) -> None:
    with counted(saying(said)) as (port, calls), pytest.raises(RemoteError, match="not HTTP"):
        get(port)
    assert len(calls) == 1


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort"])
def test_what_is_cut_is_asked_again(said: bytes) -> None:
    with counted(saying(said)) as (port, calls), pytest.raises(faults.CutError, match="cut"):
        get(port)
    assert len(calls) == (http.TRIES if not said else 1)  # whoever reads a body asks again


def test_nobody_waits_for_a_head_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_ANSWER_SECONDS", 0.5)
    pieces = [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 40]
    with (
        counted(saying(*pieces, pause=0.05)) as (port, calls),
        pytest.raises(RemoteError, match="timeout"),
    ):
        get(port)
    assert len(calls) == 1


def test_nobody_waits_for_a_handshake_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HANDSHAKE_SECONDS", 0.5)
    record = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + b"\x03\x03" + b"\0" * 40
    pieces = [record[number : number + 1] for number in range(len(record))]
    with talking(saying(*pieces, pause=0.05)) as port, pytest.raises(RemoteError, match="timeout"):
        get(port, "https")


def test_nobody_waits_for_a_small_body_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SLOW_AFTER", 0.3)
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n"
    with talking(saying(head, *[b"x"] * 40, pause=0.05)) as port:
        answer = client().send(Request("GET", f"http://127.0.0.1:{port}/x", {}, {}))
        assert not answer._is_drained()
        answer.close()


def test_what_was_fast_may_become_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SLOW_AFTER", 0.3)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 500_000
    script = saying(head, *[b"x"] * 60, pause=0.05)
    with talking(script) as port, pytest.raises(RemoteError, match="too slow"):
        get(port)


def test_slow_readers_are_not_slow_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SLOW_AFTER", 0.1)
    with talking(saying(OK)) as port:
        answer = client().send(Request("GET", f"http://127.0.0.1:{port}/x", {}, {}))
        time.sleep(0.5)
        assert answer.text() == b"ok"
        answer.close()


def test_a_refusal_in_tls_s_words_is_tls() -> None:
    alert = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal, handshake_failure
    with talking(saying(alert)) as port:
        assert speaks_tls(client().policy, "127.0.0.1", port)
    with talking(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert not speaks_tls(client().policy, "127.0.0.1", port)
        with pytest.raises(RemoteError, match="does not speak TLS"):
            get(port, "https")


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "http://[zz]/",
        "http://",
        "https://",
        "ftp://127.0.0.1/x",
        "http://\u00e9\u00e9..x/",
    ],
)
def test_redirects_to_nowhere(location: str) -> None:
    said = f"HTTP/1.1 307 T\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    with talking(saying(said)) as port, pytest.raises(RemoteError):
        get(port)


def test_five_redirects_and_no_more() -> None:
    said = b"HTTP/1.1 302 T\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with counted(saying(said)) as (port, calls), pytest.raises(RemoteError, match="5 redirects"):
        get(port)
    assert 1 <= len(calls) <= 6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("3600", 60.0), ("9" * 400, 60.0), ("", None), ("abc", None),
        ("-5", None), ("1.5", None), ("\u0663", None), ("Fri, 31 Dec 9999 23:59:59 GMT", 60.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("Fri, 99 Dec 9999", None),
    ],
)  # fmt: skip
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_pauses_grow_and_stay_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_backoff", BACKOFF)
    pauses: list[float] = []
    patient = Http(RemoteOptions(), pause=pauses.append)
    patient.policy.name("127.0.0.1")
    busy = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with talking(saying(busy)) as port:
        answer = patient.send(Request("GET", f"http://127.0.0.1:{port}/", {}, {}))
        answer.close()
    assert answer.status == 503
    assert len(pauses) == http.TRIES - 1
    assert pauses == sorted(pauses)
    assert sum(pauses) < 10


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(LocalError, match="--ca"):
            Http(RemoteOptions(ca=str(tmp_path / name)))


def test_words_of_an_error() -> None:
    one = {"errors": [{"code": "DENIED", "message": "no"}, {"code": "NAME_UNKNOWN"}]}
    assert faults.words_of(json.dumps(one).encode()) == "DENIED no, NAME_UNKNOWN"
    for raw in (b"[]", b"7", b'{"errors": 7}', b'{"errors": [7]}', b"\xff\xfe", b"[" * 100_000):
        assert len(faults.words_of(raw)) <= 300


def download(port: int, size: int | None = None) -> bytes:
    url = f"http://127.0.0.1:{port}/file"
    with open_url(url, RemoteOptions(), size=size, named=True) as stream:
        return stream.read()


def test_a_download() -> None:
    with talking(saying(OK)) as port:
        assert download(port) == b"ok"
        assert download(port, 2) == b"ok"
        assert download(port, 5) == b"ok"  # all that there is, which no digest of five fits
    unmeasured = OK.replace(b"Content-Length: 2\r\n", b"")
    for cut in (OK.replace(b"Length: 2", b"Length: 5"), unmeasured):
        with talking(saying(cut)) as port, pytest.raises(RemoteError, match="5 times"):
            download(port, 5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 206 Part\r\nContent-Range: bytes 1-2/9\r\nContent-Length: 2\r\n\r\nxx", "206"),
        (b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n", "416"),
    ],
)
def test_downloads_that_are_none(said: bytes, message: str) -> None:
    with talking(saying(said)) as port, pytest.raises(RemoteError, match=message):
        download(port)


def test_a_near_server_is_downloaded_from_when_it_was_named() -> None:
    message = "no server may send us to"
    with counted(saying(OK)) as (port, calls), pytest.raises(RemoteError, match=message):
        open_url(f"http://127.0.0.1:{port}/file", RemoteOptions())
    assert calls == []
