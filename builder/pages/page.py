"""What every page layout is given: `page` and `site`, as Jekyll names them.

`page` holds the document's own front matter below what the generator knows,
so that a key of the content can never replace an address or a title's type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from builder.pages import listing
from builder.pages.feeds import absolute
from builder.pages.model import PageOptions, SiteState
from builder.pages.views import Link
from builder.text.addresses import forge_url
from builder.theme.filters import jsonify
from builder.theme.templates import Templates

_RTL_LANGUAGES = frozenset({
    "ar", "arc", "ckb", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi",
})  # fmt: skip
_RTL_SCRIPTS = frozenset({"adlm", "arab", "aran", "hebr", "mand", "nkoo", "rohg", "syrc", "thaa"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page's own facts.

    `url` is its path below the site's base; `twin` and `feed` are the paths of
    its JSON and its feed, for which the site's own `url` must be known; `data`
    is its JSON-LD; `unlisted` keeps it out of search engines; `source` is the
    file it is made of; `card` is the picture for links to it, the site's `image` or `logo`
    where it has none; `crumb` is what the breadcrumb calls it, its title where it says nothing.
    """

    title: str
    url: str
    crumb: str = ""
    description: str = ""
    crumbs: tuple[Link, ...] = ()
    twin: str = ""
    feed: str = ""
    source: str = ""
    data: Mapping[str, Any] | None = None
    unlisted: bool = False
    card: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict)

    def context(self, options: PageOptions) -> dict[str, Any]:
        """Return the mapping that templates read as `page`."""
        return {
            **self.keys,
            "title": self.title,
            "url": self.url,
            "description": self.description,
            "canonical": absolute(options, self.url) if options.url else "",
            "crumb": self.crumb or self.title,
            "crumbs": self.crumbs,
            "twin": self.twin,
            "feed": self.feed if options.url else "",
            "path": self.source,
            "source": self.source,
            "edit_url": forge_url(options.repository, options.branch, self.source, "edit"),
            "json_ld": jsonify(self.data) if self.data else Markup(),
            "unlisted": self.unlisted,
            "lang": options.lang,
            "card": self.card or str(options.keys.get("image") or options.keys.get("logo") or ""),
            "dir": direction(options.lang),
        }


def direction(lang: str) -> str:
    """Return which way a language is written: `ltr` or `rtl`, by its script where it says one."""
    parts = lang.lower().replace("_", "-").split("-")
    script = next((part for part in parts[1:] if len(part) == 4), "")
    return "rtl" if (script or parts[0]) in (_RTL_SCRIPTS if script else _RTL_LANGUAGES) else "ltr"


def crumb(name: str, title: str) -> str:
    """Return what a breadcrumb calls a collection or namespace: its title, if it has one."""
    return name.rpartition("/")[2] if title == name else title


def crumbs(name: str) -> tuple[Link, ...]:
    """Return the folders above a collection or namespace, outermost first, without itself."""
    parts = name.split("/")
    return tuple(Link(part, f"/{'/'.join(parts[:n])}/") for n, part in enumerate(parts[:-1], 1))


def site_values(options: PageOptions, state: SiteState) -> dict[str, Any]:
    """Return the mapping that templates read as `site`."""
    return {
        **options.keys,
        "title": options.title,
        "description": options.description,
        "url": options.url,
        "baseurl": options.baseurl,
        "lang": options.lang,
        "host": options.host,
        "repository": options.repository,
        "layer_hosts": options.layer_hosts,
        "target": options.capabilities.name,
        "time": state.time,
        "data": state.data,
        "logo": options.keys.get("logo") or "",
        "nav": options.keys.get("nav") or (),
        "collections": listing.visible(state.rows),
        "namespaces": state.namespaces,
        "pages": state.documents,
    }


def site_of(
    templates: Templates, layouts: Iterable[str], options: PageOptions, state: SiteState
) -> dict[str, dict[str, Any]]:
    """Return what each layout is given as `site`: the parts that it reads, and no others.

    So a part that a page's identity does not cover cannot be read either.
    """
    site = site_values(options, state)
    seen = {}
    for layout in layouts:
        read = templates.site_attributes(layout)
        seen[layout] = {name: site[name] for name in site if read is None or name in read}
    return seen


def software(options: PageOptions, **facts: Any) -> dict[str, Any]:
    """Return the JSON-LD of something that can be installed, unknown facts left out."""
    known = {key: value for key, value in facts.items() if value}
    if "url" in known:
        known["url"] = absolute(options, known["url"])
    return {"@context": "https://schema.org", "@type": "SoftwareApplication", **known}
