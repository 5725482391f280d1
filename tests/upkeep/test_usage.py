"""`du` agrees with the disk."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.theme.filters import filesize
from tests.images import Image

Capture = pytest.CaptureFixture[str]


def disk(*folders: Path) -> int:
    """Return what du(1) counts of files, without the folders' own sizes."""
    there = [str(folder) for folder in folders if folder.exists()]
    found = subprocess.run(
        ["find", *there, "-type", "f", "-printf", "%i %s\\n"], capture_output=True, check=True
    )
    return sum(int(line.split()[1]) for line in set(found.stdout.splitlines()))


def test_bytes_alone_shared_and_lost(greeting: Path, tmp_path: Path, capsys: Capture) -> None:
    (greeting / "_config.yml").write_text("registry:\n  commit_below: 1\n")
    for number, text in enumerate(("both", "one", "both")):
        Image.of(text).layout(tmp_path / str(number), "1")
        flags = ["-q", "-s", str(greeting)]
        assert (
            run(["add", *flags, f"oci:{tmp_path}/{number}:1", f"a/{'xyx'[number]}{number}:1"]) == 0
        )
    run(["untag", "-q", "-s", str(greeting), "a/y1:1"])
    os.link(greeting / "collections/a/x0/README.md", greeting / "collections/a/x0/linked.txt")
    capsys.readouterr()
    assert run(["du", "-s", str(greeting), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    collections, store = greeting / "collections", greeting / "_blobs"
    assert value["total"] == disk(collections, store)
    assert value["store"] == disk(store)
    rows = {row["name"]: row for row in value["names"]}
    assert rows["a/x0"]["shared"] == rows["a/x2"]["shared"] == value["shared"] > 0
    assert rows["a/x0"]["unique"] == 0
    assert value["unreachable"] > 0
    assert sum(row["own"] for row in rows.values()) == value["collections"]
    assert run(["du", "-s", str(greeting), "a/x0"]) == 0
    (line,) = capsys.readouterr().out.splitlines()  # of this one alone
    assert "a/x0 (" in line
    assert "shared" in line
    assert run(["du", "-s", str(greeting), "--json", "a/x0"]) == 0
    assert json.loads(capsys.readouterr().out) == {"names": [rows["a/x0"]]}
    assert run(["du", "-s", str(greeting), "no/thing"]) == 2


def test_an_empty_registry(registry: Path, capsys: Capture) -> None:
    assert run(["du", "-s", str(registry)]) == 0
    assert "0 bytes  in all" in capsys.readouterr().out


def test_every_count_of_the_registry_is_one(
    greeting: Path, build: Callable[..., int], capsys: Capture
) -> None:
    """The home page, `du`, `check` and `list` say the same of hidden and of shared content."""
    for name in ("a/one", "a/two", "a/apart"):
        Image.of("shared").tag(greeting / "collections" / name, "1.0")
        keys = "hidden: true\n" if name == "a/apart" else ""
        (greeting / "collections" / name / "README.md").write_text(f"---\ntitle: T\n{keys}---\n")
    assert build() == 0
    home = (greeting / "_site/index.html").read_text()
    capsys.readouterr()
    assert run(["du", "-s", str(greeting), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["home"]
    assert run(["list", "-s", str(greeting), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    shown = [item for item in listed if not item["hidden"]]
    assert (counts["collections"], len(listed)) == (len(shown), len(shown) + 1)
    assert counts["tags"] == sum(len(item["tags"]) for item in shown)
    apart = [item["size"] for item in listed if item["name"].startswith("a/")]
    assert len(set(apart)) == 1  # of one image, which the total has once
    assert counts["bytes"] < sum(item["size"] for item in shown)
    assert f"<strong>{counts['tags']}</strong>" in home
    assert f"<strong>{filesize(counts['bytes'])}</strong> in layers and manifests" in home
    assert run(["list", "-s", str(greeting)]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "a/apart" in each]
    assert line.endswith("hidden")
    assert run(["check", "-s", str(greeting)]) == 0
    said = f"{len(listed)} collections (1 hidden), {counts['tags'] + 1} tags: no problems"
    assert said in capsys.readouterr().out


def test_a_long_tag_widens_its_own_row_alone(greeting: Path, capsys: Capture) -> None:
    long = "v1-" + "x" * 109
    Image.of("long").tag(greeting / "collections/a/long", long)
    Image.of("short").tag(greeting / "collections/a/short", "1.0")
    for flags in ([], ["--tags"]):
        assert run(["list", "-s", str(greeting), *flags]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert sum(long in line for line in lines) == 1
        assert max(len(line) for line in lines if long not in line) < 80


@pytest.mark.parametrize("value", ["yesterday", "1e9", "-", "99999999999999999999"])
def test_a_slip_in_the_clock_stops_only_what_goes_by_it(
    greeting: Path, value: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    monkeypatch.chdir(greeting)
    (greeting / "about.md").write_text("---\ntitle: About\ndate: 2024-01-01\n---\nx\n")
    for command in ("list", "du", "theme list", "doctor", "inspect vanessa/greeting", "recipes",
                    "gc", "export vanessa/greeting oci:out"):  # fmt: skip
        assert run([*command.split(), "-q"]) == 0, command
    capsys.readouterr()
    for command in ("build", "check", "tag vanessa/greeting:latest new"):
        assert run([*command.split(), "-q"]) == 2, command
        assert f"SOURCE_DATE_EPOCH={value}: is not a number of seconds" in capsys.readouterr().err
