"""The pages of `serve --from` that no app brings along: lists of repositories and versions."""

from __future__ import annotations

import html
from collections.abc import Iterable

from builder.pages import versions

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto }}
body {{ padding: 0 1.2rem; overflow-wrap: anywhere }}
h1 {{ font-size: 1.6rem }}
ul {{ list-style: none; padding: 0 }}
li a {{ display: block; padding: .5rem .2rem; border-bottom: 1px solid light-dark(#ddd, #444) }}
:any-link {{ color: light-dark(#0b5cad, #8ec5ff) }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_SILENT = """\
<p>This registry does not list its repositories. An app is at <code>/NAME/VERSION/</code>.</p>"""


def listing_page(title: str, names: Iterable[str]) -> bytes:
    """Return a page of links to folders, the newest version first."""
    ordered = sorted(names, key=versions.key, reverse=True)
    items = "".join(
        f'<li><a href="{html.escape(name)}/">{html.escape(name)}</a></li>\n' for name in ordered
    )
    body = f"<ul>\n{items}</ul>" if items else _SILENT
    return _PAGE.format(title=html.escape(title), body=body).encode()
