"""`builder serve --push` with the tools that people push with."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import requests
import trustme

from builder.cli import run as builder
from tests.daemons import run_docker
from tests.e2e.conftest import run, serving
from tests.images import Image, sha256

pytestmark = pytest.mark.e2e


@pytest.fixture
def served(registry: Path) -> Iterator[tuple[Path, str]]:
    """A registry that takes pushes, and its host and port."""
    with serving(registry, "--push") as host:
        yield registry, host


def manifest_of(source: Path, name: str, tag: str) -> bytes:
    return (source / "collections" / name / "manifests" / tag / "manifest.json").read_bytes()


def pulled(host: str, name: str, folder: Path) -> str:
    """Return the digest of what skopeo pulls."""
    run("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{host}/{name}",
        f"dir:{folder}")  # fmt: skip
    return sha256((folder / "manifest.json").read_bytes())


def ask_raw(host: str, *pieces: bytes) -> bytes:
    """Return what comes back to bytes that no HTTP library would send; headers name the host."""
    name, _, port = host.partition(":")
    lines = b"".join(pieces).replace(b"HOST", host.encode())
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        connection.sendall(lines)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


DATA = b"in chunks, with more than their sizes"
CHUNKED = {
    "extensions": b'%x;a=1;b="c d"\r\n%s\r\n0;last\r\n\r\n' % (len(DATA), DATA),
    "trailers": b"%x\r\n%s\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n" % (len(DATA), DATA),
    "a size with zeros": b"000%X ;a\r\n%s\r\n000\r\n\r\n" % (len(DATA), DATA),
}


def test_requests_as_the_standard_allows_them(served: tuple[Path, str]) -> None:
    """Chunk extensions, trailers, and a target with its host (RFC 9112, 3.2.2 and 7.1)."""
    _, host = served
    head = b"Host: HOST\r\nConnection: close\r\n"
    for name, body in CHUNKED.items():
        path = f"/v2/team/{name.replace(' ', '-')}/blobs/uploads/?digest={sha256(DATA)}"
        start = f"POST {path} HTTP/1.1\r\n".encode()
        answer = ask_raw(host, start, head, b"Transfer-Encoding: chunked\r\n\r\n", body)
        assert answer.startswith(b"HTTP/1.1 201"), name
    targets = {b"http://HOST/v2/": 200, b"HTTP://HOST": 200, b"http://HOST/v2/a/tags/list": 404,
               b"http://evil.example/v2/": 421}  # fmt: skip
    for target, status in targets.items():
        answer = ask_raw(host, b"GET ", target, b" HTTP/1.1\r\n", head, b"\r\n")
        assert answer.startswith(b"HTTP/1.1 %d" % status), target
    start = f"POST /v2/team/no/blobs/uploads/?digest={sha256(DATA)} HTTP/1.1\r\n".encode()
    for broken in (b"zz;a\r\n", b";a\r\n", b"-1\r\n"):
        answer = ask_raw(host, start, head, b"Transfer-Encoding: chunked\r\n\r\n", broken)
        assert answer.startswith(b"HTTP/1.1 400"), broken


def test_skopeo_pushes_and_another_machine_pulls(served: tuple[Path, str], tmp_path: Path) -> None:
    source, host = served
    image = Image.index(Image.of("amd"), Image.of("arm", architecture="arm64"))
    image.layout(tmp_path / "layout", "1.0")
    target = f"docker://{host}/team/tool:1.0"
    run("skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:1.0", target)
    assert manifest_of(source, "team/tool", "1.0") == image.manifest
    assert pulled(host, "team/tool:1.0", tmp_path / "pulled") == image.digest
    assert builder(["build", "-q", "-s", str(source), "-d", str(tmp_path / "site")]) == 0
    published = tmp_path / "site/v2/team/tool/manifests/1.0"
    assert published.read_bytes() == image.manifest
    run("skopeo", "delete", "--tls-verify=false", target)
    assert requests.get(f"http://{host}/v2/team/tool/manifests/1.0", timeout=10).status_code == 404


def test_podman_and_buildah_push(served: tuple[Path, str], tmp_path: Path) -> None:
    source, host = served
    config = tmp_path / "storage.conf"
    config.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/images"\n'
    )
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(config)}
    Image.of("hello").layout(tmp_path / "layout", "1.0")
    for command in (
        ["podman", "pull", "-q", f"oci:{tmp_path}/layout:1.0"],
        ["podman", "push", "--tls-verify=false", "ID", f"{host}/team/podman:1.0"],
        ["buildah", "push", "--tls-verify=false", "ID", f"docker://{host}/team/buildah:1.0"],
    ):
        found = subprocess.run(
            ["podman", "images", "-q"], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        done = subprocess.run(
            [found if word == "ID" else word for word in command],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    for name in ("team/podman", "team/buildah"):
        digest = sha256(manifest_of(source, name, "1.0"))
        assert pulled(host, f"{name}:1.0", tmp_path / name.replace("/", "-")) == digest


def test_python_oras_pushes_and_attaches(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import oras.client  # noqa: PLC0415 - only here

    source, host = served
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text("some data\n")
    client = oras.client.OrasClient(hostname=host, insecure=True)
    target = f"{host}/team/data:1.0"
    client.push(target=target, files=["data.txt"], disable_path_validation=True)
    layers = json.loads(manifest_of(source, "team/data", "1.0"))["layers"]
    assert layers[0]["digest"] == sha256(b"some data\n")
    (got,) = client.pull(target=target, outdir=str(tmp_path / "out"))
    assert Path(got).read_text() == "some data\n"


def test_a_large_layer_is_sent_in_pieces(served: tuple[Path, str]) -> None:
    source, host = served
    data = os.urandom(24 << 20)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    where = f"http://{host}/v2/team/large/blobs/uploads/"
    with requests.Session() as session:
        begun = session.post(where, timeout=10)
        place = f"http://{host}{begun.headers['Location']}"
        sent = session.patch(place, data=iter([data[:10], data[10:]]), timeout=30)
        assert (sent.status_code, sent.headers["Range"]) == (202, f"0-{len(data) - 1}")
        done = session.put(place, params={"digest": digest}, timeout=30)
        assert done.status_code == 201
        assert session.get(f"http://{host}{done.headers['Location']}", timeout=30).content == data
        image = Image.holding(data)
        config = {key: item for key, item in image.blobs.items() if key != digest}
        for key, item in config.items():
            assert session.post(where, params={"digest": key}, data=item, timeout=10).ok
        put = session.put(f"http://{host}/v2/team/large/manifests/1", data=image.manifest,
                          headers={"Content-Type": image.media_type}, timeout=30)  # fmt: skip
        assert put.status_code == 201, put.text
    stored = source / "_blobs/blobs/sha256" / digest.removeprefix("sha256:")
    assert stored.read_bytes() == data
    assert stored.stat().st_nlink == 1


def test_pages_of_other_sites_write_nothing(served: tuple[Path, str]) -> None:
    source, host = served
    url = f"http://{host}/v2/team/tool/blobs/uploads/"
    for origin in ("https://evil.example", "http://[", "null"):
        other = requests.post(url, headers={"Origin": origin}, timeout=10)
        assert other.status_code == 403
    foreign = requests.post(url, headers={"Host": "evil.example"}, timeout=10)
    assert foreign.status_code == 421
    own = requests.post(url, headers={"Origin": f"http://{host}"}, timeout=10)
    assert own.status_code == 202
    assert not (source / "collections").exists()


def test_nothing_is_taken_unless_asked_for(greeting: Path) -> None:
    with serving(greeting) as host:
        answer = requests.post(f"http://{host}/v2/team/tool/blobs/uploads/", timeout=10)
        assert answer.status_code == 405
        assert answer.json()["errors"][0]["code"] == "UNSUPPORTED"


def test_another_address_needs_tls_and_users(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("anna:x\n")
    for flags in (
        [],
        ["--htpasswd", str(tmp_path / "users")],
        ["--tls-cert", "a", "--tls-key", "b"],
        ["-t", "nginx", "-H", "127.0.0.1"],
        ["--from", "http://127.0.0.1:1", "-H", "127.0.0.1"],
    ):
        command = ["serve", "-s", str(registry), "--push", "-H", "0.0.0.0", "-P", "0", *flags]
        assert builder(command) == 2, flags


@pytest.mark.parametrize("flags", [["--htpasswd", ""], ["--tls-cert", "", "--tls-key", ""]])
def test_a_door_that_is_closed_by_nothing_stays_shut(registry: Path, flags: list[str]) -> None:
    """As where a script's variable is not set: a server for everybody must not start."""
    assert builder(["serve", "-s", str(registry), "-P", "0", *flags]) == 2


