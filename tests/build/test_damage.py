"""What somebody removes from a built site or alters in it is made again by the next build."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import read_tree
from tests.images import Image

PAGE = "vanessa/greeting/index.html"
Hurt = Callable[[Path], None]


def remove(site: Path) -> None:
    (site / PAGE).unlink()


def remove_a_folder(site: Path) -> None:
    shutil.rmtree(site / "v2/vanessa")


def alter(site: Path) -> None:
    (site / PAGE).write_text("something else")


def alter_in_silence(site: Path) -> None:
    """Same size, same time."""
    file = site / PAGE
    about = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def put_another(site: Path) -> None:
    file = site / PAGE
    other = file.with_name("other")
    other.write_bytes(b"another file")
    os.utime(other, ns=(0, 0))
    other.replace(file)


def put_a_link(site: Path) -> None:
    (site / PAGE).unlink()
    (site / PAGE).symlink_to("/etc/passwd")


def put_a_folder(site: Path) -> None:
    (site / PAGE).unlink()
    (site / PAGE).mkdir()


def remove_rules(site: Path) -> None:
    shutil.rmtree(f"{site}.nginx")


def alter_rules(site: Path) -> None:
    (site.with_name("_site.nginx") / "http.conf").write_text("")


def remove_all(site: Path) -> None:
    for path in site.iterdir():
        if path.name != ".builder-site":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


HURTS = (
    remove, remove_a_folder, alter, alter_in_silence, put_another, put_a_link, put_a_folder,
    remove_rules, alter_rules, remove_all,
)  # fmt: skip


@pytest.mark.parametrize("hurt", HURTS, ids=lambda hurt: hurt.__name__)
def test_it_is_repaired(hurt: Hurt, greeting: Path, build: Callable[..., int]) -> None:
    assert build("-t", "nginx") == 0
    site = greeting / "_site"
    good = read_tree(site), read_tree(greeting / "_site.nginx")
    untouched = site / "index.html"
    before = untouched.stat().st_ino
    hurt(site)
    assert build("-t", "nginx") == 0
    assert (read_tree(site), read_tree(greeting / "_site.nginx")) == good
    assert hurt is remove_all or untouched.stat().st_ino == before


def test_a_clock_that_was_set_back_hides_nothing(greeting: Path, build: Callable[..., int]) -> None:
    assert build() == 0
    good = read_tree(greeting / "_site")
    os.utime(greeting / "_site/.builder-site", (1 << 33, 1 << 33))
    (greeting / "_site" / PAGE).write_text("something else")
    assert build() == 0
    assert read_tree(greeting / "_site") == good


def test_rules_of_another_target_go(greeting: Path, build: Callable[..., int]) -> None:
    assert build("-t", "nginx") == 0
    assert (greeting / "_site.nginx/http.conf").exists()
    assert build("-t", "caddy") == 0
    assert not (greeting / "_site.nginx").exists()
    (greeting / "_site.caddy/notes.txt").write_text("somebody's")
    assert build("-t", "plain") == 0
    assert [path.name for path in greeting.glob("_site.*/*")] == ["notes.txt"]


def test_two_tags_of_one_manifest_of_the_original_format(
    greeting: Path, build: Callable[..., int]
) -> None:
    text = (
        "---\nlayout: manifests/singularity\nsize: 9\ndigest: sha256:{}\nlayers:\n"
        "- {{size: 9, digest: sha256:{}, url: https://example.org/x.sif}}\n---\n"
    )
    for tag in ("1.0", "latest"):
        folder = greeting / f"collections/vanessa/old/manifests/{tag}"
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(text.format("0" * 64, "1" * 64))
    assert build() == 0
    pages = [*(greeting / "_site/vanessa/old/manifests").glob("sha256:*")]
    assert pages
    Image.of("one").tag(greeting / "collections/vanessa/greeting", "again")
    assert build() == 0
