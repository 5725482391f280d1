"""The same registry for Hugo: a page, a list of tags, and two files a tag for each collection."""

from __future__ import annotations

import json
from pathlib import Path

from generate import name_of, readme

_CONFIG = {
    "baseURL": "https://example.org/",
    "disableKinds": ["taxonomy", "term", "rss", "sitemap", "404"],
    "outputs": {"home": ["html"], "section": ["html", "json"], "page": ["html", "json"]},
}
_BASE = (
    "<!doctype html><html><head><title>{{ .Title }}</title></head><body><nav>{{ range .Ancestors }}"
    "<a href='{{ .RelPermalink }}'>{{ .Title }}</a>{{ end }}</nav><h1>{{ .Title }}</h1>"
    "{{ .Content }}<ul>{{ range .Pages }}<li><a href='{{ .RelPermalink }}'>{{ .Title }}</a>"
    "{{ end }}</ul></body></html>"
)
_LAYOUTS = {
    "index.html": _BASE,
    "_default/list.html": _BASE,
    "_default/single.html": _BASE,
    "_default/list.json": '{"name":{{ .Title | jsonify }},"tags":[{{ range $n, $p := .Pages }}'
    "{{ if $n }},{{ end }}{{ $p.Title | jsonify }}{{ end }}]}",
    "_default/single.json": '{"schemaVersion":2,"config":{{ .Params.config | jsonify }},'
    '"layers":{{ .Params.layers | jsonify }}}',
}


def generate_for_hugo(root: Path, collections: int, tags: int = 3) -> None:
    """Write a Hugo site of `collections` collections of `tags` tags each below `root`."""
    for name, text in _LAYOUTS.items():
        (root / "layouts" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "layouts" / name).write_text(text)
    (root / "config.json").write_text(json.dumps(_CONFIG))
    for number in range(collections):
        folder = root / "content" / name_of(number)
        folder.mkdir(parents=True)
        (folder / "_index.md").write_text(readme(number))
        for tag in range(tags):
            (folder / f"1.{tag}.md").write_text(json.dumps(_tag(number, tag)) + "\n\n")


def _tag(number: int, tag: int) -> dict[str, object]:
    blob = {"digest": f"sha256:{number:064x}", "size": 100}
    return {"title": f"1.{tag}", "config": blob, "layers": [blob]}
