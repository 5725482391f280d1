"""The script behind the example registry: the committed images are what it makes, and they run."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

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
