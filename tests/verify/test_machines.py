"""What machines of a cluster hash is judged as what one machine hashes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.cli import run
from tests.machines import Machines
from tests.verify.published import build, release, served


def test_a_site_is_hashed_by_workers_in_a_folder_and_on_a_server(
    greeting: Path, machines: Machines, capfd: pytest.CaptureFixture[str]
) -> None:
    site = build(greeting)
    release(site)
    machines.add()
    page = site / "vanessa/greeting/index.html"
    engine = ("--json", "--engine", f"dask://{machines.address}")
    with served(site) as url:
        for place in (str(site), url):
            assert run(["verify", place, "--json"]) == 0
            here = json.loads(capfd.readouterr().out)
            assert run(["verify", place, *engine]) == 0
            assert json.loads(capfd.readouterr().out) == here
        page.write_bytes(b"x" * page.stat().st_size)
        (site / "404.html").unlink()  # which hosts may keep for themselves
        (site / "search.json").unlink()
        for place in (str(site), url):
            assert run(["verify", place, "--json"]) == 1
            here = json.loads(capfd.readouterr().out)
            assert run(["verify", place, *engine]) == 1
            there = json.loads(capfd.readouterr().out)
            assert there == here
            told = {item["path"]: item["message"].split(":")[0] for item in there[0]["problems"]}
            assert told == {
                "vanessa/greeting/index.html": "has other content", "search.json": "is missing"
            }  # fmt: skip
