"""The four attacks on signed releases that whoever serves a site could try, over http.

Source: The Update Framework's list of attacks: rollback, freeze, mix and
match, wrong software. The attacker has every release that was ever signed,
and no key.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.cli import run
from builder.publish.release import Release
from builder.publish.signing import SigningKey
from tests.verify.published import release, served

KEY = SigningKey.make()
Capture = pytest.CaptureFixture[str]
NAME, OTHER = "https://a.example", "https://b.example"


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two releases of one site, as they were served."""
    monkeypatch.chdir(tmp_path)
    previous: Release | None = None
    for number in (1, 2):
        site = tmp_path / f"release{number}"
        site.mkdir()
        for name in ("index.html", "about.html", "news.html"):
            (site / name).write_text(f"{name} of release {number}")
        previous = release(site, key=KEY, previous=previous, name=NAME)
    return tmp_path / "release1", tmp_path / "release2"


def verify(site: Path, capsys: Capture, *arguments: str) -> tuple[int, str]:
    with served(site) as url:
        flags = ["--public-key", KEY.public.text, "--only", "pages", *arguments]
        code = run(["verify", url, *flags])
    return code, capsys.readouterr().err


def test_all_is_as_it_should_be(past: tuple[Path, Path], capsys: Capture) -> None:
    assert verify(past[1], capsys, "--name", NAME) == (0, "")


def test_rollback(past: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    flags = ("--name", NAME, "--state", str(tmp_path / "state"))
    here = tmp_path / "served"
    with served(here) as url:

        def look(site: Path) -> tuple[int, str]:
            shutil.rmtree(here, ignore_errors=True)
            shutil.copytree(site, here)
            key = ("--public-key", KEY.public.text)
            return run(["verify", url, "--only", "pages", *key, *flags]), capsys.readouterr().err

        assert look(past[1])[0] == 0
        code, said = look(past[0])
        assert (code, "release 2 of 2024-05-01T12:00:00Z was seen here before" in said) == (1, True)
        assert look(past[1])[0] == 0


def test_freeze(past: tuple[Path, Path], capsys: Capture) -> None:
    release(past[1], key=KEY, name=NAME, expires="2024-06-01T12:00:00Z")
    code, said = verify(past[1], capsys, "--name", NAME)
    assert (code, "was out of date at 2024-06-01T12:00:00Z" in said) == (1, True)
    release(past[1], key=KEY, name=NAME, expires="2999-06-01T12:00:00Z")
    assert verify(past[1], capsys, "--name", NAME)[0] == 0


def test_mix_and_match(past: tuple[Path, Path], capsys: Capture) -> None:
    for part in ("about.html", "api/release"):
        mixed = past[1].with_name("mixed")
        shutil.copytree(past[1], mixed)
        if (mixed / part).is_dir():
            shutil.rmtree(mixed / part)
            shutil.copytree(past[0] / part, mixed / part)
        else:
            shutil.copyfile(past[0] / part, mixed / part)
        code, said = verify(mixed, capsys, "--name", NAME)
        assert (code, part in said) == (1, True)
        shutil.rmtree(mixed)


def test_wrong_site(past: tuple[Path, Path], capsys: Capture) -> None:
    release(past[1], key=KEY, name=OTHER)
    code, said = verify(past[1], capsys, "--name", NAME)
    assert (code, f"is a release of '{OTHER}', not of '{NAME}'" in said) == (1, True)
    assert verify(past[1], capsys, "--name", OTHER)[0] == 0


def test_without_a_name_the_address_is_the_one(past: tuple[Path, Path], capsys: Capture) -> None:
    with served(past[1]) as url:
        code = run(["verify", url, "--public-key", KEY.public.text, "--only", "pages"])
        assert (code, f"not of '{url}'" in capsys.readouterr().err) == (1, True)
        release(past[1], key=KEY, name=url)
        assert run(["verify", url, "--public-key", KEY.public.text, "--only", "pages"]) == 0
        # In a registry it is the registry's own.
        Path("_config.yml").write_text(f"url: {NAME}\nregistry:\n  keys: [{KEY.public.text}]\n")
        Path("collections").mkdir()
        assert run(["verify", url, "--only", "pages"]) == 1
        assert f"not of '{NAME}'" in capsys.readouterr().err


def test_a_folder_without_a_name_is_told(past: tuple[Path, Path], capsys: Capture) -> None:
    """A key signs several sites, and a folder does not say which one it is."""
    flags = ("--public-key", KEY.public.text, "--only", "pages")
    assert run(["verify", str(past[1]), *flags]) == 0
    assert "a release of any site is accepted" in capsys.readouterr().err
    for name in (NAME, ""):
        assert run(["verify", str(past[1]), *flags, "--name", name]) == 0
        assert "any site" not in capsys.readouterr().err


def test_without_keys_nothing_is_expected(past: tuple[Path, Path], capsys: Capture) -> None:
    with served(past[1]) as url:
        assert run(["verify", url, "--only", "pages"]) == 0
        assert "its signature was not checked" in capsys.readouterr().out
