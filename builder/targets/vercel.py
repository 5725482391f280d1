"""Vercel: one `vercel.json` of header rules and redirects, in path-to-regexp's syntax."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from builder.output import MARKER, Capabilities, Entry
from builder.targets.base import Address, RootHost, SideFile
from builder.targets.rules import check_count, check_left_out, plan, rules

_LIMIT = 2048
_LEFT_OUT = frozenset({"node_modules", "venv"})  # what the program of Vercel never uploads


class Vercel(RootHost):
    """Regular expressions for headers, a rule for each blob that lives elsewhere."""

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `vercel.json`; raises ContentError where rules are too many."""
        del address
        found = plan(entries)
        made = rules(found, _LIMIT)
        title = self.capabilities.title
        check_left_out(found, _LEFT_OUT, title)
        check_count(len(made), _LIMIT, title, "header rules")
        check_count(len(found.moved), _LIMIT, title, "redirects")
        document = {
            "$schema": "https://openapi.vercel.sh/vercel.json",
            "cleanUrls": False,
            "headers": [
                {
                    "source": f"/({rule.pattern})",
                    "headers": [
                        {"key": name, "value": text} for name, text in rule.headers.items()
                    ],
                }
                for rule in made
            ],
            "redirects": [
                {
                    "source": "/" + entry.path.replace(":", "\\:"),
                    "destination": entry.location,
                    "statusCode": 307,
                }
                for entry in found.moved
            ],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        yield SideFile(".vercelignore", f"{MARKER}\n".encode(), in_site=True)
        yield SideFile("vercel.json", text.encode(), in_site=True)


TARGET = Vercel(
    Capabilities(
        name="vercel",
        title="Vercel",
        media_types=True,
        redirects=True,
        max_site=100_000_000,
        max_files=16_000,
        notes=(
            "Uploads are limited to 100 MB: store layers in `registry.blobs`.",
            "Errors are pages, also below /v2/.",
        ),
    )
)
