"""The last step between a stranger's README and a page: HTML by allow-list.

nh3 parses and cleans; every attribute that is kept passes through one
function here, so addresses, ids and classes are decided in one place. It is
the same for HTML that Markdown made and for HTML that was written raw.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import nh3

from builder.text.highlight import TOKEN_CLASSES
from builder.text.links import Links, prefixed


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = _words(
    "a abbr b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em "
    "figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p picture pre q rp rt ruby s "
    "samp section small source span strong sub summary sup table tbody td tfoot th thead tr u ul "
    "var wbr"
)
ATTRIBUTES = {
    "*": {"class", "dir", "id", "lang", "title"},
    "a": {"aria-label", "href", "name"},
    "details": {"open"},
    "img": {"align", "alt", "height", "src", "width"},
    "ol": {"reversed", "start"},
    "source": {"media", "srcset"},
    "span": {"aria-label", "role"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    **{tag: {"align"} for tag in ("div", "h1", "h2", "h3", "h4", "h5", "h6", "p", "table")},
}
CLASSES = TOKEN_CLASSES | _words(
    "admonition admonition-title align-center align-left align-right attention caution danger "
    "error example failure footnote footnote-backref footnote-ref footnotes heading-anchor "
    "highlight hint important info note question quote success summary task-list task-list-item "
    "tip toc toctitle warning"
)

_LANGUAGE = re.compile(r"language-[A-Za-z0-9+#._-]{1,32}")
_VALUES = {
    "align": re.compile(r"left|center|right"),
    "colspan": re.compile(r"[1-9][0-9]?"),
    "dir": re.compile(r"ltr|rtl|auto"),
    "height": re.compile(r"[1-9][0-9]{0,3}"),
    "lang": re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}"),
    "media": re.compile(r"[a-z0-9:() -]{1,80}"),
    "role": re.compile(r"img"),
    "rowspan": re.compile(r"[1-9][0-9]?"),
    "scope": re.compile(r"col|row"),
    "start": re.compile(r"-?[0-9]{1,6}"),
    "width": re.compile(r"[1-9][0-9]{0,3}%?"),
}
_ANGLES = str.maketrans("", "", "<>")

_FALSE_TAG = re.compile(r"<(?=/?[A-Za-z][A-Za-z0-9:._-]*[^A-Za-z0-9:._\-\s/<>])")


def without_false_tags(html: str) -> str:
    """Return `html` with what only looks like a tag, as `<me@example.org>` does, made text.

    A parser would take each for an element that is never closed.
    """
    return _FALSE_TAG.sub("&lt;", html)


def clean(html: str, links: Links) -> str:
    """Return `html` with nothing in it that could run, load by itself, or clash.

    Images of other hosts are still there, and what leads to one has no `rel`:
    see `finish`.
    """
    return nh3.clean(
        html,
        tags=set(TAGS),
        clean_content_tags={"script", "style"},
        attributes=ATTRIBUTES,
        attribute_filter=_attribute_filter(links),
        link_rel=None,
        url_schemes={"http", "https", "mailto"},
        strip_comments=True,
    )


def _attribute_filter(links: Links) -> Callable[[str, str, str], str | None]:
    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "class":
            return " ".join(word for word in value.split() if _known_class(tag, word)) or None
        if name == "href":
            return links.href(value)
        if name in {"src", "srcset"}:
            return (links.src if name == "src" else links.srcset)(value)
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
