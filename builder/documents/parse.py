"""One file of the site, read: its front matter over the defaults, its address, its text.

The text is Markdown or HTML and is never a template. Addresses come from
front matter too, so each is checked before a path is made of it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

from builder import frontmatter
from builder.documents.dates import parse_date
from builder.documents.discover import MARKDOWN, SiteOptions, SourceFile, index_folder
from builder.errors import ContentError, LocalError, Problem
from builder.frontmatter import FrontMatter
from builder.registry.clock import epoch

MAX_BYTES = 1 << 20  # of a page's source; Markdown has a lower limit of its own

_STYLES = {
    "pretty": "/:path/:basename/",
    "none": "/:path/:basename.html",
    "date": "/:path/:basename.html",
    "ordinal": "/:path/:basename.html",
    "weekdate": "/:path/:basename.html",
}
_PLACEHOLDER = re.compile(r":([a-z_]+)")
_NOT_SLUG = re.compile(r"[^\w.~-]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\?#%]")
_SAFE_PATH = "/!$&'()*+,;=:@-._~"


@dataclass(frozen=True, slots=True)
class Document:
    """A page of the site, or an item of one of its Jekyll collections.

    `url` is the address without baseurl (`/about/`), percent-encoded;
    `output` the output path (`about/index.html`), empty where the collection
    has no pages; `layout` is empty for none; `keys` are the front matter over
    the defaults; `body` is Markdown if `is_markdown`, else HTML, and begins
    at `body_line`.
    """

    source: str
    url: str
    output: str
    layout: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""
    body_line: int = 1
    date: datetime | None = None
    redirect_from: tuple[str, ...] = ()
    collection: str = ""
    layout_line: int = 0

    def __getitem__(self, key: str) -> Any:
        """Return a key of the front matter: layouts ask for `page.title`, as Jekyll's do."""
        return self.keys[key]

    @property
    def path(self) -> str:
        """Jekyll's name for `source`."""
        return self.source

    @property
    def is_markdown(self) -> bool:
        """Whether `body` is to be rendered; HTML is the owner's and is used as it is."""
        return self.source.lower().endswith(MARKDOWN)


def parse(file: SourceFile, options: SiteOptions) -> Document | None:
    """Read a page or document; None when it is not to be published (yet).

    Raises ContentError with all that is wrong with the file, LocalError when
    it cannot be read.
    """
    matter = frontmatter.parse(_read(options.source / file.path, file.path), file.path)
    keys = {**_defaults_for(file, options), **matter.keys}
    reader = _Reader(file, options, matter, keys)
    document = reader.document()
    published = reader.is_published(document.date)
    if reader.problems:
        raise ContentError(reader.problems)
    return document if published else None


