"""Runs whose results or messages nobody can hear end as they should, and write what they should."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import read_tree
from tests.hosts import BUILDER

# The command, the streams as a shell spells them, the exit code.
RUNS = [
    ("list", ">/dev/full", 3),
    ("list", ">&-", 3),
    ("list", "<&- >&- 2>&-", 3),
    ("list", "2>/dev/full", 0),
    ("list", "2>&-", 0),
    ("inspect vanessa/none", ">&-", 1),
    ("inspect vanessa/none", "2>/dev/full", 1),
    ("no-such-command", "2>&-", 2),
    ("list --json", "| true; exit ${PIPESTATUS[0]}", 0),
    ("build -q -d OUT", "<&- 2>&-", 0),
]


@pytest.mark.parametrize(("command", "streams", "status"), RUNS, ids=str)
def test_whatever_the_streams_are(
    command: str, streams: str, status: int, greeting: Path, tmp_path: Path
) -> None:
    name, *rest = command.replace("OUT", str(tmp_path / "out")).split()
    line = shlex.join([*BUILDER, name, *rest, *(["-s", str(greeting)] if rest else [])])
    before = read_tree(greeting)
    done = subprocess.run(
        ["bash", "-c", f"{line} {streams}"], cwd=greeting, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (status, False), done
    if name == "build":
        assert (tmp_path / "out/v2/_catalog").exists()
    else:
        assert read_tree(greeting) == before


@pytest.mark.parametrize("blocks", [0, 1])
def test_an_environment_that_cannot_be_hidden_reaches_no_recipe(
    blocks: int, greeting: Path
) -> None:
    line = f"ulimit -f {blocks}; exec {shlex.join([*BUILDER, 'recipes', 'build'])}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=greeting, capture_output=True, text=True, check=False,
        timeout=120, env={**os.environ, "SECRET": "s" * 4096},
    )  # fmt: skip
    said = "builder: cannot hide the environment from recipes: File too large\n"
    assert (done.returncode, done.stderr) == (3, said)


# What the shell does before the command, the command, what is said.
SCANT = [
    (
        "ulimit -n 12;",
        "build -q -s REGISTRY",
        "Too many open files\n  hint: let it open more",
    ),
    (
        "ulimit -n 12;",
        "publish OUT -q -s REGISTRY -t nginx",
        "Too many open files\n  hint: let it open more",
    ),
    ("ulimit -f 1;", "new OUT", "builder: File too large\n  hint: let it write larger files"),
    ("ulimit -f 0;", "keygen OUT", "/out: File too large\n  hint: nothing was written"),
    ("mkdir gone; cd gone; rmdir ../gone;", "list", "the current folder is gone"),
]


@pytest.mark.parametrize(("before", "command", "said"), SCANT, ids=str)
def test_what_is_scant_is_not_standard_output(
    before: str, command: str, said: str, greeting: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = command.replace("OUT", str(out)).replace("REGISTRY", str(greeting)).split()
    line = f"{before} exec {shlex.join([*BUILDER, *arguments])}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 3, done
    assert said in done.stderr
    assert "standard output" not in done.stderr
    assert not out.is_file()
    assert not (out / "_config.yml").exists()


@pytest.mark.parametrize("files", [20, 24, 32, 48])
def test_few_descriptors_are_enough_or_asked_for(
    files: int, greeting: Path, tmp_path: Path
) -> None:
    arguments = ["publish", "-q", "-s", str(greeting), "-t", "nginx", str(tmp_path / "out")]
    line = f"ulimit -n {files}; exec {shlex.join([*BUILDER, *arguments])}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120
    )
    if files >= 32:
        assert done.returncode == 0, done.stderr
    elif done.returncode != 0:
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            3, "  hint: let it open more files at once, as in: ulimit -n 1024"
        )  # fmt: skip


def test_what_python_compiled_and_cut_short_is_told(greeting: Path, tmp_path: Path) -> None:
    """No limit of file sizes makes such files; a disk that was full can."""
    compiled = tmp_path / "compiled"
    names = {"PYTHONDONTWRITEBYTECODE"}
    given = {name: value for name, value in os.environ.items() if name not in names}
    line = shlex.join([*BUILDER, "list", "-s", str(greeting)])

    def listed(before: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"{before} exec {line}"], capture_output=True, text=True, check=False,
            timeout=120, env={**given, "PYTHONPYCACHEPREFIX": str(compiled)},
        )  # fmt: skip

    assert listed("ulimit -f 4000;").returncode == 0
    assert not list(compiled.rglob("builder/cli/*.pyc"))
    assert listed().returncode == 0
    for file in compiled.rglob("builder/cli/list_collections.*.pyc"):
        os.truncate(file, 30)
    done = listed()
    assert (done.returncode, done.stdout) == (3, "")
    assert "cut short" in done.stderr
    assert "__pycache__" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_when_all_is_done_changes_nothing(number: int) -> None:
    """Python's own end waits for threads, and nobody is there any more to catch anything."""
    program = (
        "import sys, threading, time; from builder.__main__ import main;"
        "threading.Thread(target=time.sleep, args=(30,)).start();"
        "sys.argv = ['builder', '--version']; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
