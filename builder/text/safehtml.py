"""The last step between a stranger's README and a page: HTML by allow-list.

nh3 parses and cleans; every attribute that is kept passes through one
function here, so addresses, ids and classes are decided in one place. It is
the same for HTML that Markdown made and for HTML that was written raw.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import nh3
from markupsafe import Markup, escape

from builder.text.highlight import TOKEN_CLASSES
from builder.text.links import Links, is_external, prefixed


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = _words(
    "a abbr b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em "
    "figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp "
    "small span strong sub summary sup table tbody td tfoot th thead tr u ul var wbr"
)
ATTRIBUTES = {
    "*": {"class", "dir", "id", "lang", "title"},
    "a": {"aria-label", "href", "name"},
    "details": {"open"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"reversed", "start"},
    "span": {"aria-label", "role"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
CLASSES = TOKEN_CLASSES | _words(
    "admonition admonition-title align-center align-left align-right attention caution danger "
    "error example failure heading-anchor highlight hint important info note question quote "
    "success summary task-list task-list-item tip toc toctitle warning"
)
LINK_REL = "nofollow noopener"

_LANGUAGE = re.compile(r"language-[A-Za-z0-9+#._-]{1,32}")
_VALUES = {
    "colspan": re.compile(r"[1-9][0-9]?"),
    "dir": re.compile(r"ltr|rtl|auto"),
    "height": re.compile(r"[1-9][0-9]{0,3}"),
    "lang": re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}"),
    "role": re.compile(r"img"),
    "rowspan": re.compile(r"[1-9][0-9]?"),
    "scope": re.compile(r"col|row"),
    "start": re.compile(r"-?[0-9]{1,6}"),
    "width": re.compile(r"[1-9][0-9]{0,3}"),
}
_ANGLES = str.maketrans("", "", "<>")

_IMAGE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>|<(/?)a[ >]')
_SOURCE = re.compile(r' src="([^"]*)"')
_ALT = re.compile(r' alt="([^"]*)"')
_FALSE_TAG = re.compile(r"<(?=/?[A-Za-z][A-Za-z0-9:._-]*[^A-Za-z0-9:._\-\s/<>])")
_ANCHOR = re.compile(r'<a((?: [a-z-]+="[^"]*")*)>')
_FIRST_HEADING = re.compile(r"<(/?)h1\b")


def without_false_tags(html: str) -> str:
    """Return `html` with what only looks like a tag, as `<me@example.org>` does, made text.

    A parser would take each for an element that is never closed.
    """
    return _FALSE_TAG.sub("&lt;", html)


def clean(html: str, links: Links) -> str:
    """Return `html` with nothing in it that could run, load from elsewhere, or clash."""
    result = nh3.clean(
        html,
        tags=set(TAGS),
        clean_content_tags={"script", "style"},
        attributes=ATTRIBUTES,
        attribute_filter=_attribute_filter(links),
        link_rel=LINK_REL,
        url_schemes={"http", "https", "mailto"},
        strip_comments=True,
    )
    # `rel` is for links; nh3 gives it to every `a`.
    result = _ANCHOR.sub(
        lambda match: match[0] if ' href="' in match[1] else _bare(match[1]), result
    )
    if "<h1" in result:
        result = _FIRST_HEADING.sub(r"<\1h2", result)
    return _place_images(result) if "<img" in result else result


def _bare(attributes: str) -> str:
    without = attributes.replace(f' rel="{LINK_REL}"', "")
    return f"<a{without}>"


def _attribute_filter(links: Links) -> Callable[[str, str, str], str | None]:
    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "class":
            return " ".join(word for word in value.split() if _known_class(tag, word)) or None
        if name == "href":
            return links.href(value)
        if name == "src":
            return links.src(value)
        if name in {"id", "name"}:
            return prefixed("-".join(value.split())) if value.strip() else None
        if name in _VALUES:
            return value if _VALUES[name].fullmatch(value) else None
        return value.translate(_ANGLES)

    return keep


def _known_class(tag: str, word: str) -> bool:
    if word.startswith("language-"):
        return tag == "code" and _LANGUAGE.fullmatch(word) is not None
    return word in CLASSES


def _place_images(html: str) -> str:
    """Replace images that the page may not load by links to them, or by their text.

    Pages load nothing from other hosts: an external image becomes a link,
    inside a link its text.
    """
    depth = 0

    def place(match: re.Match[str]) -> str:
        nonlocal depth
        if match[2] is not None:
            depth += -1 if match[2] else 1
            return match[0]
        source = _SOURCE.search(match[1])
        alt = _ALT.search(match[1])
        if source and not is_external(source[1]):
            return match[0] if alt else f'<img alt=""{match[1]}>'
        text = _image_text(alt[1] if alt else "", source[1] if source else "")
        if not source or depth > 0:
            return text
        return f'<a href="{source[1]}" rel="{LINK_REL}">{text}</a>'

    return _IMAGE.sub(place, html)


def _image_text(alt: str, source: str) -> Markup:
    """Return words for an image; both arguments are attribute values as they stand in HTML."""
    words = Markup(alt).unescape().strip()  # noqa: S704 - only to unescape it
    name = unquote(source.partition("?")[0].rstrip("/").rpartition("/")[2])
    return escape(words or name or "image")