def _read(path: Path, shown: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ContentError.at(shown, "is not a regular file", "put a file here")
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise LocalError.of(error, f"{shown} cannot be read") from error
    if len(raw) > MAX_BYTES:
        raise ContentError.at(
            shown,
            f"is too large: the limit is {MAX_BYTES >> 20} MiB",
            "split it into several pages",
        )
    return raw


def _defaults_for(file: SourceFile, options: SiteOptions) -> dict[str, Any]:
    """Return the values of all `defaults` that apply to a file, the narrower scope winning."""
    kind = file.collection or "pages"
    matching = [
        default
        for default in options.defaults
        if default.type in {"", kind} and _in_scope(file.path, default.path.strip("/"))
    ]
    matching.sort(key=lambda default: (len(default.path.strip("/")), default.type != ""))
    result: dict[str, Any] = {}
    for default in matching:
        result.update(default.values)
    return result


def _in_scope(path: str, scope: str) -> bool:
    return not scope or path == scope or path.startswith(f"{scope}/") or fnmatchcase(path, scope)


class _Reader:
    """Takes one file's keys apart, collecting what is wrong with them."""

    def __init__(
        self, file: SourceFile, options: SiteOptions, matter: FrontMatter, keys: dict[str, Any]
    ) -> None:
        self._file = file
        self._options = options
        self._matter = matter
        self._keys = keys
        self.problems: list[Problem] = []

    def document(self) -> Document:
        url = self._url()
        has_page = not self._file.collection or self._collection().output
        return Document(
            source=self._file.path,
            url=quote(url, safe=_SAFE_PATH),
            output=output_path(url) if has_page else "",
            layout=self._layout(),
            keys={**self._keys, **self._texts()},
            body=self._matter.body,
            body_line=self._matter.body_line,
            date=self._date(),
            redirect_from=self._redirects(),
            collection=self._file.collection,
            layout_line=self._matter.line("layout"),
        )

    def is_published(self, date: datetime | None) -> bool:
        options = self._options
        if not self._flag("published", default=True) and not options.unpublished:
            return False
        if self._flag("draft", default=False) and not options.drafts:
            return False
        if options.future or date is None:
            return True
        now = epoch()  # without one nothing is in the future
        return now is None or date <= now

    def _collection(self) -> Any:
        return self._options.collections[self._file.collection]

    def _refuse(self, key: str, message: str, hint: str = "") -> None:
        line = self._matter.line(key) if key in self._matter.keys else 0
        self.problems.append(Problem(self._file.path, line, message, hint))

    def _flag(self, key: str, *, default: bool) -> bool:
        value = self._keys.get(key, default)
        if isinstance(value, bool):
            return value
        self._refuse(key, f"{key!r} must be true or false, not {value!r}")
        return default

    def _texts(self) -> dict[str, str]:
        """Return the keys that are shown as text, numbers made text."""
        texts: dict[str, str] = {}
        for key in ("title", "description"):
            value = self._keys.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                texts[key] = str(value)
            elif value is not None and not isinstance(value, str):
                self._refuse(key, f"{key!r} must be text", f"write {key}: some words")
        return texts

    def _layout(self) -> str:
        usual = "home" if index_folder(self._file.path) == "" else "page"
        value = self._keys.get("layout", usual)
        if value is None or value == "none":
            return ""
        if not isinstance(value, str):
            self._refuse("layout", "'layout' must be the name of a page layout")
            return ""
        return value

    def _date(self) -> datetime | None:
        value = self._keys.get("date")
        if value is None:
            return None
        date = parse_date(value, self._options.timezone) if isinstance(value, str) else None
        if date is None:
            hint = "write one like 2024-01-31 or 2024-01-31 10:00:00 +0200"
            self._refuse("date", f"the date {value!r} is not a date", hint)
        return date

    def _redirects(self) -> tuple[str, ...]:
        value = self._keys.get("redirect_from")
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            self._refuse("redirect_from", "'redirect_from' must be an address or a list of them")
            return ()
        return tuple(self._checked("redirect_from", item) for item in items)

    def _url(self) -> str:
        path = self._file.path
        explicit = self._keys.get("permalink")
        if explicit is not None and not isinstance(explicit, str):
            self._refuse("permalink", "'permalink' must be an address")
            explicit = None
        if explicit is None and not self._file.collection:
            folder = index_folder(path)
            if folder is not None:
                return f"/{folder}"
        pattern = explicit or self._pattern()
        return self._checked("permalink", self._filled(_STYLES.get(pattern, pattern)))

    def _pattern(self) -> str:
        if not self._file.collection:
            return self._options.permalink or "pretty"
        return self._collection().permalink or "/:collection/:path/"

    def _filled(self, pattern: str) -> str:
        """Return `pattern` with its placeholders filled in, as Jekyll fills them."""
        stem = os.path.splitext(self._file.path)[0]
        folder, _, basename = stem.rpartition("/")
        title = self._keys.get("title")
        slug = self._keys.get("slug", title)
        values = {
            "path": folder,
            "basename": basename,
            "name": basename,
            "title": _slug(slug) if isinstance(slug, str) and slug else basename,
            "slug": _slug(slug) if isinstance(slug, str) and slug else basename,
            "output_ext": ".html",
            "collection": self._file.collection,
        }
        if self._file.collection:
            values["path"] = stem.partition("/")[2]
        elif stem.startswith("_drafts/"):
            values["path"] = folder.partition("/")[2]

        def fill(match: re.Match[str]) -> str:
            if match[1] not in values:
                hint = f"use one of {', '.join(f':{name}' for name in sorted(values))}"
                self._refuse("permalink", f"the permalink's {match[0]!r} is unknown", hint)
            return values.get(match[1], "")

        filled = _PLACEHOLDER.sub(fill, pattern)
        return re.sub(r"/{2,}", "/", filled) if pattern != filled else pattern

    def _checked(self, key: str, address: str) -> str:
        """Return an address that stays inside the site, or report it and return `/`."""
        address = address if address.startswith("/") else f"/{address}"
        parts = address.split("/")[1:]
        if _UNSAFE.search(address) or not address.isprintable():
            self._refuse(key, f"the {key} {address!r} holds characters that no path can hold")
        elif ".." in parts or "." in parts:
            self._refuse(key, f"the {key} {address!r} leaves its folder", "write it without '..'")
        elif "" in parts[:-1]:
            self._refuse(key, f"the {key} {address!r} has an empty part", "write it without '//'")
        else:
            return address
        return "/"


def _slug(text: str) -> str:
    return _NOT_SLUG.sub("-", text.lower()).strip("-.")


def output_path(url: str) -> str:
    """Return the output path of a decoded address: `/a/` is `a/index.html`, `/a` is `a.html`."""
    path = url.removeprefix("/")
    if not path or path.endswith("/"):
        return f"{path}index.html"
    return path if os.path.splitext(path)[1] else f"{path}.html"
