"""Real registries that ask who we are: Basic, and tokens from a server of the test's own."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from builder.cli import run as builder
from tests.e2e.conftest import run, running_registry
from tests.images import Image

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def log_in(home: Path, host: str, user: str, password: str) -> None:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def bcrypt(password: str) -> str:
    """Return a bcrypt hash by way of the program that Debian's Apache tools bring, or crypt."""
    done = subprocess.run(
        ["perl", "-e", 'print crypt($ARGV[0], "\\$2b\\$05\\$abcdefghijklmnopqrstuu")', password],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def there_and_back(greeting: Path, host: str) -> None:
    flags = ["-q", "-s", str(greeting)]
    there = f"docker://{host}/team/greeting:1"
    assert builder(["push", *flags, "vanessa/greeting:latest", there]) == 0
    assert builder(["add", *flags, there, "back/greeting:1"]) == 0
    raw = (greeting / "collections/back/greeting/manifests/1/manifest.json").read_bytes()
    assert raw == Image.of("one").manifest


def test_basic(greeting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "htpasswd").write_text(f"me:{bcrypt('secret')}\n")
    auth = f"auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}\n"
    with running_registry(tmp_path, auth) as host:
        flags = ["-q", "-s", str(greeting)]
        there = f"docker://{host}/team/greeting:1"
        assert builder(["push", *flags, "vanessa/greeting:latest", there]) == 4
        assert "login" in capsys.readouterr().err
        log_in(tmp_path, host, "me", "wrong-password")
        assert builder(["push", *flags, "vanessa/greeting:latest", there]) == 4
        assert "wrong-password" not in capsys.readouterr().err
        log_in(tmp_path, host, "me", "secret")
        there_and_back(greeting, host)
        text = run("skopeo", "inspect", "--raw", "--tls-verify=false", "--creds=me:secret",
                   f"docker://{host}/team/greeting:1")  # fmt: skip
        assert text.encode() == Image.of("one").manifest


class _Tokens(BaseHTTPRequestHandler):
    server: TokenServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.server.asked.append(asked)
        login = base64.b64encode(b"me:secret").decode()
        status = 200 if self.headers.get("Authorization") == f"Basic {login}" else 401
        body = json.dumps({"token": self.server.token(asked.get("scope", [])), "expires_in": 60})
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


class TokenServer(ThreadingHTTPServer):
    """Signs what anybody who is logged in asks for. Source: distribution's `auth/jwt.md`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tokens)
        self.asked: list[dict[str, list[str]]] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(7)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .sign(self._key, hashes.SHA256())
        )

    def bundle(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def token(self, scopes: list[str]) -> str:
        chain = base64.b64encode(
            self._certificate.public_bytes(serialization.Encoding.DER)
        ).decode()
        now = int(time.time())
        access = [_access(scope) for text in scopes for scope in text.split(" ")]
        claims = {"iss": "tests", "sub": "me", "aud": "registry", "exp": now + 60, "nbf": now - 10,
                  "iat": now, "jti": str(now), "access": access}  # fmt: skip
        parts = [_part({"typ": "JWT", "alg": "ES256", "x5c": [chain]}), _part(claims)]
        der = self._key.sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        return ".".join([*parts, _url64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))])


def _access(scope: str) -> dict[str, object]:
    kind, name, actions = scope.split(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _part(value: object) -> str:
    return _url64(json.dumps(value).encode())


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    server = TokenServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_tokens(greeting: Path, tmp_path: Path, tokens: TokenServer) -> None:
    (tmp_path / "bundle.pem").write_bytes(tokens.bundle())
    realm = f"http://127.0.0.1:{tokens.server_address[1]}/token"
    auth = (
        f"auth: {{token: {{realm: '{realm}', service: registry, issuer: tests, "
        f"rootcertbundle: {tmp_path}/bundle.pem}}}}\n"
    )
    with running_registry(tmp_path, auth) as host:
        log_in(tmp_path, host, "me", "secret")
        there_and_back(greeting, host)
        scopes = {scope for asked in tokens.asked for scope in asked["scope"]}
        assert scopes == {"repository:team/greeting:pull,push", "repository:team/greeting:pull"}
        again = f"docker://{host}/other/greeting:1"
        flags = ["-q", "-s", str(greeting), "--mount-from", "team/greeting"]
        assert builder(["push", *flags, "vanessa/greeting:latest", again]) == 0


def test_a_second_push_sends_nothing(
    greeting: Path, docker_registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = f"docker://{docker_registry}/twice/greeting:1"
    flags = ["-s", str(greeting), "--json"]
    capsys.readouterr()
    assert builder(["push", *flags, "vanessa/greeting:latest", there]) == 0
    first = json.loads(capsys.readouterr().out)
    assert builder(["push", *flags, "vanessa/greeting:latest", there]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (first["changed"], second["changed"], second["sent"]) == (True, False, 0)
    mounted = f"docker://{docker_registry}/mounted/greeting:1"
    assert builder(["push", *flags, "--mount-from", "twice/greeting",
                    "vanessa/greeting:latest", mounted]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["sent"] == 0


def test_oras_restores_names_and_bytes(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import oras.client  # noqa: PLC0415 - only here

    from tests.e2e.conftest import serving  # noqa: PLC0415

    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    files = {"data.csv": b"a,b\n1,2\n", "sub/model.bin": bytes(range(256)) * 100}
    for name, data in files.items():
        (work / name).write_bytes(data)
    monkeypatch.chdir(work)
    sources = [f"file:{name}" for name in files]
    assert builder(["add", "-q", "-s", str(registry), *sources, "x/data:1",
                    "--artifact-type", "application/vnd.test"]) == 0  # fmt: skip
    with serving(registry) as host:
        client = oras.client.OrasClient(insecure=True)
        client.pull(target=f"{host}/x/data:1", outdir=str(tmp_path / "out"))
    for name, data in files.items():
        assert (tmp_path / "out" / name).read_bytes() == data
