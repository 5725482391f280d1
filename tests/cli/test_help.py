"""The help of every command suffices, and shells complete what it names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from builder.cli import COMMANDS, group, run
from builder.cli.examples import EXAMPLES


def _words(line: str) -> list[str]:
    """Return the arguments after `builder` in an example, without what the shell does."""
    found = shlex.split(re.sub(r'^eval "\$\(|\)"$| \| .*', "", line))
    assert found[0] == "builder"
    return found[1:]


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_line(line: str) -> None:
    words = _words(line)
    command: click.Command = group
    context = click.Context(group, info_name="builder")
    while isinstance(command, click.Group) and words and words[0] in command.list_commands(context):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    context = command.make_context(command.name, list(words), resilient_parsing=False)
    assert context.args == []


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) <= set(COMMANDS)
    assert sorted(set(COMMANDS) - set(EXAMPLES)) == [], "builder/cli/examples.py has none"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_when_and_how(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:\n  " in text
    assert "Options:" in text
    undescribed = [
        option.opts[0]
        for option in group.get_command(click.Context(group), name).params  # type: ignore[union-attr]
        if isinstance(option, click.Option) and not option.help
    ]
    assert undescribed == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_BUILDER_COMPLETE" in script
    assert run(["completion", "tcsh"]) == 2


def test_bash_completes_commands_and_flags(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    program = tmp_path / "builder"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m builder "$@"\n')
    program.chmod(0o755)
    ask = (
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); '
        '_builder_completion builder; echo "${COMPREPLY[@]}"; }\n'
        "ask builder insp; ask builder gc --del\n"
    )
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        ["bash", "-c", script + ask], capture_output=True, text=True, check=False, timeout=60,
        env=environment,
    )  # fmt: skip
    assert done.stdout.split() == ["inspect", "--delete"], done.stderr


@pytest.mark.parametrize(
    ("words", "start", "found"),
    [
        (["inspect"], "van", "vanessa/greeting"),
        (["yank"], "vanessa/greeting:l", "vanessa/greeting:latest"),
        (["build", "--target"], "github", "github-pages"),
        (["history"], "nobody", ""),
        (["rm"], "van", "vanessa/greeting"),
        (["attach"], "vanessa/greeting:l", "vanessa/greeting:latest"),
        (["recipes", "build"], "van", "vanessa/greeting"),
        (["mv"], "van", "vanessa/greeting"),
    ],
)
def test_names_tags_and_targets_are_completed(
    words: list[str], start: str, found: str, greeting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(greeting)
    items = ShellComplete(group, {}, "builder", "_").get_completions(words, start)
    assert found in ([item.value for item in items] or [""])


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["add"], "file"),
        (["attach", "vanessa/greeting"], "file"),
        (["build", "--destination"], "dir"),
        (["check", "--source"], "dir"),
        (["theme", "eject"], "file"),
        (["push", "vanessa/greeting"], ""),
    ],
)
def test_files_and_folders_are_completed_by_the_shell(
    words: list[str], kind: str, greeting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(greeting)
    items = ShellComplete(group, {}, "builder", "_").get_completions(words, "co")
    assert [item.type for item in items if item.type != "plain"] == ([kind] if kind else [])


@pytest.mark.parametrize("words", [["serve"], ["proxy", "http://127.0.0.1:1"]])
def test_a_port_is_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "-P", "80000"]) == 2
    assert "0<=x<=65535" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["'no end", " "])
def test_a_command_that_is_none_is_refused_before_anything_is_done(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "registry/collections").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "registry")
    assert run(["publish", str(tmp_path / "www"), "--reload", command]) == 2
    assert "--reload" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["registry", "collections"]
