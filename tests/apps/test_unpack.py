"""Apps out of layers: what is published, and what a hostile layer comes to."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.apps import unpack
from builder.apps.model import AppConfig, parse_config
from builder.apps.unpack import AppStore
from builder.cli import run
from builder.errors import ContentError
from builder.oci.digest import Digest
from tests.conftest import write_tree

Members = list[tuple[str, bytes, bytes, str]]
FILE, LINK, HARD, DEVICE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
INDEX: Members = [("app/index.html", b"<h1>hello</h1>", FILE, "")]


def layer(folder: Path, members: Members, number: int = 0) -> Callable[[], Path]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = len(data) if kind == FILE else 0
            archive.addfile(info, io.BytesIO(data))
    path = folder / f"layer{number}"
    path.write_bytes(gzip.compress(out.getvalue()))
    return lambda: path


def unpacked(folder: Path, *parts: Members, root: str = "app") -> dict[str, int]:
    store = AppStore(folder / "store")
    layers = [layer(folder, members, number) for number, members in enumerate(parts)]
    app = store.unpack(Digest.of(b"x"), AppConfig(root), layers, "the tag")
    assert all(store.path(file).stat().st_size == file.size for file in app.files.values())
    assert AppStore(folder / "store").get(Digest.of(b"x")) == app
    return {path: file.size for path, file in app.files.items()}


def test_later_layers_are_on_top(tmp_path: Path) -> None:
    more: Members = [
        ("app/index.html", b"new", FILE, ""),
        ("app/old/.wh.gone.js", b"", FILE, ""),
        ("other/x", b"not the app's", FILE, ""),
        ("app/.git/config", b"hidden", FILE, ""),
    ]
    old: Members = [(f"app/old/{name}.js", b"x", FILE, "") for name in ("gone", "kept")]
    first = [*INDEX, *old]
    assert unpacked(tmp_path, first, more) == {"index.html": 3, "old/kept.js": 1}


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ([("app/../../etc/cron.d/x", b"x", FILE, "")], "leaves its folder"),
        ([("/etc/passwd", b"x", FILE, "")], "leaves its folder"),
        ([("app/link", b"", LINK, "/etc/passwd")], "link"),
        ([("app/hard", b"", HARD, "app/index.html")], "link"),
        ([("app/null", b"", DEVICE, "")], "regular file"),
        ([("app/new\nline", b"x", FILE, "")], "do not travel"),
        ([("app/a\\b", b"x", FILE, "")], "do not travel"),
        ([("app/" + "x" * 300, b"x", FILE, "")], "too long"),
        ([("app/INDEX.html", b"x", FILE, "")], "but for case"),
        ([("app/index.html/x", b"x", FILE, "")], "file and a folder"),
        ([("app/index.html", b"again", FILE, "")], "twice"),
    ],
)
def test_hostile_layers(members: Members, word: str, tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        unpacked(tmp_path, [*INDEX, *members])
    assert word in str(caught.value)
    assert "the tag" in str(caught.value)
    assert not (tmp_path / "etc").exists()


def test_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_FILES", 5)
    with pytest.raises(ContentError, match="more than 5 files"):
        unpacked(tmp_path, [*INDEX, *((f"app/{n}", b"", FILE, "") for n in range(9))])


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"index\.html"):
        unpacked(tmp_path, INDEX, root="elsewhere")


@pytest.mark.parametrize("raw", [b"", b"[1]", b'{"rootDir": 7}', b'{"rootDir": "../x"}', b"{"])
def test_configs_that_are_none(raw: bytes) -> None:
    if raw == b"[1]":
        assert parse_config(raw, "x") == AppConfig("")
        return
    with pytest.raises(ContentError):
        parse_config(raw, "x")


@pytest.mark.parametrize(
    ("prepare", "word"),
    [
        (lambda folder: (folder / "index.html").unlink(), "index.html"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "symbolic link"),
        (lambda folder: (folder / "new\nline").write_text("x"), "do not travel"),
    ],
)
def test_folders_that_are_not_bundled(
    prepare: Callable[[Path], object],
    word: str,
    registry: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "site"
    write_tree(folder, {"index.html": "x", ".env": "SECRET=1"})
    prepare(folder)
    assert run(["bundle", "-s", str(registry), str(folder), "x/y:1"]) == 1
    assert word in capsys.readouterr().err
    assert not (registry / "collections").exists()


def test_hidden_files_stay_at_home(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "site", {"index.html": "x", ".env": "SECRET=1"})
    assert run(["bundle", "-s", str(registry), str(tmp_path / "site"), "x/y:1"]) == 0
    assert ".env: warning: is hidden" in capsys.readouterr().err
    stored = [path.read_bytes() for path in (registry / "collections").rglob("sha256/*")]
    assert not any(b"SECRET" in gzip.decompress(data) for data in stored if data[:2] == b"\x1f\x8b")


def test_a_version_that_is_a_collection_too(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "site", {"index.html": "x"})
    (registry / "_config.yml").write_text("registry:\n  apps: [x]\n")
    assert run(["bundle", "-q", "-s", str(registry), str(tmp_path / "site"), "x:v1"]) == 0
    write_tree(registry, {"collections/x/v1/README.md": "---\ntitle: V\n---\n"})
    assert run(["build", "-q", "-s", str(registry)]) == 1
    assert "already owns" in capsys.readouterr().err
