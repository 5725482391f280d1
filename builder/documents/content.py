"""What a site holds beside its collections: documents, static files, data, and its clock."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from builder.documents.data import load_data
from builder.documents.dates import parse_date
from builder.documents.discover import SiteOptions, discover
from builder.documents.parse import Document, parse
from builder.errors import ContentError, Problem
from builder.fingerprint import fingerprint
from builder.latest import latest
from builder.registry.clock import epoch
from builder.registry.model import Row


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that is published as it is: its source path, and the state it was found in."""

    source: str
    size: int = 0
    times: tuple[int, int] = (0, 0)  # of content and of all else, in nanoseconds
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """The site's own files: documents by source path, static files by published path."""

    documents: Mapping[str, Document]
    static: Mapping[str, StaticFile]
    data: Mapping[str, Any]
    key: str


def read_content(options: SiteOptions, problems: list[Problem]) -> Content:
    """Read the site's own files; what is wrong with documents goes to `problems`."""
    files = discover(options)
    documents: dict[str, Document] = {}
    static: dict[str, StaticFile] = {}
    for file in files:
        if file.kind == "static":
            static[file.published_path] = _static(options, file.path)
        elif file.kind in ("page", "document"):
            try:
                document = parse(file, options)
            except ContentError as error:
                problems.extend(error.problems)
                continue
            if document is not None and document.output:
                documents[file.path] = document
    data = load_data(options, files)
    return Content(documents, static, data, fingerprint(documents, static, data))


def _static(options: SiteOptions, source: str) -> StaticFile:
    try:
        found = os.stat(options.source / source)
    except FileNotFoundError:
        return StaticFile(source)
    return StaticFile(source, found.st_size, (found.st_mtime_ns, found.st_ctime_ns), found.st_ino)


def site_time(
    rows: tuple[Row, ...], documents: Iterable[Document], timezone: str
) -> datetime | None:
    """Return `site.time`: SOURCE_DATE_EPOCH, else the newest date in the content."""
    if (said := epoch()) is not None:
        return said
    dates = [_newest(rows, timezone), *(document.date for document in documents)]
    return max((date for date in dates if date is not None), default=None)


@latest
def _newest(rows: tuple[Row, ...], timezone: str) -> datetime | None:
    days = {row.updated for row in rows if row.updated}
    dates = [date for day in days if (date := parse_date(day, timezone)) is not None]
    return max(dates, default=None)
