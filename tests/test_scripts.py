"""The scripts: the committed images are what one makes, and they run; the benchmark measures."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GREETING = ROOT / "collections/vanessa/greeting"


def blob(collection: Path, digest: str) -> Path:
    return collection / "blobs" / digest.replace(":", "/")


def program(collection: Path, manifest: bytes, name: str, into: Path) -> Path:
    """Take the program out of an image's last layer."""
    digest = json.loads(manifest)["layers"][-1]["digest"]
    with tarfile.open(blob(collection, digest)) as archive:
        content = archive.extractfile(name)
        assert content is not None
        into.write_bytes(content.read())
    into.chmod(0o755)
    return into


def test_the_committed_images_are_what_the_script_makes() -> None:
    command = [sys.executable, str(ROOT / "scripts/make_example.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_example_is_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "collections").rglob("*") if path.is_file()]
    assert sum(sizes) < 200_000


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("architecture", "emulator"),
    [("amd64", "qemu-x86_64-static"), ("arm64", "qemu-aarch64-static")],
)
def test_the_greeting_runs(architecture: str, emulator: str, tmp_path: Path) -> None:
    index = json.loads((GREETING / "manifests/1.1.0/manifest.json").read_bytes())
    (digest,) = [
        entry["digest"]
        for entry in index["manifests"]
        if entry["platform"]["architecture"] == architecture
    ]
    manifest = blob(GREETING, digest).read_bytes()
    file = program(GREETING, manifest, "usr/bin/greeting", tmp_path / "greeting")
    native = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine()) == architecture
    command = [str(file)] if native else [emulator, str(file)]
    said = subprocess.run(command, capture_output=True, check=True)
    assert said.stdout == b"Hello from a static registry! It is made of files.\n"


@pytest.mark.e2e
@pytest.mark.parametrize(("text", "count"), [(b"", b"0\n"), (b" a bb\n\tc\n" * 5, b"15\n")])
def test_the_word_counter_runs(text: bytes, count: bytes, tmp_path: Path) -> None:
    folder = ROOT / "collections/tools/text/wordcount"
    manifest = (folder / "manifests/1.0/manifest.json").read_bytes()
    file = program(folder, manifest, "wordcount", tmp_path / "wordcount")
    emulator = [] if platform.machine() == "x86_64" else ["qemu-x86_64-static"]
    command = [*emulator, str(file)]
    assert subprocess.run(command, input=text, capture_output=True, check=True).stdout == count


@pytest.mark.e2e
def test_the_picture_of_the_readme_is_of_a_page(tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    command = [sys.executable, str(ROOT / "scripts/make_picture.py"), str(picture)]
    subprocess.run(command, check=True, timeout=200)
    for file in (picture, ROOT / "docs/collection.png"):
        data = file.read_bytes()
        assert (data[:8], data[12:24]) == (b"\x89PNG\r\n\x1a\n", b"IHDR\0\0\x04\xb0\0\0\x03p")
        assert 20_000 < len(data) < 300_000


@pytest.mark.e2e
@pytest.mark.slow
def test_a_small_benchmark_measures_every_subject(tmp_path: Path) -> None:
    found = benchmark(tmp_path, "10")
    text = (ROOT / "docs/reference/speed.md").read_text()
    assert [name for name in found if f"\n### `{name}`" not in text] == []
    measured = {name: rows for name, rows in found.items() if "missing" not in rows}
    assert {"startup", "files", "builds", "preview", "tags", "namespaces", "folder"} <= {*measured}
    for name, rows in measured.items():
        figures = [figure for row in rows.values() for figure in row.values()]
        assert figures, name
        assert all(0 <= figure < math.inf for figure in figures), name


def test_a_benchmark_says_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(str(shutil.which("git")))
    found = benchmark(tmp_path, "10", "--only", "reload", "startup", PATH=str(tmp_path))
    assert found["reload"] == {"missing": "apt-get install nginx-light"}
    assert found["startup"]["builder --help"]["wall s"] > 0


def test_a_benchmark_ends_if_a_build_misses_a_change(tmp_path: Path) -> None:
    site, texts = tmp_path / "site", tmp_path / "texts"
    for folder, name in ((site, "index.html"), (texts, "README.md")):
        for number in range(20):
            file = folder / f"team0/tool{number}" / name
            file.parent.mkdir(parents=True)
            file.write_text("old words")
    code = (
        "import sys; from pathlib import Path; from bench_builds import Side\n"
        f"side = Side(['true'], Path({str(site)!r}), Path({str(texts)!r}), 'README.md', 20)\n"
        "list(side.edits(0))"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, cwd=ROOT / "scripts", capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "2 pages without the new word" in ended.stderr


def benchmark(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """Run a benchmark once; return the rows of each subject."""
    file = folder / "bench.json"
    command = [sys.executable, str(ROOT / "scripts/bench.py"), *arguments, "--runs", "1"]
    subprocess.run(
        [*command, "--json", str(file)], check=True, timeout=600,
        env={**os.environ, "TMPDIR": str(folder), **environment},
    )  # fmt: skip
    subjects: dict[str, Any] = json.loads(file.read_bytes())["subjects"]
    return subjects
