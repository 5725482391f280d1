"""Every target has a command that puts a built site on its host, and the guide says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.publish.hosts import deploy_command
from builder.targets import target_names

GUIDE = (Path(__file__).parents[2] / "docs/guide/publishing.md").read_text()
ROWS = GUIDE.partition("## Other hosts")[2].splitlines()


@pytest.mark.parametrize("target", target_names())
def test_a_target_has_its_command_and_its_row(target: str) -> None:
    found = deploy_command(target, "_site")
    assert found is not None, f"builder/publish/hosts.py has no line for {target}"
    command = "push" if found[0] == "git push" else f"`{found[0]}`"
    rows = [row for row in ROWS if row.startswith("|") and f"`{target}`" in row.split("|")[1]]
    assert any(command in row for row in rows), (
        f"docs/guide/publishing.md has no row of {target} with {command}"
    )
