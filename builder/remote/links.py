"""The next page of a list. Source: RFC 8288; distribution-spec, "Listing Tags"."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from builder.errors import RemoteError
from builder.remote.http import Answer, host_of, origin_of

_LINK = re.compile(r"<([^<>]{1,4096})>\s*;([^<>]{0,256})")


def next_link(answer: Answer) -> str:
    """Return the URL of the page after this one, or the empty string.

    Raises RemoteError for one on another server: with it would go what lets
    us in here.
    """
    for target, parameters in _LINK.findall(answer.header("Link")[:8192]):
        if re.search(r'rel\s*=\s*"?next"?', parameters) is None:
            continue
        following = str(urljoin(answer.url, target))
        if origin_of(following) != origin_of(answer.url):
            message = f"{host_of(answer.url)}: the next page of its list is on another server"
            raise RemoteError(f"{message}, {host_of(following)}", "its Link header is refused")
        return following
    return ""
