"""A cluster's machines make what one machine makes, or the run says why not and changes nothing."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributed import utils

from builder.cli import run
from builder.errors import ContentError, RemoteError
from builder.write import cluster, helper
from builder.write.cluster import Cluster
from builder.write.workers import Death, Limited
from tests.conftest import read_tree, write_tree
from tests.images import Image
from tests.machines import ROOT, Machines, wait_for

MANY = 55  # collections: more than a build makes in one process


@dataclass
class Session:
    """Work that goes wrong in every way."""

    folder: Path
    word: str = ""

    def learn(self, word: str) -> None:
        self.word = word

    def greet(self, number: int) -> tuple[int, str, int]:
        return number, self.word, os.getppid()

    def kill(self, number: int) -> int:
        """End the worker that asks for this, the first time: the parent of our parent."""
        mark = self.folder / "killed"
        if not mark.exists():
            mark.touch()
            worker = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1]
            os.kill(int(worker), signal.SIGKILL)
        return number

    def kill_each(self, pids: tuple[int, ...]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def spin(self, name: str) -> str:
        with Limited(name, "to think", 1, "think less"):
            while name == "hard":
                pass
        return name

    def refuse(self, name: str) -> str:
        raise ContentError.at(name, "is wrong", "right it", line=3)


def no_key(item: object) -> object:
    return item


def never(item: object, death: Death) -> str:
    return f"{item} {death.why} {death.path}"


def greeted(pool: Cluster) -> dict[int, tuple[str, int]]:
    found = pool.run("greet", range(200), key=no_key, died=never)
    return {number: (word, pid) for number, word, pid in found}


def test_items_are_done_elsewhere_and_go_where_they_went_before(
    machines: Machines, tmp_path: Path
) -> None:
    machines.add()
    machines.add()
    with Cluster(machines.address, tmp_path / "shared", Session(tmp_path), 0) as pool:
        first = greeted(pool)
        pool.tell("learn", "hello")
        again = greeted(pool)
        assert list(pool.run("greet", [], key=no_key, died=never)) == []
        assert len(list((tmp_path / "shared").rglob("*.pickle"))) == 2
    assert set(first) == set(again) == set(range(200))
    assert {word for word, _ in again.values()} == {"hello"}
    same = sum(first[number][1] == again[number][1] for number in first)
    assert same > len(first) / 2  # the rest had other workers, for a scheduler may think better
    assert os.getpid() not in {pid for _, pid in again.values()}
    assert not list((tmp_path / "shared").rglob("*.pickle"))


def test_what_goes_wrong_in_a_worker_is_told_as_it_is_here(
    machines: Machines, tmp_path: Path
) -> None:
    pid = machines.add()
    with Cluster(machines.address, None, Session(tmp_path), 0) as pool:
        with pytest.raises(ContentError) as told:
            list(pool.run("refuse", ["a/README.md"], key=no_key, died=never))
        assert str(told.value) == "a/README.md:3: is wrong\n  hint: right it"
        found = set(pool.run("spin", ["easy", "hard", "light"], key=no_key, died=never))
        assert found == {"easy", "hard time hard", "light"}
    os.kill(pid, 0)  # the worker itself has come to no harm


def test_a_worker_that_is_killed_costs_time_alone(machines: Machines, tmp_path: Path) -> None:
    machines.add()
    machines.add()
    with Cluster(machines.address, tmp_path / "shared", Session(tmp_path), 0) as pool:
        for _ in range(2):
            found = pool.run("kill", range(40), key=no_key, died=never)
            assert sorted(found) == list(range(40))
    assert sum(worker.poll() is not None for worker in machines.workers) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:8786", "127.0.0.1"])
def test_an_address_where_nobody_is(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with (
        Cluster(address, None, Session(tmp_path), 0) as pool,
        pytest.raises(RemoteError, match="no Dask scheduler answers"),
    ):
        list(pool.run("greet", [1], key=no_key, died=never))


def test_a_scheduler_that_goes_and_one_without_workers(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 5)
    with Cluster(machines.address, None, Session(tmp_path), 0) as pool:
        with pytest.raises(RemoteError, match="has no workers"):
            list(pool.run("greet", [1], key=no_key, died=never))
        machines.add()
        monkeypatch.setattr(cluster, "PATIENCE", 300)
        assert len(list(pool.run("greet", range(9), key=no_key, died=never))) == 9
        with pytest.raises(RemoteError, match="scheduler was lost"):
            list(pool.run("kill_each", [(machines.scheduler.pid,)], key=no_key, died=never))


class Left:
    """A client that was left: as it is collected, it stops its loop."""

    def __init__(self) -> None:
        self.itself = self  # only a collection finds it

    def __del__(self) -> None:
        utils.LoopRunner().stop()


def test_a_client_that_is_collected_holds_up_no_other(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Collecting(utils._CollectErrorThread):
        """The thread of a loop, whose start is when garbage happens to be collected."""

        def __init__(self, *arguments: Any, **more: Any) -> None:
            if gc.isenabled():
                gc.collect()
            super().__init__(*arguments, **more)

    monkeypatch.setattr(utils, "_CollectErrorThread", Collecting)
    monkeypatch.setattr(utils.LoopRunner, "_lock", threading.Lock())
    machines.add()
    made: list[Any] = []

    def work() -> None:
        Left()
        with Cluster(machines.address, None, Session(tmp_path), 0) as pool:
            made.extend(pool.run("greet", range(5), key=no_key, died=never))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(120)
    assert len(made) == 5
    assert gc.isenabled()


def test_other_software_is_refused(machines: Machines, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(ROOT / "builder", old / "builder", ignore=shutil.ignore_patterns("__pycache__"))
    write_tree(old, {"builder/since.py": '"""One more module."""\n'})
    machines.add(old)
    with (
        Cluster(machines.address, None, Session(tmp_path), 0) as pool,
        pytest.raises(RemoteError, match="has another version of the builder"),
    ):
        list(pool.run("greet", [1], key=no_key, died=never))


def test_a_folder_that_is_not_shared_is_told(tmp_path: Path) -> None:
    state = helper.State("1", "", path=str(tmp_path / "0.pickle"))
    with pytest.raises(RemoteError, match=r"cannot read .*0\.pickle: No such file"):
        state.read()
    (tmp_path / "0.pickle").write_bytes(b"another file")
    with pytest.raises(RemoteError, match="other content") as told:
        state.read()
    assert "the same path on all machines" in told.value.hint


@pytest.fixture
def many(registry: Path) -> Path:
    for number in range(MANY):
        folder = registry / f"collections/team{number // 10}/tool{number}"
        text = f"---\ntitle: Tool {number}\n---\nSee [the next](../tool{number + 1}/README.md).\n"
        write_tree(folder, {"README.md": text})
        Image.of(f"tool {number}").tag(folder, "latest")
    write_tree(registry, {"collections/team1/README.md": "# Team 1\n", "about.md": "# About\n"})
    return registry


def made(registry: Path, *more: str) -> dict[str, bytes]:
    """Return the tree of a first build, which replaces what is there."""
    for name in ("_site", ".builder-cache"):
        shutil.rmtree(registry / name, ignore_errors=True)
    assert run(["build", "-q", "-s", str(registry), "-t", "nginx", *more]) == 0
    assert not (registry / "_site/.builder-tmp").exists()
    assert not list((registry / ".builder-cache/engine").rglob("*.pickle"))
    return read_tree(registry / "_site")


def test_a_site_is_the_same_from_one_worker_two_and_one_that_is_killed(
    machines: Machines, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ("--engine", f"dask://{machines.address}")
    here = made(many)
    machines.add()
    assert made(many, *engine) == here
    pid = machines.add()

    def kill() -> None:
        wait_for(lambda: any(many.glob("_site/.builder-tmp/*/new/*")))
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    assert made(many, *engine) == here
    thread.join()
    arguments = ["-s", str(many), *engine]
    assert run(["check", *arguments]) == 0
    readme = many / "collections/team3/tool33/README.md"
    readme.write_text("---\nnosuch: [\n---\n")
    assert run(["build", *arguments, "-t", "nginx"]) == 1
    assert read_tree(many / "_site") == here
    machines.scheduler.kill()
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    readme.unlink()
    (many / "_config.yml").write_text("title: Another\n")
    assert run(["build", *arguments, "-t", "nginx"]) == 4
    assert read_tree(many / "_site") == here


def test_engines_that_are_not_there(
    greeting: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["build", "-s", str(greeting), "--engine"]
    assert run([*command, "spark://host:1"]) == 2
    assert "'local', or 'dask://HOST:PORT'" in capfd.readouterr().err
    monkeypatch.delitem(sys.modules, "builder.write.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run([*command, "dask://127.0.0.1:1"]) == 2
    assert "pip install 'static-container-registry[dask]'" in capfd.readouterr().err
    assert run(["build", "-q", "-s", str(greeting)]) == 0


def test_dask_is_imported_for_those_who_ask_for_it_alone(greeting: Path) -> None:
    program = (
        "import sys; from builder.cli import run; status = run(sys.argv[1:]);"
        "assert status == 0;"
        "sys.exit(any(name.startswith(('dask', 'distributed')) for name in sys.modules))"
    )
    command = [sys.executable, "-c", program, "build", "-q", "-s", str(greeting)]
    assert subprocess.run(command, check=False).returncode == 0
