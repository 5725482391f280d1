"""Lists that come in pages. Source: RFC 8288; distribution-spec, "Listing Tags"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

from builder.errors import RemoteError, redacted
from builder.oci import strictjson
from builder.remote.faults import host_of
from builder.remote.http import Answer, origin_of

MAX_PAGE = 8 << 20  # bytes
MAX_PAGES = 10_000
MAX_SECONDS = 900  # for all pages of a list
_MAX_ITEMS = 500_000
_LINK = re.compile(r"<([^<>]{1,4096})>\s*;([^<>]{0,256})")


def next_link(answer: Answer) -> str:
    """Return the URL of the page after this one, or the empty string.

    Raises RemoteError for one on another server: with it would go what lets
    us in here.
    """
    for target, parameters in _LINK.findall(answer.header("Link")[:8192]):
        if re.search(r'rel\s*=\s*"?next"?', parameters) is None:
            continue
        try:
            following = str(urljoin(answer.url, target))
            same = origin_of(following) == origin_of(answer.url)
        except ValueError:
            shown = redacted(target)[:200]
            raise RemoteError(
                f"{host_of(answer.url)}: the next page of its list is {shown!r}"
            ) from None
        if not same:
            message = f"{host_of(answer.url)}: the next page of its list is on another server"
            raise RemoteError(f"{message}, {host_of(following)}", "its Link header is refused")
        return following
    return ""


def read_pages(ask: Callable[[str], Answer], url: str, key: str) -> Iterator[str]:
    """Yield the texts under `key` of a list, from the page at `url` to its last.

    Raises RemoteError for what is no such list, and for one without an end.
    """
    seen: set[str] = set()
    begun = time.monotonic()
    for _ in range(MAX_PAGES):
        with ask(url) as answer:
            raw = answer.text(MAX_PAGE)
            following = next_link(answer)
        new = [item for item in dict.fromkeys(_texts(raw, key, url)) if item not in seen]
        seen.update(new)
        yield from new
        if not following:
            return
        if not new:
            raise RemoteError(f"{url}: its pages lead in a circle")
        if len(seen) > _MAX_ITEMS:
            break
        if time.monotonic() - begun > MAX_SECONDS:
            message = f"{url}: the list of {key} comes too slowly: {len(seen)} in {MAX_SECONDS} s"
            raise RemoteError(message, "try again later, or name what you want")
        url = following
    raise RemoteError(f"{url}: the list of {key} does not end")


def _texts(raw: bytes, key: str, url: str) -> list[str]:
    """Return the list of texts under `key` of a page; `null` is an empty one."""
    try:
        document = strictjson.loads(raw, limit=MAX_PAGE)
    except strictjson.StrictJSONError as error:
        raise RemoteError(f"{url}: is not a list of {key}: {error.message}") from None
    items = document.get(key, 0) if isinstance(document, dict) else 0
    items = [] if items is None else items
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise RemoteError(f"{url}: is not a list of {key}")
    return items
