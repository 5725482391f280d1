"""READMEs that work where they lie, built: every link and picture of every page is there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from builder.cli import run

PNG = "\x89PNG"
FILES = {
    "_config.yml": "title: T\nmarkdown: {engine}\nrepository: https://github.com/o/r\n",
    "README.md": "# Home\n\n![l](logo.png) ![m](collections/a/map.png) [g](guide/intro.md#start)\n"
    "[c](collections/a/one/readme.md) [s](collections/a) [L](LICENSE) [all](/browse/)\n",
    "LICENSE": "MIT",
    "logo.png": PNG,
    "guide/intro.md": "# Intro\n\n## Start\n\n[n](next.md) ![l](../logo.png) [h](../README.md)\n",
    "guide/next.md": "# Next\n\n[one](../collections/a/one/) [self](#next)\n",
    "collections/a/README.md": "# Space\n\n![m](map.png) [o](one/readme.md#-quick-start)\n",
    "collections/a/map.png": PNG,
    "collections/a/one/readme.md": "# One\n\n## \U0001f680 Quick start\n\n![p](img/deep/x.png)"
    " [two](../two/README.markdown#one) [g](../../../guide/intro.md) [t](manifests/todo/)"
    " [d](manifests/todo/Dockerfile) [n](notes.md) ![m](../map.png) [q](#-quick-start)\n",
    "collections/a/one/img/deep/x.png": PNG,
    "collections/a/one/notes.md": "x",
    "collections/a/one/manifests/todo/Dockerfile": "FROM scratch\n",
    "collections/a/one/manifests/todo/README.md": "[up](../../readme.md)\n\n"
    "![p](../../img/deep/x.png)\n",
    "collections/a/two/README.markdown": "# Two\n\n## One\n\n[same](/collections/a/one/)\n",
    "collections/a/two/manifests/todo/Dockerfile": "FROM scratch\n",
}


@pytest.mark.parametrize("engine", ["GFM", "Python-Markdown"])
def test_every_link_leads_somewhere(
    tmp_path: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("{engine}", engine))
    site = tmp_path / "_site"
    assert run(["build", "-q", "--strict", "-s", str(tmp_path), "-d", str(site)]) == 0
    pages = sorted(site.rglob("*.html"))
    dead = [f"{page.relative_to(site)}: {link}" for page in pages for link in _dead(site, page)]
    assert dead == []
    text = (site / "a/one/index.html").read_text()
    for path in ("collections/a/one/notes.md", "collections/a/one/manifests/todo/Dockerfile"):
        assert f'href="https://github.com/o/r/blob/main/{path}"' in text
    assert 'href="https://github.com/o/r/edit/main/collections/a/one/readme.md"' in text
    (tmp_path / "guide/next.md").unlink()
    (tmp_path / "collections/a/map.png").unlink()
    (tmp_path / "guide/intro.md").write_text("# Intro\n\n[n](next.md)\n")
    capsys.readouterr()
    assert run(["build", "-q", "-s", str(tmp_path), "-d", str(site)]) == 0
    said = capsys.readouterr().err
    for line in ("README.md:3: warning: the image 'collections/a/map.png'",
                 "README.md:3: warning: the link to '#start' leads to no heading of /guide/intro/",
                 "guide/intro.md:3: warning: the link 'next.md'",
                 "collections/a/README.md:3: warning: the image 'map.png'",
                 "collections/a/one/readme.md:5: warning: the image '../map.png'"):  # fmt: skip
        assert line in said


def _dead(site: Path, page: Path) -> list[str]:
    """Return the links of a page to this site that lead to no file, or to no id in it."""
    text = page.read_text()
    found = []
    for link in re.findall(r'<(?:a|img)\b[^>]*? (?:href|src)="([/#][^"]*)"', text):
        path, _, name = unquote(link).partition("#")
        file = site / path.lstrip("/") if path else page
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file() or (name and f'id="{name}"' not in file.read_text()):
            found.append(link)
    return found
