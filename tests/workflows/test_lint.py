"""Linters find nothing in the CI files, and do find what must not be in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.workflows.deployments import LAYER_STORES
from builder.workflows.render import CIS, deployable, render
from tests.workflows import lint

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files for every target and every place of layers, each in a folder of its own."""
    root = tmp_path_factory.mktemp("written")
    kinds = [*((target, "") for target in deployable()), *(("plain", key) for key in LAYER_STORES)]
    for target, layers in kinds:
        for ci in CIS:
            for path, text in render(ci, target, layers, mirrors=True).items():
                file = root / f"{target}{layers}" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
    return root


def test_linters_find_nothing(written: Path) -> None:
    workflows = sorted(written.glob("*/.github/workflows/*.yml"))
    pipelines = sorted(written.glob("*/.gitlab-ci.yml"))
    assert len(workflows) >= 4 * len(pipelines) > 0
    assert lint.actionlint(written, "*/.github/workflows/*.yml") == ""
    assert lint.zizmor(written) == ""
    assert lint.schema("vendor.github-workflows", *workflows) == ""
    assert lint.schema("custom.github-workflows-require-timeout", *workflows) == ""
    assert lint.schema("vendor.gitlab-ci", *pipelines, transform="gitlab-ci") == ""


def test_scripts_are_sound(written: Path) -> None:
    files = [*written.glob("*/.github/workflows/*.yml"), *written.glob("*/.gitlab-ci.yml")]
    for script in sorted({script for path in files for script in lint.scripts(path)}):
        assert lint.shellcheck(script) == "", script
        assert lint.installs(script) == [], script


def test_the_template_repository_is_in_order() -> None:
    forms = ROOT / ".github/ISSUE_TEMPLATE"
    assert lint.actionlint(ROOT) == ""
    tests = ROOT / ".github/workflows/test.yml", ROOT / ".gitlab/own.yml"
    assert lint.schema("vendor.github-workflows", tests[0]) == ""
    assert lint.schema("vendor.gitlab-ci", tests[1], transform="gitlab-ci") == ""
    assert [lint.shellcheck(script) for path in tests for script in lint.scripts(path)] == [""] * 5
    assert lint.zizmor(ROOT / ".github") == ""
    assert lint.schema("vendor.dependabot", ROOT / ".github/dependabot.yml") == ""
    assert lint.schema("vendor.github-issue-config", forms / "config.yml") == ""
    named = (forms / "add-a-collection.yml", forms / "report-a-problem.yml")
    assert lint.schema("vendor.github-issue-forms", *named) == ""


JOB = "jobs:\n  b:\n    runs-on: ubuntu-24.04\n    steps:\n"


@pytest.mark.parametrize(
    ("on", "step", "linter", "word"),
    [
        ("pull_request", 'run: "echo ${{ github.event.pull_request.title }}"',
         lint.actionlint, "pull_request.title"),
        ("pull_request", 'run: "echo ${{ github.head_ref }}"', lint.actionlint, "head_ref"),
        ("issues", 'run: "echo ${{ github.event.issue.body }}"', lint.zizmor, "template-injection"),
        ("pull_request_target",
         'uses: x/y@v4\n        with: {ref: "${{ github.event.pull_request.head.sha }}"}',
         lint.zizmor, "dangerous-triggers"),
        ("push", "uses: some/action@v1", lint.zizmor, "unpinned"),
        ("push", "uses: actions/checkout@v4", lint.zizmor, "unpinned"),
        ("push", "uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8",
         lint.zizmor, "artipacked"),
    ],
)  # fmt: skip
def test_linters_find_what_is_dangerous(
    tmp_path: Path, on: str, step: str, linter: Callable[[Path], str], word: str
) -> None:
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yml").write_text(f"on: {on}\n{JOB}      - {step}\n")
    assert word in linter(tmp_path)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("pip install builder", "no hashes"),
        ('"$VENV/bin/pip" install -r requirements.txt', "no hashes"),
        ("pip install --extra-index-url http://packages.example builder", "another index"),
        (
            "pip install --require-hashes --index-url http://packages.example \\\n -r r.txt",
            "another",
        ),
        ("pip3 install -q --find-links /tmp x", "another index"),
    ],
)
def test_installing_from_anywhere_is_found(line: str, word: str) -> None:
    assert any(word in wrong for wrong in lint.installs(f"set -e\n{line}\n"))
