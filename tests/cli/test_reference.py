"""Files that stay where they are: hashed once, and named by their address."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from builder.cli import run
from builder.transports.reference import public_address
from tests.conftest import read_tree
from tests.publish.fake_s3 import fake_s3

SIF = bytes(32) + b"SIF_MAGIC\0" + bytes(5000)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@pytest.fixture
def place(greeting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server's address, with a SIF, a text and an empty file."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "a b.sif").write_bytes(SIF)
    (files / "data.csv").write_text("a,b\n1,2\n")
    (files / "empty").touch()
    monkeypatch.chdir(greeting)
    handler = partial(_Quiet, directory=str(files))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_sif_by_its_address(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{place}/a%20b.sif"
    assert run(["add", url, "x/sif:1"]) == 0
    assert "left where its URLs point" in capsys.readouterr().out
    manifest = json.loads(Path("collections/x/sif/manifests/1/manifest.json").read_bytes())
    (layer,) = manifest["layers"]
    digest = hashlib.sha256(SIF).hexdigest()
    assert layer["digest"] == f"sha256:{digest}"
    assert (layer["size"], layer["urls"]) == (len(SIF), [url])
    assert layer["mediaType"].endswith(".sif")
    assert layer["annotations"]["org.opencontainers.image.title"] == "a b.sif"
    assert not [name for name in read_tree(Path()) if digest in name]
    assert run(["build", "-q"]) == 0
    assert url in Path("_site/x/sif/tags/1/index.html").read_text()
    found = json.loads(Path(f"_site/x/sif/blobs/sha256:{digest}/index.json").read_bytes())
    assert found["url"] == url


def test_it_stays_there_also_where_layers_have_another_place(place: str) -> None:
    Path("_config.yml").write_text("registry:\n  blobs: https://blobs.example.org\n")
    assert run(["add", f"{place}/a%20b.sif", "x/sif:1"]) == 0
    assert run(["build", "-q"]) == 0
    digest = hashlib.sha256(SIF).hexdigest()
    found = json.loads(Path(f"_site/x/sif/blobs/sha256:{digest}/index.json").read_bytes())
    assert found["url"] == f"{place}/a%20b.sif"


def test_any_file_is_an_artifact(place: str) -> None:
    assert (
        run(["add", "--artifact-type", "application/vnd.test", f"{place}/data.csv", "x/d:1"]) == 0
    )
    manifest = json.loads(Path("collections/x/d/manifests/1/manifest.json").read_bytes())
    assert manifest["artifactType"] == "application/vnd.test"
    assert manifest["layers"][0]["mediaType"] == "text/csv"


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("/nowhere.sif", 4, "404"),
        ("/empty", 1, "is empty"),
        ("/", 2, "names no file"),
    ],
)
def test_what_cannot_be_added(
    place: str, path: str, code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_tree(Path("collections"))
    assert run(["add", place + path, "x/y:1"]) == code
    assert word in capsys.readouterr().err
    assert read_tree(Path("collections")) == before


@pytest.mark.parametrize(
    ("text", "variables", "address"),
    [
        ("gs://b/k/x.sif", {}, "https://storage.googleapis.com/b/k/x.sif"),
        ("s3://bkt/k/x.sif", {"AWS_REGION": "eu-1"}, "https://bkt.s3.eu-1.amazonaws.com/k/x.sif"),
        ("s3://bkt/x.sif", {"AWS_ENDPOINT_URL": "https://m/"}, "https://m/bkt/x.sif"),
        ("s3://bkt/pre/x.sif", {}, "https://cdn.example.org/x.sif"),
        (
            "az://box/x.sif",
            {"AZURE_STORAGE_ACCOUNT_NAME": "me"},
            "https://me.blob.core.windows.net/box/x.sif",
        ),
    ],
)
def test_where_clients_get_an_object(
    text: str, variables: dict[str, str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert public_address(text, {"s3://bkt/pre": "https://cdn.example.org"}) == address


@pytest.mark.parametrize(
    "key",
    [
        "a/b.sif",
        "ä ö/x+1 &=@:,;!$().sif",
        "..sif",
        "deep/" * 9 + "x",
        "100%.sif",
        "a%2Fb/%41.sif",
        "what?v=1&x.sif",
        "c#.sif",
        '~a*|b`c^{d}[e]"<f>.sif',
        "back\\slash.sif",
    ],
)
def test_objects_of_any_key(key: str, greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there already, under the names that others gave them."""
    monkeypatch.chdir(greeting)
    with fake_s3() as fake:
        fake.store(key, SIF, {})
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "somebody")
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.address)
        assert run(["add", "-q", f"s3://bucket/{key}", "x/y:1"]) == 0
        manifest = json.loads(Path("collections/x/y/manifests/1/manifest.json").read_bytes())
        (url,) = manifest["layers"][0]["urls"]
        with urlopen(url) as answer:
            assert answer.read() == SIF


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "names no object"), ("x/", "names no object"), ("a/../b", "cannot be read"),
     ("a//b", "cannot be read"), ("a\tb", "cannot be read")],
)  # fmt: skip
def test_keys_of_no_object(
    greeting: Path, key: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["add", "-q", "-s", str(greeting), f"s3://bucket/{key}", "x/y:1"]) == 2
    assert words in capsys.readouterr().err
