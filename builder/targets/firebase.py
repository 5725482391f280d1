"""Firebase Hosting: one `firebase.json` of header rules and redirects, by regular expression."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from builder.output import MARKER, Capabilities, Entry
from builder.targets.base import Address, RootHost, SideFile
from builder.targets.rules import joined, literal, plan, rules, stored_below

_DIGEST_RULES = 500  # rules are tried one after the other; more would slow every answer
_FILE = "firebase.json"


class Firebase(RootHost):
    """Regular expressions for headers; redirects come before files and are 302 at best."""

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `firebase.json`, which publishes the folder that it is in."""
        del address
        found = plan(entries)
        hosting = {
            "public": ".",
            "ignore": [_FILE, MARKER],
            "headers": [
                {
                    "regex": f"^/{rule.pattern}$",
                    "headers": [
                        {"key": name, "value": text} for name, text in rule.headers.items()
                    ],
                }
                for rule in rules(found, _DIGEST_RULES)
            ],
            "redirects": list(_redirects(found.moved)),
        }
        text = json.dumps({"hosting": hosting}, indent=1, ensure_ascii=False) + "\n"
        yield SideFile(_FILE, text.encode(), in_site=True)


def _redirects(moved: list[Entry]) -> Iterator[dict[str, object]]:
    """Yield as few redirects as the moved blobs allow: many digests share a rule."""
    yield {"source": f"/{MARKER}", "destination": "/404.html", "type": 302}
    by_base: dict[str, list[Entry]] = {}
    for entry in moved:
        base = stored_below(entry)
        if base is None:
            pattern = f"^/{literal(entry.path)}$"
            yield {"regex": pattern, "destination": entry.location, "type": 302}
        else:
            by_base.setdefault(base, []).append(entry)
    for base, entries in sorted(by_base.items()):
        for pattern in joined(entries):
            # Groups by number: the emulator does not know names.
            groups = re.sub(r"/(sha256|sha512):(.*)$", r"/(\1):(\2)", pattern, count=1)
            yield {"regex": f"^/{groups}$", "destination": f"{base}/:1/:2", "type": 302}


TARGET = Firebase(
    Capabilities(
        name="firebase",
        title="Firebase Hosting",
        media_types=True,
        redirects=True,
        max_site=10_000_000_000,
        notes=(
            "Errors are pages, also below /v2/.",
            "`tags/list?n=&last=` returns the whole list.",
        ),
    )
)
