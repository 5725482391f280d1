"""What strangers write, made up: nothing of it is a traceback, a wrong owner, or a hidden move."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builder.config import Flags
from builder.pull_requests.base import open_base
from builder.pull_requests.judge import judge
from builder.pull_requests.owners import parse_owners
from builder.pull_requests.summary import summary
from tests.conftest import write_tree
from tests.gitting import git

FEW = settings(max_examples=60, deadline=None, derandomize=True,
               suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
MANY = settings(FEW, max_examples=400)
GREETING = "collections/vanessa/greeting"
NAMES = st.text("ab.-", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PATTERNS = st.builds(
    "{}{}{}".format, st.sampled_from(["", "/"]),
    st.lists(st.one_of(NAMES, st.sampled_from(["*", "**", "a*", "?"])), min_size=1, max_size=4)
    .map("/".join), st.sampled_from(["", "/"]),
)  # fmt: skip


@MANY
@given(st.text(), PATHS)
@example("* @a\x0b@b\n", "a")
@example("\ufeff* @a", "a")
@example("[section] @x\n^[other]\n# *\n", "a")
def test_any_owners_file_is_read(text: str, path: str) -> None:
    owners = parse_owners(text, "OWNERS")
    found = owners.of(path)
    assert not owners.owns("", path)
    assert not owners.owns("*", path)
    assert owners.may_change("nobody-of-that-name-ever", path) == ("*" in (found or ()))


@MANY
@given(st.lists(st.tuples(PATTERNS, NAMES), max_size=5), PATHS)
def test_the_last_line_that_fits_counts(lines: list[tuple[str, str]], path: str) -> None:
    """A line that comes later takes rights away as it gives them."""
    owners = parse_owners("".join(f"{one} @{who}\n" for one, who in lines), "OWNERS")
    fitting = [who for one, who in lines if parse_owners(f"{one} @x", "").of(path) is not None]
    assert owners.of(path) == (frozenset({fitting[-1]}) if fitting else None)


@MANY
@given(PATTERNS, PATHS)
@example("/a/*", "a/b/c")
@example("**/a", "b/a/c")
@example("a/**/b", "a/b")
def test_patterns_fit_what_gitignore_says(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, path: str
) -> None:
    """But for `folder/*`, which in CODEOWNERS means the files of that folder alone."""
    folder = tmp_path_factory.getbasetemp() / "ignoring"
    if not folder.exists():
        folder.mkdir()
        git(folder, "init", "-q")
    (folder / ".gitignore").write_text(f"{pattern}\n")
    command = ["git", "-C", str(folder), "check-ignore", "-q", "--no-index", "--", path]
    done = subprocess.run(command, check=False, timeout=10)
    fits = parse_owners(f"{pattern} @x", "").of(path) is not None
    if fits != (done.returncode == 0):
        above = path.rpartition("/")[0]
        assert pattern.rstrip("/").endswith("/*"), (pattern, path)
        assert above
        assert not fits


@FEW
@given(st.one_of(st.text(), st.builds("---\n{}\n---\n{}".format, st.text(), st.text())))
@example("---\nlayers: [{digest: sha256:x}]\nsize: 1e400\n---\n")
@example("---\n? [a, b]\n: x\n---\n")
def test_any_front_matter_is_proposed_or_refused_in_words(repository: Path, text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    write_tree(repository, {f"{GREETING}/README.md": raw,
                            f"{GREETING}/manifests/odd/README.md": raw})  # fmt: skip
    proposal = judge(open_base(Flags(str(repository)), "main"), "vanessa")
    assert proposal.files == 2
    shown = summary(proposal, proposal.problems)
    assert not any(fnmatchcase(line, "::*::*") for line in shown.splitlines())
