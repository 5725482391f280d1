"""The identity of a value: equal for equal values in every process, and of all of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest
from markupsafe import Markup

import builder
from builder.fingerprint import fingerprint
from builder.registry.model import Row


@dataclass(frozen=True, slots=True)
class Inner:
    a: object = 0


@dataclass(frozen=True, slots=True)
class Outer:
    a: object = 0
    inner: Inner = Inner()


DIFFERENT = [
    None, False, 0, 0.0, "", b"", (), [], {}, frozenset(),
    ("",), ("", ""), (("",), ""), ("", ("",)),
    "0", "ab", ("a", "b"), ["a", "b"], {"a": "b"}, Markup("ab"), Path("ab"), frozenset({"ab"}),
    Inner(), Inner("0"), Inner(Inner()), Outer(), Outer(0, Inner(1)), {"a": 0}, ({"a": 0},),
    {"a": 0, "b": 1}, {"b": 1, "a": 0}, date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC),
    "2020-01-01", datetime(2020, 1, 1, 1, tzinfo=UTC), partial(fingerprint, "a"),
    fingerprint, Row("a", "a"), Row("a", "b"), Row("a", "a", blobs=(("x", 1),)),
    "é", "e\u0301", "\udc80",
]  # fmt: skip


def test_what_differs_anywhere_has_another_identity() -> None:
    different = [
        item for item in DIFFERENT if not isinstance(item, partial) or item.func is not len
    ]
    marks = [fingerprint(item) for item in different]
    assert len(set(marks)) == len(different)


def test_what_is_kept_of_a_value_is_not_its_copys() -> None:
    row = Row("a", "a")
    before = fingerprint(row)
    assert fingerprint(row) == before
    assert fingerprint(replace(row, title="b")) != before
    assert fingerprint(replace(row, title="b")) == fingerprint(Row("a", "b"))


@pytest.mark.parametrize(
    "make",
    [object, lambda: iter([]), lambda: open, lambda: [1].append, lambda: (object(),),
     lambda: Inner(object()), lambda: {"a": {1: ...}}, lambda: {object()}],
)  # fmt: skip
def test_what_has_no_identity_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="has no identity"):
        fingerprint(make())


def test_a_function_with_values_of_its_own_is_refused() -> None:
    hidden = 1
    with pytest.raises(TypeError, match="has no identity"):
        fingerprint(lambda: hidden)


def test_every_process_gives_the_same() -> None:
    program = (
        "from builder.fingerprint import fingerprint\n"
        "words = {str(n) for n in range(50)}\n"
        "print(fingerprint(words, frozenset(words), {'a': [1.5, 'x' * 3, ('y',)]}, 'x' 'xx'))\n"
    )
    found = set()
    for seed in ("1", "2", "random"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1


def test_what_a_commit_of_content_makes_another_is_no_part_of_the_code(tmp_path: Path) -> None:
    for name in ("__init__.py", "fingerprint.py"):
        (tmp_path / "builder").mkdir(exist_ok=True)
        shutil.copy(Path(builder.__file__).parent / name, tmp_path / "builder")
    keys = []
    for name, text in (("_version.py", "1"), ("_version.py", "2"), ("more.py", "3")):
        (tmp_path / "builder" / name).write_text(f"version = '{text}'\n")
        command = [sys.executable, "-c", "from builder.fingerprint import *; print(code_key())"]
        keys.append(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert keys[0] == keys[1] != keys[2]
