"""Building again, elsewhere, interrupted: the output is a function of the input."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import read_tree, write_tree
from tests.images import INDEX, Image, as_json, sha256

G = "collections/vanessa/greeting"


def sha512(data: bytes) -> str:
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


def times(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def builder(source: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from builder.cli import main; main()"]
    return subprocess.run(
        [*command, *arguments, "-s", str(source)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_what_v2_serves_are_the_exact_bytes(greeting: Path, build: Callable[..., int]) -> None:
    image = Image.index(Image.of("a"), Image.of("b", architecture="arm64"))
    image.tag(greeting / G, "1.0")
    assert build() == 0
    v2 = greeting / "_site/v2/vanessa/greeting"
    assert (v2 / "manifests/1.0").read_bytes() == image.manifest
    assert (v2 / f"manifests/{image.digest}").read_bytes() == image.manifest
    for digest, data in image.blobs.items():
        assert (v2 / "blobs" / digest).read_bytes() == data
    assert json.loads((v2 / "tags/list").read_bytes())["tags"] == ["1.0", "latest"]
    friendly = greeting / "_site/vanessa/greeting"
    assert json.loads((friendly / "manifests/1.0/index.json").read_bytes())["manifests"]
    assert json.loads((friendly / "tags/index.json").read_bytes())["tags"] == ["1.0", "latest"]


def test_pages_cannot_be_where_clients_ask(
    greeting: Path, build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert build("-b", "/v2/pages") == 1
    assert "baseurl is where the registry answers" in capsys.readouterr().err
    assert not (greeting / "_site").exists()
    assert build("-b", "/v2x") == 0


def test_what_sha512_names_is_served_by_that_name(
    greeting: Path, build: Callable[..., int]
) -> None:
    subject, child = Image.of("one"), Image.of("two")
    subject.tag(greeting / G, "1.0")
    pointer = {"mediaType": subject.media_type, "digest": subject.digest,
               "size": len(subject.manifest)}  # fmt: skip
    signature = Image.of("signature", subject=pointer, artifactType="application/x-sig")
    named = {sha512(image.manifest): image.manifest for image in (child, signature)}
    for image in (child, signature):
        Image(b"", image.blobs | named).store(greeting / G)
    entry = {"mediaType": child.media_type, "digest": sha512(child.manifest),
             "size": len(child.manifest)}  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    Image(as_json(index), {}, INDEX).tag(greeting / G, "2.0")
    assert build("-t", "nginx") == 0
    v2 = greeting / "_site/v2/vanessa/greeting"
    for digest, data in named.items():
        assert (v2 / "manifests" / digest).read_bytes() == data
    listed = json.loads((v2 / f"referrers/{subject.digest}").read_bytes())
    assert [item["digest"] for item in listed["manifests"]] == [sha512(signature.manifest)]


def test_referrers_have_the_tag_schema_file(greeting: Path, build: Callable[..., int]) -> None:
    subject = Image.of("one")
    pointer = {"mediaType": subject.media_type, "digest": subject.digest,
               "size": len(subject.manifest)}  # fmt: skip
    signature = Image.of("signature", subject=pointer, artifactType="application/x-sig")
    signature.blobs[signature.digest] = signature.manifest
    signature.store(greeting / G)
    assert build("-t", "nginx") == 0
    v2 = greeting / "_site/v2/vanessa/greeting"
    listed = json.loads((v2 / f"manifests/{subject.digest.replace(':', '-')}").read_bytes())
    assert [item["digest"] for item in listed["manifests"]] == [signature.digest]
    assert listed["manifests"][0]["artifactType"] == "application/x-sig"
    assert json.loads((v2 / f"referrers/{subject.digest}").read_bytes()) == listed
    # An empty list is one answer for all repositories, which the server has by a rule.
    assert not (v2 / f"referrers/{signature.digest}").exists()


def test_nothing_is_written_after_no_change(greeting: Path, build: Callable[..., int]) -> None:
    assert build() == 0
    before = times(greeting / "_site")
    assert build() == 0
    assert times(greeting / "_site") == before
    shutil.rmtree(greeting / ".builder-cache")
    assert build() == 0
    after = times(greeting / "_site")
    marker = str(greeting / "_site/.builder-site")
    assert after | {marker: 0} == before | {marker: 0}


def test_one_edit_writes_what_depends_on_it(greeting: Path, build: Callable[..., int]) -> None:
    other = greeting / "collections/vanessa/other"
    write_tree(other, {"README.md": "---\ntitle: Other\n---\nUnchanged.\n"})
    assert build() == 0
    before = times(greeting / "_site")
    time.sleep(0.03)
    readme = greeting / G / "README.md"
    readme.write_text("---\ntitle: Greeting\n---\nA friendly greeting.\n\nNew words.\n")
    assert build() == 0
    changed = {path for path, at in times(greeting / "_site").items() if before.get(path) != at}
    names = {str(Path(path).relative_to(greeting / "_site")) for path in changed}
    assert "vanessa/greeting/index.html" in names
    assert not any(name.startswith(("v2/", "vanessa/other/")) for name in names)
    assert "New words." in (greeting / "_site/vanessa/greeting/index.html").read_text()


def test_a_removed_tag_leaves_nothing(greeting: Path, build: Callable[..., int]) -> None:
    Image.of("two").tag(greeting / G, "two")
    assert build() == 0
    shutil.rmtree(greeting / G / "manifests/two")
    assert build() == 0
    left = [path for path in read_tree(greeting / "_site") if "two" in path]
    assert left == []
    fresh = greeting / "fresh"
    assert build("-d", str(fresh)) == 0
    assert read_tree(fresh) == read_tree(greeting / "_site")


def test_a_user_s_file_in_the_destination_stays(greeting: Path, build: Callable[..., int]) -> None:
    assert build() == 0
    mine = greeting / "_site/mine.txt"
    mine.write_text("mine")
    (greeting / G / "README.md").write_text("---\ntitle: X\n---\nchanged\n")
    assert build() == 0
    shutil.rmtree(greeting / ".builder-cache")
    assert build() == 0
    assert mine.read_text() == "mine"


@pytest.mark.slow
def test_the_same_tree_anywhere(greeting: Path, tmp_path: Path) -> None:
    other = tmp_path / "another place"
    shutil.copytree(greeting, other)
    first = builder(greeting, "build", "-j1", TZ="Asia/Tokyo", LC_ALL="C")
    second = builder(other, "build", "-j2", TZ="America/Lima", LC_ALL="C.UTF-8")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert read_tree(greeting / "_site") == read_tree(other / "_site")
    assert (greeting / "_site/.builder-site").read_bytes() == (
        other / "_site/.builder-site"
    ).read_bytes()


def test_switching_targets_in_one_destination(greeting: Path, build: Callable[..., int]) -> None:
    assert build("-t", "nginx") == 0
    assert build("-t", "plain") == 0
    fresh = greeting / "fresh"
    assert build("-d", str(fresh)) == 0
    assert read_tree(fresh) == read_tree(greeting / "_site")


def test_a_missing_layer(
    greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    image = Image.of("one")
    digest = next(digest for digest in image.blobs if image.blobs[digest][:2] == b"\x1f\x8b")
    (greeting / G / "blobs" / digest.replace(":", "/")).unlink()
    assert build() == 1
    told = capfd.readouterr().err
    assert digest in told
    assert f"({len(image.blobs[digest])} bytes)" in told
    assert "--allow-missing" in told
    assert build("--allow-missing") == 0
    assert not (greeting / "_site/v2/vanessa/greeting/manifests/latest").exists()


def test_a_damaged_layer_is_found(
    greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert build() == 0
    blob = next((greeting / G / "blobs/sha256").iterdir())
    data = bytearray(blob.read_bytes())
    data[20] ^= 1
    blob.write_bytes(data)
    assert sha256(bytes(data)).removeprefix("sha256:") != blob.name
    assert build() == 1
    assert "digest" in capfd.readouterr().err


def test_two_builders_at_once(greeting: Path) -> None:
    command = [sys.executable, "-c", "from builder.cli import main; main()"]
    runs = [
        subprocess.Popen(
            [*command, "build", "-s", str(greeting)], stderr=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    told = [run.communicate(timeout=60)[1] for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert set(codes) <= {0, 5}, told
    assert 0 in codes
    assert run(["build", "-s", str(greeting)]) == 0


@pytest.mark.slow
def test_a_killed_build_converges(greeting: Path, tmp_path: Path) -> None:
    for number in range(6):
        Image.of(f"image {number}").tag(greeting / G, f"v{number}")
    whole = tmp_path / "whole"
    assert run(["build", "-s", str(greeting), "-d", str(whole)]) == 0
    command = [sys.executable, "-c", "from builder.cli import main; main()", "build", "-s"]
    for delay in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
        process = subprocess.Popen([*command, str(greeting)], start_new_session=True,
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _every_visible_tag_is_complete(greeting / "_site")
    assert run(["build", "-s", str(greeting)]) == 0
    assert read_tree(greeting / "_site") == read_tree(whole)
    assert not (greeting / "_site/.builder-tmp").exists()


def _every_visible_tag_is_complete(site: Path) -> None:
    v2 = site / "v2/vanessa/greeting"
    for tag in (v2 / "manifests").glob("*") if v2.is_dir() else ():
        document = json.loads(tag.read_bytes())
        for item in [document["config"], *document["layers"]]:
            data = (v2 / "blobs" / item["digest"]).read_bytes()
            assert sha256(data) == item["digest"]


def test_results_that_cannot_be_printed(greeting: Path) -> None:
    command = f"{sys.executable} -c 'from builder.cli import main; main()' build -s '{greeting}'"
    done = subprocess.run(["sh", "-c", f"{command} > /dev/full"], capture_output=True, check=False)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert not (greeting / "_site").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["build", "--nonsense"], 2),
        (["bulid"], 2),
        (["build", "-t", "nginxx"], 2),
        (["inspect", "vanessa/greeting:a:b"], 2),
        (["inspect", "vanessa/greeting:"], 2),
        (["build", "-s", "/no/such/folder"], 1),
        (["--version"], 0),
        (["build", "--help"], 0),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == code
    assert "Traceback" not in capfd.readouterr().err


def test_the_page_of_the_api_has_code_and_no_backticks(
    greeting: Path, build: Callable[..., int]
) -> None:
    assert build("-t", "github-pages") == 0
    page = (greeting / "_site/api/index.html").read_text()
    assert "<code>registry.schema1</code> adds tags" in page
    assert "`" not in page
