"""The floor for a cold build: `floor.py SOURCE SITE INTO`.

For every README: Python-Markdown with the extensions that any README needs.
For every page of the finished SITE: one Jinja template. For every file of it:
a write of as many bytes. One process a core, and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import jinja2
import markdown

PAGE = (
    "<!doctype html><html><head><title>{{ title }}</title></head><body><nav>{% for c in crumbs %}"
    "<a href='{{ c }}'>{{ c }}</a>{% endfor %}</nav><h1>{{ title }}</h1>{{ body }}</body></html>"
)


def _work(share: tuple[list[tuple[str, str, bool]], list[str]]) -> None:
    files, readmes = share
    engine = markdown.Markdown(extensions=["fenced_code", "tables", "toc", "attr_list"])
    template = jinja2.Environment(autoescape=True).from_string(PAGE)
    for readme in readmes:
        engine.reset()
        engine.convert(Path(readme).read_text().split("---\n", 2)[2])
    made: set[str] = set()
    for source, target, is_page in files:
        data = Path(source).read_bytes()
        if is_page:
            template.render(title=target, crumbs=target.split("/")[-4:], body="x")
        folder = os.path.dirname(target)
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        Path(target).write_bytes(data)


def main() -> None:
    """Share the work among all cores."""
    source, site, into = map(Path, sys.argv[1:])
    files = []
    for folder, _, names in os.walk(site):
        for name in names:
            path = os.path.join(folder, name)
            files.append((path, str(into / os.path.relpath(path, site)), name.endswith(".html")))
    readmes = sorted(map(str, source.glob("collections/*/*/README.md")))
    count = multiprocessing.cpu_count()
    shares = [(files[n::count], readmes[n::count]) for n in range(count)]
    with multiprocessing.get_context("fork").Pool(count) as pool:
        pool.map(_work, shares)


if __name__ == "__main__":
    main()
