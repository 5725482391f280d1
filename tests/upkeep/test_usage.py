"""`du` agrees with the disk."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from builder.cli import run
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
    assert "shared" in capsys.readouterr().out
    assert run(["du", "-s", str(greeting), "no/thing"]) == 2


def test_an_empty_registry(registry: Path, capsys: Capture) -> None:
    assert run(["du", "-s", str(registry)]) == 0
    assert "0 bytes  in all" in capsys.readouterr().out
