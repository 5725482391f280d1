"""Registries that lie, break and send us places: what `add` makes of them."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from builder.cli import run
from builder.remote import http, pace
from tests.conftest import read_tree
from tests.images import INDEX, Image
from tests.remote.hostile import NAME, Behaviour, Log, Server, hostile

Capture = pytest.CaptureFixture[str]
BLOBS = "http://127.0.0.1:{other}/v2/x/blobs/{digest}"


@pytest.fixture(autouse=True)
def _inside(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)


def add(server: Server, *flags: str, reference: str = ":latest", host: str = "127.0.0.1") -> int:
    place = f"docker://{host}:{server.server_address[1]}/{NAME}{reference}"
    return run(["add", *flags, place, "x/y" if "--all-tags" in flags else "x/y:1"])


def refused(behaviour: Behaviour, capsys: Capture, *flags: str, **more: Any) -> tuple[str, Log]:
    """Run `add`, which must fail and leave everything as it was; return what it said."""
    before = read_tree(Path())
    with hostile(behaviour) as server:
        status = add(server, *flags, **more)
    said = capsys.readouterr().err
    assert status == 4, said
    assert "Traceback" not in said
    after = {path: data for path, data in read_tree(Path()).items() if "builder-cache" not in path}
    assert after == {path: data for path, data in before.items() if "builder-cache" not in path}
    return said, server.log


@pytest.mark.parametrize(
    "realm",
    [
        "http://169.254.169.254/token",
        "http://2852039166/token",
        "http://0xa9fea9fe/token",
        "http://[::ffff:169.254.169.254]/token",
        "http://0.0.0.0:1/token",
        "http://10.0.0.1/token",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user:pass@127.0.0.1:{port}/token",
    ],
)
def test_realms_that_are_not_asked(realm: str, capsys: Capture) -> None:
    said, log = refused(Behaviour(auth=f'Bearer realm="{realm}",service="x"'), capsys, "--insecure")
    assert "realm" in said
    assert "/token" not in " ".join(log.paths())


def test_a_realm_on_the_same_server_is_asked(capsys: Capture) -> None:
    behaviour = Behaviour(auth='Bearer realm="http://127.0.0.1:{port}/token",service="s"')
    with hostile(behaviour) as server:
        assert add(server) == 0, capsys.readouterr().err
    (asked,) = {path for path in server.log.paths() if path.startswith("/token")}
    assert "scope=repository%3Alib%2Fapp%3Apull" in asked
    assert "service=s" in asked


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(token=b"{}"),
        Behaviour(token=b"[]"),
        Behaviour(token=b"nonsense"),
        Behaviour(token=b'{"token": "a\\r\\nX: y"}'),
        Behaviour(token=b'{"token": 7}'),
        Behaviour(token=b"[" * 100_000),
        Behaviour(token_padding=100_000_000),
    ],
    ids=["empty", "list", "no json", "newline", "number", "deep", "huge"],
)
def test_tokens_that_are_none(behaviour: Behaviour, capsys: Capture) -> None:
    behaviour.auth = 'Bearer realm="http://127.0.0.1:{port}/token"'
    said, log = refused(behaviour, capsys)
    assert "token" in said
    assert log.sent < 20_000_000


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="' + "a" * 60_000,
        "Bearer " + "," * 60_000,
        'Bearer realm="x' + '\\"' * 3000,
        "Bearer realm=",
        "Negotiate",
        "Basic realm=x",
        "=" * 5000,
    ],
    ids=["long", "commas", "quotes", "empty", "unknown", "basic", "equals"],
)
def test_challenges_that_make_no_sense(challenge: str, capsys: Capture) -> None:
    said, _ = refused(Behaviour(auth=challenge), capsys)
    assert said.startswith("builder: ")


def test_credentials_stay_with_their_host(other: Server, capsys: Capture, tmp_path: Path) -> None:
    behaviour = Behaviour(
        auth='Bearer realm="http://127.0.0.1:{port}/token"',
        blob_redirect=BLOBS.replace("{other}", str(other.server_address[1])),
    )
    behaviour.image = other.behaviour.image = Image.of("small")
    config = tmp_path / "home/.docker/config.json"
    config.parent.mkdir(parents=True)
    with hostile(behaviour) as server:
        login = base64.b64encode(b"me:hunter22").decode()
        host = f"127.0.0.1:{server.server_address[1]}"
        config.write_text(json.dumps({"auths": {host: {"auth": login}}}))
        status = add(server)
    said = capsys.readouterr()
    assert "hunter22" not in said.out + said.err
    assert login not in said.out + said.err
    tokens = [auth for _, path, auth in server.log.requests if path.startswith("/token")]
    assert tokens == [f"Basic {login}"]
    assert {auth for _, _, auth in other.log.requests} == {""}
    assert status == 0, said.err


def test_a_redirect_to_another_port_is_followed(other: Server, capsys: Capture) -> None:
    elsewhere = BLOBS.replace("{other}", str(other.server_address[1]))
    with hostile(Behaviour(image=other.behaviour.image, blob_redirect=elsewhere)) as server:
        assert add(server) == 0, capsys.readouterr().err
    assert len(other.log.requests) == 2


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "//169.254.169.254/x",
        "http://127.0.0.1:99999/x",
        "http://a:b@127.0.0.1/x",
        "/v2/lib/app/manifests/latest",
    ],
    ids=["metadata", "file", "no scheme", "port", "password", "circle"],
)
def test_redirects_that_are_not_followed(location: str, capsys: Capture) -> None:
    said, _ = refused(Behaviour(manifest_redirect=location), capsys, "--insecure")
    assert said.startswith("builder: ")
    assert "root:" not in said


def test_the_next_page_on_another_server(other: Server, capsys: Capture) -> None:
    port = other.server_address[1]
    behaviour = Behaviour(link=f'<http://127.0.0.1:{port}/v2/x/tags/list>; rel="next"')
    said, _ = refused(behaviour, capsys, "--all-tags", reference="")
    assert "another server" in said
    assert other.log.requests == []


def test_pages_that_lead_in_a_circle(capsys: Capture) -> None:
    behaviour = Behaviour(link=f'</v2/{NAME}/tags/list?n=1>; rel="next"')
    said, _ = refused(behaviour, capsys, "--all-tags", reference="")
    assert "circle" in said


def test_a_type_that_is_not_the_manifest_s(capsys: Capture) -> None:
    said, _ = refused(Behaviour(manifest_type=INDEX), capsys)
    assert "Content-Type" in said
    assert "mediaType" in said


def test_another_manifest_than_the_digest_says(capsys: Capture) -> None:
    behaviour = Behaviour(manifest_body=Image.of("swapped").manifest)
    said, _ = refused(behaviour, capsys, reference=f"@{behaviour.image.digest}")
    assert "digest" in said
    behaviour = Behaviour(manifest_digest="sha256:" + "0" * 64)
    said, _ = refused(behaviour, capsys)
    assert "digest" in said


def test_schema_1_is_content_that_is_refused(capsys: Capture) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    behaviour = Behaviour(manifest_type=kind, manifest_body=b'{"schemaVersion":1,"fsLayers":[]}')
    with hostile(behaviour) as server:
        assert add(server) == 1
    assert "schema" in capsys.readouterr().err


@pytest.mark.parametrize("ranges", ["honest", "none", "wrong"])
def test_a_cut_blob_is_resumed(ranges: str, capsys: Capture) -> None:
    behaviour = Behaviour(cut_after=50_000, cuts=2, ranges=ranges)
    with hostile(behaviour) as server:
        assert add(server) == 0, capsys.readouterr().err
    assert behaviour.cuts == 0
    digest = max(behaviour.image.blobs, key=lambda key: len(behaviour.image.blobs[key]))
    stored = Path("collections/x/y/blobs", digest.replace(":", "/"))
    assert stored.read_bytes() == behaviour.image.blobs[digest]


def test_a_blob_that_is_always_cut(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)
    said, _ = refused(Behaviour(cut_after=0, cuts=10_000), capsys)
    assert "cut" in said or "early" in said


def test_a_blob_without_an_end(capsys: Capture) -> None:
    said, log = refused(Behaviour(endless=True), capsys)
    assert "size" in said
    assert log.sent < 50_000_000
    assert not list(Path("collections").rglob(".incoming*"))
    assert not Path("collections/x").exists()


def test_a_blob_of_other_bytes(capsys: Capture) -> None:
    behaviour = Behaviour()
    key, raw = max(behaviour.image.blobs.items(), key=lambda item: len(item[1]))
    behaviour.image.blobs[key] = raw[:-1] + b"?"
    said, _ = refused(behaviour, capsys)
    assert "digest" in said
    behaviour.image.blobs[key] = raw[:-1]
    said, _ = refused(behaviour, capsys)
    assert "bytes where size says" in said


def test_a_blob_that_is_not_there(capsys: Capture) -> None:
    said, _ = refused(Behaviour(blob_redirect="/nowhere"), capsys)
    assert "missing" in said


def test_one_byte_at_a_time(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SLOW_AFTER", 1.0)
    said, _ = refused(Behaviour(drip=True), capsys)
    assert "timeout" in said
    assert "slow" in said


def test_too_busy_for_a_moment(capsys: Capture) -> None:
    behaviour = Behaviour(statuses=[429, 503, 200], retry_after="0")
    with hostile(behaviour) as server:
        assert add(server) == 0, capsys.readouterr().err


@pytest.mark.parametrize("retry_after", ["abc", "-5", "Fri, 31 Dec 1999 23:59:59 GMT", "9" * 400])
def test_too_busy_for_good(
    retry_after: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)
    monkeypatch.setattr(pace, "LONGEST_PAUSE", 0.01)
    said, _ = refused(Behaviour(statuses=[429] * 50, retry_after=retry_after), capsys)
    assert "429" in said


@pytest.mark.parametrize(("status", "word"), [(500, "500"), (404, "not found"), (403, "403")])
def test_errors_are_told_and_not_retried(status: int, word: str, capsys: Capture) -> None:
    said, log = refused(Behaviour(statuses=[status] * 50, error_padding=50_000_000), capsys)
    assert word in said
    assert log.sent < 20_000_000
    assert len([path for path in log.paths() if "/manifests/" in path]) == 1


def test_a_blob_that_the_server_says_it_compressed(capsys: Capture) -> None:
    with hostile(Behaviour(encoding="gzip")) as server:
        assert add(server) == 0, capsys.readouterr().err


def test_nobody_listens(capsys: Capture) -> None:
    with hostile(Behaviour()) as server:
        pass
    assert add(server) == 4
    assert "cannot connect" in capsys.readouterr().err


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving_tls(authority: trustme.CA, name: str, behaviour: Behaviour) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return hostile(behaviour, context)


def test_certificates(authority: trustme.CA, capsys: Capture, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with serving_tls(authority, "localhost", Behaviour()) as server:
        assert add(server, host="localhost") == 4
        assert "certificate" in capsys.readouterr().err
        assert add(server, "--ca", str(trusted), host="localhost") == 0, capsys.readouterr().err
        assert add(server, "--insecure", host="localhost") == 0
    capsys.readouterr()
    with serving_tls(authority, "other.example", Behaviour()) as server:
        assert add(server, "--ca", str(trusted), host="localhost") == 4
        assert "certificate" in capsys.readouterr().err
    assert add(server, "--ca", str(tmp_path / "nope.pem"), host="localhost") == 3


@pytest.mark.parametrize("kind", ["blob", "realm"])
def test_never_from_https_to_http(
    kind: str, authority: trustme.CA, other: Server, capsys: Capture, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    url = f"http://127.0.0.1:{other.server_address[1]}/token"
    behaviour = Behaviour(blob_redirect=url)
    if kind == "realm":
        behaviour = Behaviour(auth=f'Bearer realm="{url}"')
    with serving_tls(authority, "localhost", behaviour) as server:
        assert add(server, "--ca", str(trusted), host="localhost") == 4
    said = capsys.readouterr().err
    assert "http" in said
    assert other.log.requests == []


def test_certificates_that_have_ended(
    authority: trustme.CA, capsys: Capture, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ended = datetime(2001, 1, 1, tzinfo=UTC)
    authority.issue_cert("localhost", not_after=ended).configure_cert(context)
    with hostile(Behaviour(), context) as server:
        assert add(server, "--ca", str(trusted), host="localhost") == 4
    assert "certificate" in capsys.readouterr().err


MEASURED = (
    "import sys; from builder.cli import run; status = run(sys.argv[1:]); "
    "lines = open('/proc/self/status').read().splitlines(); "
    "print(next(line.split()[1] for line in lines if line.startswith('VmHWM'))); sys.exit(status)"
)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(auth='Bearer realm="http://127.0.0.1:{port}/token"', token_padding=100_000_000),
        Behaviour(statuses=[500], error_padding=50_000_000),
        Behaviour(endless=True),
        Behaviour(tags=b'{"tags": ["' + b"a" * 50_000_000 + b'"]}'),
    ],
    ids=["token", "error", "blob", "tags"],
)
def test_memory_stays_small(behaviour: Behaviour) -> None:
    with hostile(behaviour) as server:
        there = f"docker://127.0.0.1:{server.server_address[1]}/{NAME}"
        flags = ["--all-tags"] if len(behaviour.tags) > 1000 else []
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "add", "-q", *flags, there, "x/y"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert int(done.stdout) < 100_000  # KiB
