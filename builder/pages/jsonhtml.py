"""JSON as people read it on a page: indented, escaped, digests linked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from markupsafe import Markup, escape

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}(?![a-f0-9])|sha512:[a-f0-9]{128}(?![a-f0-9])")


def readable(raw: bytes, link: Callable[[str], str]) -> Markup:
    """Return the JSON in `raw` as HTML text; `link` gives a digest's URL, or nothing.

    All of it is escaped before any link is made, and a link goes around
    hexadecimal digits only.
    """
    text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)

    def linked(match: re.Match[str]) -> str:
        url = link(match[0])
        return f'<a href="{escape(url)}">{match[0]}</a>' if url else match[0]

    return Markup(_DIGEST.sub(linked, str(escape(text))))  # noqa: S704 - escaped on this line
