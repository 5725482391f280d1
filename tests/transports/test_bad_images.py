"""Image layouts that must be refused, and odd ones that must not be."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import read_tree
from tests.images import INDEX, MANIFEST, as_json, descriptor
from tests.transports.samples import Edit, drop, index_of, put_blob, set_in, write_layout

EMPTY = "application/vnd.oci.empty.v1+json"
DIGEST = ("layers", 0, "digest")
SIZE = ("layers", 0, "size")
URLS = ("layers", 0, "urls")


@dataclass(frozen=True)
class Case:
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    after: Callable[[Path, Path], object] | None = None


def config(*path: str | int, to: Any) -> dict[str, Any]:
    return {"config": set_in(*path, to=to)}


def manifest(*path: str | int, to: Any) -> dict[str, Any]:
    return {"manifest": set_in(*path, to=to)}


def raw(change: Callable[[bytes], bytes]) -> dict[str, Any]:
    return {"raw_manifest": change}


def layer_size(change: int) -> dict[str, Any]:
    def edit(document: dict[str, Any]) -> None:
        document["layers"][0]["size"] += change

    return {"manifest": edit}


def layer_digest(change: Callable[[str], str]) -> dict[str, Any]:
    def edit(document: dict[str, Any]) -> None:
        document["layers"][0]["digest"] = change(document["layers"][0]["digest"])

    return {"manifest": edit}


def same_layer_other_size(document: dict[str, Any]) -> None:
    document["layers"].append({**document["layers"][0], "size": 1})


def two_diff_ids(document: dict[str, Any]) -> None:
    document["rootfs"]["diff_ids"] *= 2


def with_layers(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    return index_of(folder, [top], layers=[])


def with_config(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    return index_of(folder, [top], config=top)


def missing_child(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    return index_of(folder, [top, {**top, "digest": "sha256:" + "2" * 64}])


def itself(folder: Path, _: dict[str, Any]) -> dict[str, Any]:
    entry = {"mediaType": INDEX, "digest": "sha256:" + "3" * 64, "size": 10}
    return index_of(folder, [entry])


def deep(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    for _ in range(12):
        top = index_of(folder, [top])
    return top


def wide(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    return index_of(folder, [top] * 20_000)


def bad_platform(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    platform = {"os": "../../etc", "architecture": "amd64"}
    return index_of(folder, [{**top, "platform": platform}])


def flip(layer: Path, _: Path) -> None:
    data = layer.read_bytes()
    layer.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])


def cut(layer: Path, _: Path) -> None:
    layer.write_bytes(layer.read_bytes()[:-5])


def upper(layer: Path, _: Path) -> None:
    layer.rename(layer.with_name(layer.name.upper()))


def linked(target: str) -> Callable[[Path, Path], None]:
    def replace(layer: Path, _: Path) -> None:
        layer.unlink()
        layer.symlink_to(target)

    return replace


def replaced(make: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def replace(layer: Path, _: Path) -> None:
        layer.unlink()
        make(layer)

    return replace


def linked_folder(_: Path, folder: Path) -> None:
    (folder / "blobs").rename(folder.parent / "elsewhere")
    (folder / "blobs").symlink_to(folder.parent / "elsewhere")


def said(name: str, text: str) -> Callable[[Path, Path], object]:
    return lambda _, folder: (folder / name).write_text(text)


def all_of(*edits: Edit) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        for one in edits:
            one(document)

    return edit


def without(name: str) -> Callable[[Path, Path], object]:
    return lambda _, folder: (folder / name).unlink()


BAD = [
    # What a label or an annotation may be.
    Case("annotation is a number", manifest("annotations", to={"org.example.n": 1}),
         ("/annotations/org.example.n",)),
    # A manifest that two readers could take for two things (CVE-2021-41190).
    Case("layers and manifests", manifest("manifests", to=[]), ("/manifests", "ambiguous")),
    Case("index with layers", {"wrap": with_layers}, ("ambiguous",)),
    Case("index with config", {"wrap": with_config}, ("ambiguous",)),
    Case("schema 1 beside 2", manifest("fsLayers", to=[]), ("/fsLayers",)),
    Case("keys but for case", manifest("LAYERS", to=[]), ("LAYERS", "case")),
    Case("key but for case", manifest("Manifests", to=[]), ("/Manifests", "case", "'manifests'")),
    Case("key of a descriptor but for case", manifest("config", "Digest", to="x"),
         ("Digest", "case")),
    Case("key of a config but for case", config("config", "env", to=["A=1"]),
         ("env", "case")),
    Case("number beyond all", raw(lambda data: data.replace(b'"layers"', b'"x": 1e999, "layers"')),
         ("1e999", "range")),
    Case("type with a parameter", manifest("layers", 0, "mediaType", to="text/plain;version=1"),
         ("/layers/0/mediaType", "hint", "without parameters")),
    Case("artifact manifest of a draft",
         manifest("mediaType", to="application/vnd.oci.artifact.manifest.v1+json"),
         ("artifact manifest", "hint", "oras")),
    Case("key twice", raw(lambda data: data.replace(b'"digest"', b'"digest": "x", "digest"', 1)),
         ("duplicate", "digest")),
    Case("types disagree", {"index": set_in("manifests", 0, "mediaType",
         to="application/vnd.docker.distribution.manifest.v2+json")}, ("/mediaType",)),
    Case("type with a line end", manifest("mediaType", to="text/x\r\nX-Evil: 1"), ("/mediaType",)),
    Case("type of a web page", manifest("layers", 0, "mediaType", to="text/html"),
         ("/layers/0/mediaType",)),
    Case("type of an index", manifest("mediaType", to=INDEX), ("/mediaType",)),
    Case("schema 1", manifest("schemaVersion", to=1), ("/schemaVersion", "schema 1")),
    Case("schema as text", manifest("schemaVersion", to="2"), ("/schemaVersion",)),
    Case("schema true", manifest("schemaVersion", to=True), ("/schemaVersion",)),
    Case("no config", {"manifest": drop("config")}, ("/config",)),
    Case("config is null", manifest("config", to=None), ("/config",)),
    Case("layer is a text", manifest("layers", to=["x"]), ("/layers/0",)),
    # Sizes.
    Case("negative", manifest(*SIZE, to=-1), ("/layers/0/size",)),
    Case("too small", layer_size(-1), ("/layers/0/size",)),
    Case("too large", layer_size(1), ("/layers/0/size",)),
    Case("float", manifest(*SIZE, to=12.0), ("/layers/0/size",)),
    Case("truth value", manifest(*SIZE, to=True), ("/layers/0/size",)),
    Case("text", manifest(*SIZE, to="12"), ("/layers/0/size",)),
    Case("digits", raw(lambda data: data.replace(b'"size": 1', b'"size": 1' + b"9" * 5000, 1)),
         ("out of range",)),
    Case("no number", manifest(*SIZE, to=float("nan")), ("NaN",)),
    Case("two sizes of one digest",
         {"manifest": same_layer_other_size, "config": two_diff_ids}, ("/layers/1/size",)),
    Case("more than any disk", manifest(*SIZE, to=2**62), ()),
    # Digests.
    Case("upper case", layer_digest(lambda text: f"sha256:{text[7:].upper()}"),
         ("/layers/0/digest",)),
    Case("line end", layer_digest(lambda text: f"{text}\n"), ("/layers/0/digest",)),
    Case("md5", manifest(*DIGEST, to="md5:d41d8cd98f00b204e9800998ecf8427e"),
         ("/layers/0/digest", "md5")),
    Case("sha384", manifest(*DIGEST, to="sha384:" + "0" * 96), ("/layers/0/digest",)),
    Case("path", manifest(*DIGEST, to="sha256:../../../../etc/passwd"), ("/layers/0/digest",)),
    Case("algorithm in upper case", manifest(*DIGEST, to="SHA256:" + "0" * 64),
         ("/layers/0/digest",)),
    Case("config digest is a path", manifest("config", "digest", to="sha256:x/../y"),
         ("/config/digest",)),
    # Layers that send clients elsewhere (CVE-2020-15157): never fetched.
    Case("foreign layer", manifest(*URLS, to=["http://169.254.169.254/meta-data/"]),
         ("/layers/0/urls", "--allow-foreign"), replaced(lambda _: None)),
    Case("foreign layer that is here", manifest(*URLS, to=["https://evil.example/layer"]),
         ("/layers/0/urls",)),
    Case("file URL", manifest(*URLS, to=["file:///etc/passwd"]), ("/layers/0/urls",)),
    Case("other data", manifest("config", "data", to=base64.b64encode(b"{}").decode()),
         ("/config/data",)),
    # Configs.
    Case("config is no JSON", {"raw_config": lambda _: b"not json"}, ("config", "JSON")),
    Case("config is a list", {"raw_config": lambda _: b"[]"}, ("config",)),
    Case("half a surrogate pair", {"raw_config": lambda _: b'{"author": "\\ud800"}'}, ("config",)),
    Case("too few diff IDs", config("rootfs", to={"diff_ids": []}), ("/rootfs/diff_ids",)),
    # The document itself.
    Case("bytes after it", raw(lambda data: data + b'\n{"x":1}'), ("extra data",)),
    Case("byte order mark", raw(lambda data: b"\xef\xbb\xbf" + data), ("JSON",)),
    Case("a list", raw(lambda _: b"[]"), ("not a JSON object",)),
    Case("nothing", raw(lambda _: b""), ("JSON",)),
    Case("not UTF-8", raw(lambda data: data + b"\xff"), ("UTF-8",)),
    Case("deep", raw(lambda _: b"[" * 100_000), ("deep",)),
    Case("over 4 MiB", raw(lambda data: data + b" " * (4 << 20)), ("limit",)),
    Case("empty config, no type", manifest("config", "mediaType", to=EMPTY), ("/artifactType",)),
    # Indexes.
    Case("index of itself", {"wrap": itself}, ("/manifests/0", "missing")),
    Case("child is missing", {"wrap": missing_child}, ("/manifests/1", "missing")),
    Case("nested deeply", {"wrap": deep}, ("deeper",)),
    Case("20,000 entries", {"wrap": wide}, ("limit",)),
    Case("platform is a path", {"wrap": bad_platform}, ("/manifests/0/platform/os",)),
    # The layout around it.
    Case("no oci-layout", after=without("oci-layout"), words=("in/layout/oci-layout",)),
    Case("another version", words=("imageLayoutVersion",),
         after=said("oci-layout", '{"imageLayoutVersion":"9.0.0"}')),
    Case("oci-layout is no JSON", after=said("oci-layout", "x"), words=("oci-layout",)),
    Case("no index.json", after=without("index.json"), words=("in/layout/index.json",)),
    Case("byte order mark in index.json", words=("index.json", "byte order mark"),
         after=lambda _, folder: (folder / "index.json").write_bytes(
             b"\xef\xbb\xbf" + (folder / "index.json").read_bytes())),
    Case("index.json has a key twice", words=("index.json", "duplicate"),
         after=said("index.json", '{"schemaVersion":2,"manifests":[],"manifests":[]}')),
    Case("index.json is a list", after=said("index.json", "[]"), words=("index.json",)),
    Case("no image", {"index": set_in("manifests", to=[])}, ("no images",)),
    # Its blobs.
    Case("a flipped bit", after=flip, words=("/layers/0/digest", "another digest")),
    Case("layer cut short", after=cut, words=("/layers/0/size",)),
    Case("layer missing", after=replaced(lambda _: None), words=("/layers/0", "missing")),
    Case("link to a file elsewhere", after=linked("/etc/passwd"), words=("link",)),
    Case("link in the layout", after=linked("../../index.json"), words=("link",)),
    Case("pipe", after=replaced(os.mkfifo), words=("regular file",)),
    Case("folder", after=replaced(Path.mkdir), words=("regular file",)),
    Case("name in upper case", after=upper, words=("missing",)),
    Case("blobs is a link", after=linked_folder, words=("link",)),
]  # fmt: skip


@pytest.fixture
def folder(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry to add to, as the working folder; the image is at in/layout."""
    monkeypatch.chdir(greeting)
    return greeting / "in/layout"


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_refused(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = write_layout(folder, **case.options)
    if case.after:
        case.after(layer, folder)
    before = read_tree(Path("collections"))
    assert run(["add", "in/layout", "vanessa/greeting:bad"]) in (1, 3)
    error = capsys.readouterr().err
    assert error.startswith("in/layout") or "bytes of disk" in error
    for word in case.words:
        assert word in error
    assert "root:x:0" not in error
    assert read_tree(Path("collections")) == before
    assert not Path("_blobs").exists()
    assert [path.name for path in Path(".builder-cache").iterdir()] == ["registry.lock"]


def bomb() -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed:
        for _ in range(64):
            packed.write(bytes(8 << 20))
    return buffer.getvalue()


def same_platform(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    entry = {**top, "platform": {"os": "linux", "architecture": "amd64"}}
    return index_of(folder, [entry, entry])


def no_platform(folder: Path, top: dict[str, Any]) -> dict[str, Any]:
    return index_of(folder, [{**top, "platform": {"os": "", "architecture": ""}}])


def in_sha512(layer: Path, folder: Path) -> None:
    data = layer.read_bytes()
    digest = "sha512:" + hashlib.sha512(data).hexdigest()
    put_blob(folder, data, digest)
    write_layout(folder, manifest=set_in("layers", 0, "digest", to=digest))


SUBJECT = {"mediaType": MANIFEST, "digest": "sha256:" + "1" * 64, "size": 7}
GOOD = [
    Case("script in a label", config("config", "Labels", to={"x": "<script>alert(1)</script>"})),
    Case("title is a path", manifest("layers", 0, "annotations",
         to={"org.opencontainers.image.title": "../../../../tmp/x"})),
    Case("workflow command in a label", config("author", to="::set-output name=x::y\n::x")),
    Case("a secret in the environment", config("config", "Env", to=["AWS_SECRET_ACCESS_KEY=x"]),
         ("warning", "AWS_SECRET_ACCESS_KEY")),
    Case("two entries of one platform", {"wrap": same_platform}, ("warning", "linux/amd64")),
    Case("sha512", after=in_sha512, words=("warning", "sha512")),
    Case("subject that is nowhere", manifest("subject", to=SUBJECT)),
    Case("layers is null", {"manifest": set_in("layers", to=None), "config": drop("rootfs")},
         ("warning", "/layers is null")),
    Case("no layers", {"manifest": drop("layers"), "config": drop("rootfs")},
         ("warning", "/layers is missing")),
    Case("no rootfs", {"config": drop("rootfs")}, ("warning", "diff_ids")),
    Case("rootfs of another type", config("rootfs", "type", to="tree"), ("warning", "tree")),
    Case("empty config", {"raw_config": lambda _: b""}, ("warning", "config is empty")),
    Case("config of nothing", {"raw_config": lambda _: b"{}"}, ("warning", "diff_ids")),
    Case("config is null", {"raw_config": lambda _: b"null"}, ("warning", "diff_ids")),
    Case("history is a number", config("history", to=5), ("warning", "history: 5")),
    Case("history is a text", config("history", to="x"), ("warning", "history: x")),
    Case("history of oddities", config("history", to=["a", None, {"created_by": ["x"]}])),
    Case("created is null", config("created", to=None)),
    Case("config is a truth value", config("config", to=True), ("warning", "config: True")),
    Case("labels are a list", config("config", to={"Labels": ["a"], "Env": "A=1", "Cmd": 5})),
    Case("labels that differ by case", config("config", "Labels", to={"a": "1", "A": "2"})),
    Case("os is darwin", config("os", to="darwin")),
    Case("wrong size in index.json", {"index": set_in("manifests", 0, "size", to=9999)},
         ("warning", "index.json says 9999 bytes", "which has")),
    # What else people write into index.json by hand.
    *(Case(f"{key} is {value}", {"index": set_in("manifests", 0, key, to=value)}, words)
      for key, value, words in (("size", None, ("index.json says 0 bytes",)),
                                ("size", -1, ("index.json says 0 bytes",)),
                                ("mediaType", None, ()), ("mediaType", "", ()),
                                ("platform", {}, ()), ("annotations", None, ()))),
    *(Case(f"no {key} in index.json", {"index": drop("manifests", 0, key)})
      for key in ("size", "mediaType")),
    Case("no schemaVersion in index.json", {"index": drop("schemaVersion")}),
    Case("schemaVersion of index.json is 1", {"index": set_in("schemaVersion", to=1)}),
    Case("index.json is called a list of Docker's", {"index": set_in(
        "mediaType", to="application/vnd.docker.distribution.manifest.list.v2+json")}),
    Case("a younger layout", after=said("oci-layout", '{"imageLayoutVersion":"1.1.0"}')),
    # What Go writes of a field that nobody set.
    Case("artifactType is empty", manifest("artifactType", to="")),
    Case("fields are null", {"manifest": all_of(
        *(set_in(*path, key, to=None) for path in (("config",), ("layers", 0))
          for key in ("annotations", "urls", "data", "platform", "artifactType")),
        set_in("subject", to=None), set_in("annotations", to=None))}),
    Case("name in another place", {"index": set_in("manifests", 0, "annotations",
         to={"io.containerd.image.name": "example.org/a/b:latest"})}),
    Case("platform of nothing", {"wrap": no_platform}),
    Case("unusual white space", raw(lambda data: data.replace(b" ", b"\t \n"))),
    Case("a layer of 512 MiB of zeros", {"layer": bomb()}),
    Case("a layer that is no gzip", {"layer": b"not gzip"}),
]  # fmt: skip


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_accepted(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = write_layout(folder, **case.options)
    if case.after:
        case.after(layer, folder)
    assert run(["add", "in/layout", "vanessa/greeting:odd"]) == 0
    said = capsys.readouterr()
    for word in case.words:
        assert word in said.err
    assert "\n::" not in said.out + said.err
    stored = Path("collections/vanessa/greeting/manifests/odd/manifest.json").read_bytes()
    assert (folder / "blobs/sha256" / hashlib.sha256(stored).hexdigest()).read_bytes() == stored


def test_foreign_layers_are_kept_where_they_are_when_asked(folder: Path) -> None:
    layer = write_layout(folder, manifest=set_in(*URLS, to=["https://example.org/layer"]))
    layer.unlink()
    assert run(["add", "--allow-foreign", "in/layout", "vanessa/greeting:foreign"]) == 0
    assert not Path("collections/vanessa/greeting/blobs/sha256", layer.name).exists()


def test_an_index_keeps_its_bytes(folder: Path) -> None:
    write_layout(folder, wrap=same_platform)
    assert run(["add", "in/layout", "vanessa/greeting:all"]) == 0
    raw = Path("collections/vanessa/greeting/manifests/all/manifest.json").read_bytes()
    assert as_json(descriptor(INDEX, raw)["digest"]) in (folder / "index.json").read_bytes()
