"""What the pages need to know besides the content: the site's own facts.

These are the site's slice of the configuration and of the whole build. A
page that shows one collection gets that collection; only the lists see
everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from builder.output import Capabilities
from builder.registry.model import Namespace, Row
from builder.text.markdown import PYTHON_MARKDOWN

if TYPE_CHECKING:
    from builder.documents.parse import Document

# Addresses that no source file stands behind; `*` is all that is below.
LISTS = frozenset({
    "/browse/*", "/search/*", "/collections.json", "/search.json", "/feed.xml", "/sitemap.xml",
    "/robots.txt", "/llms.txt", "/api/*", "/v2/*", "/404.html",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What of the configuration concerns pages.

    `host` is what clients pull from (`example.org`, `127.0.0.1:4000`), empty
    when nobody knows; `insecure` says that it speaks plain http. `keys` is
    the whole of `_config.yml`, which templates read as `site.*`. `markdown`
    is the engine that READMEs and documents are rendered with. `repository`
    is the source's address for "edit this page", or empty. `layer_stores` are
    scheme and host of where the configuration keeps layers.
    """

    title: str = "Container registry"
    description: str = ""
    url: str = ""
    baseurl: str = ""
    lang: str = "en"
    host: str = ""
    insecure: bool = False
    keys: Mapping[str, Any] = field(default_factory=dict)
    accent: str = ""
    markdown: str = PYTHON_MARKDOWN
    repository: str = ""
    branch: str = "main"
    layer_stores: tuple[str, ...] = ()
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(name="plain", title="Plain files")
    )
    _identity: bytes = field(default=b"", init=False, repr=False, compare=False)

    @property
    def own_host(self) -> bool:
        """Whether clients pull from the host that serves the pages, whose limits then apply."""
        site = urlsplit(self.url).netloc
        return not self.host or not site or self.host == site

    @property
    def keeps_log(self) -> bool:
        """Whether what publishes the site also writes the log of tag moves beside its pages."""
        return self.capabilities.releases and self.own_host

    @property
    def typed(self) -> bool:
        """Whether the host gives each manifest its own media type."""
        return self.capabilities.media_types or not self.own_host

    @property
    def by_name(self) -> bool:
        """Whether `/v2/` is at the root of its host, where clients look for it."""
        return not self.own_host or not self.baseurl.strip("/") or self.capabilities.host_root

    @property
    def api_url(self) -> str:
        """Where `/v2/` hangs: scheme, host and path without a final slash; empty if unknown."""
        if self.host and (not self.url or not self.own_host):
            return f"{'http' if self.insecure else 'https'}://{self.host}"
        return f"{self.url.rstrip('/')}{self.api_root}" if self.url else ""

    @property
    def layer_hosts(self) -> tuple[str, ...]:
        """Scheme and host of all that pages may read layers from, beside their own host."""
        return self.layer_stores if self.own_host else (*self.layer_stores, self.api_url)

    @property
    def api_root(self) -> str:
        """Where `/v2/` hangs as a page sees it: a path where both have one host, else `api_url`."""
        if not self.own_host:
            return self.api_url
        return "" if self.by_name else self.baseurl.rstrip("/")


@dataclass(frozen=True, slots=True)
class SiteState:
    """Everything the lists show: all rows, hidden ones included, and all documents.

    `time` is `site.time`, the only clock there is.
    """

    time: datetime | None = None
    rows: tuple[Row, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    documents: tuple[Document, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
