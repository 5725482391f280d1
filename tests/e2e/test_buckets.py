"""Publishing into real object stores: pulled from, killed, and raced."""

from __future__ import annotations

import json
import random
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli import run as builder
from builder.storage.object_faults import ConflictError
from builder.storage.objects import SINGLE, open_objects
from tests.gateways import GATEWAYS, WRITER, bucket_at_root, make_bucket
from tests.hosts import BUILDER, run
from tests.images import Image
from tests.publish.conftest import complete

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
KILLS = 20
TAGS = ("latest", "1.0", "2.0")


@pytest.fixture(scope="module", params=GATEWAYS)
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Each server in turn; its URL."""
    with GATEWAYS[request.param](tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture
def bucket(gateway: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, and the environment to write to it."""
    name = f"registry-{abs(hash(request.node.name))}"
    make_bucket(gateway, name)
    for key, value in {**WRITER, "AWS_ENDPOINT_URL": gateway}.items():
        monkeypatch.setenv(key, value)
    return name


@pytest.fixture
def host(gateway: str, bucket: str, tmp_path: Path) -> Iterator[str]:
    with bucket_at_root(gateway, bucket, tmp_path) as address:
        yield address


def read(host: str, path: str) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://{host}/{path}", timeout=60) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def test_clients_pull_from_a_bucket(bucket: str, host: str, greeting: Path, tmp_path: Path) -> None:
    folder = greeting / "collections/vanessa/greeting"
    index = Image.index(Image.of("two"), Image.of("three", architecture="arm64"))
    index.tag(folder, "2.0")
    Image.of(bytes(2 * SINGLE).hex() + "big").tag(folder, "big")
    command = ["publish", f"s3://{bucket}", "-q", "-s", str(greeting)]
    assert builder(command) == 0
    for tag in ("latest", "2.0", "big"):
        target = tmp_path / tag
        run("skopeo", "copy", "-q", "--all", "--src-tls-verify=false",
            f"docker://{host}/vanessa/greeting:{tag}", f"dir:{target}")  # fmt: skip
        raw = (target / "manifest.json").read_bytes()
        assert raw == read(host, f"v2/vanessa/greeting/manifests/{tag}")
    listed = run("skopeo", "list-tags", "--tls-verify=false", f"docker://{host}/vanessa/greeting")
    assert json.loads(listed)["Tags"] == ["2.0", "big", "latest"]
    done = run(*BUILDER, *command[:2], "-s", str(greeting), "--json", "--prune")
    assert json.loads(done)["changed"] is False


@pytest.mark.parametrize("gateway", ["ceph"], indirect=True)
def test_killed_twenty_times(bucket: str, host: str, greeting: Path) -> None:
    folder = greeting / "collections/vanessa/greeting"
    chance = random.Random(4)  # noqa: S311 - the same moments each time
    command = [*BUILDER, "publish", f"s3://{bucket}", "-q", "-s", str(greeting), "--prune",
               "--keep", "2", "--grace", "0"]  # fmt: skip
    run(*command)
    killed, last = 0, {}
    for number in range(KILLS):
        for tag in TAGS:
            image = Image.of(f"{number} {tag} {chance.random()}" * 500)
            image.tag(folder, tag)
            last[tag] = image.digest
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=0.3 + chance.random() * 1.2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        for tag in TAGS:
            if read(host, f"v2/vanessa/greeting/manifests/{tag}") is not None:
                complete(lambda path: read(host, path), tag=tag)
    assert killed
    run(*command)
    found = {tag: complete(lambda path: read(host, path), tag=tag) for tag in TAGS}
    assert found == last
    again = run(*command[:-5], "--json")
    assert json.loads(again)["changed"] is False


def test_conditions_hold(bucket: str) -> None:
    store = open_objects(f"s3://{bucket}/deep")
    store.put("a", b"1", {"Content-Type": "text/plain", "mine": "yes"}, only_if="absent")
    with pytest.raises(ConflictError):
        store.put("a", b"2", {}, only_if="absent")
    seen = store.head("a")
    assert seen
    assert seen.attributes == {"Content-Type": "text/plain", "mine": "yes"}
    store.put("a", b"2", {}, only_if=seen)
    with pytest.raises(ConflictError):
        store.put("a", b"3", {}, only_if=seen)
    got = store.get("a")
    assert got
    assert got[0] == b"2"
    store.put("v2/", b"{}", {"Content-Type": "application/json"})
    slash = store.head("v2/")
    assert slash
    assert slash.size == 2
    assert sorted(item.key for item in store.list()) == ["a", "v2"]
    store.delete("v2/")
    assert [item.key for item in store.list()] == ["a"]


@pytest.mark.parametrize("gateway", ["ceph"], indirect=True)
def test_wrong_credentials_say_so(
    bucket: str, greeting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    assert builder(["publish", f"s3://{bucket}", "-q", "-s", str(greeting)]) == 4
    said = capsys.readouterr().err
    assert "AWS_SECRET_ACCESS_KEY" in said
    assert "another-secret" not in said