@pytest.mark.parametrize("name", ["team/users", "link-in", "team/.hidden/users"])
@pytest.mark.parametrize(
    ("flags", "fault"), [(["--htpasswd"], 1), (["--tls-cert", "a", "--tls-key"], 3)]
)
def test_secrets_are_kept_out_of_the_registry(
    registry: Path,
    tmp_path: Path,
    *,
    flags: list[str],
    fault: int,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file in its folder would be published: whichever way it is named."""
    (tmp_path / "team").symlink_to(registry)
    (tmp_path / "link-in").symlink_to(registry / "users")
    (registry / ".hidden").mkdir()
    for file in (registry / "users", registry / ".hidden/users", tmp_path / "outside"):
        file.write_text("no user\n")
    command = ["serve", "-s", str(registry), "-P", "0", *flags]
    assert builder([*command, str(tmp_path / name)]) == 2
    assert "is in the registry's folder" in capsys.readouterr().err
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert builder([*command, str(tmp_path / "circle")]) == 3
    # Outside it is read, and found wanting.
    assert builder([*command, str(tmp_path / "outside")]) == fault
    assert "is in the registry's folder" not in capsys.readouterr().err


def test_users_push_over_tls_what_is_theirs(registry: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    own = authority.issue_cert("127.0.0.1", "localhost")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (tmp_path / "users").write_text(f"anna:{hashed}\nbo:{hashed}\n")
    (registry / "OWNERS").write_text("collections/anna/ @anna\n")
    pem = str(tmp_path / "own.pem")
    flags = ["--tls-cert", pem, "--tls-key", pem, "--htpasswd", str(tmp_path / "users")]
    Image.of("hello").layout(tmp_path / "layout", "1.0")
    copy = ["skopeo", "copy", f"--dest-cert-dir={tmp_path}", f"oci:{tmp_path}/layout:1.0"]
    with serving(registry, "--push", "-H", "0.0.0.0", "--allow-host", "127.0.0.1", *flags) as host:
        asked = requests.get(f"https://{host}/v2/", verify=str(tmp_path / "ca.crt"), timeout=10)
        assert asked.status_code == 401
        assert asked.headers["WWW-Authenticate"].startswith("Basic ")
        assert asked.json()["errors"][0]["code"] == "UNAUTHORIZED"
        for login, name, works in (
            ("anna:secret", "anna/tool", True),
            ("anna:wrong", "anna/tool", False),
            ("bo:secret", "anna/tool", False),
            ("bo:secret", "bo/tool", False),
        ):
            command = [*copy, f"--dest-creds={login}", f"docker://{host}/{name}:1.0"]
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
            assert (done.returncode == 0) == works, (login, name, done.stderr)
    assert sorted(path.name for path in (registry / "collections").iterdir()) == ["anna"]


def test_docker_pushes(served: tuple[Path, str], tmp_path: Path) -> None:
    source, host = served
    name = f"{host}/team/docker:1.0"
    (tmp_path / "hello.txt").write_text("hello\n")
    archive = tmp_path / "hello.tar"
    run("tar", "-cf", str(archive), "-C", str(tmp_path), "hello.txt")
    with tempfile.TemporaryDirectory() as folder, run_docker(Path(folder)) as docker:
        run(*docker, "import", str(archive), name)
        run(*docker, "push", name)
    digest = sha256(manifest_of(source, "team/docker", "1.0"))
    assert pulled(host, "team/docker:1.0", tmp_path / "pulled") == digest
