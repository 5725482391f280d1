"""Redirects of pages on real servers: of a document that moved, and of a blob's address."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.conftest import write_tree
from tests.hosts import HOSTS
from tests.images import Image

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("base", ["", "/current", "/team.x-1/y"])
@pytest.mark.parametrize("server", ["nginx", "caddy", "builder serve"])
def test_pages_redirect_wherever_they_are(
    registry: Path, server: str, base: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image = Image.holding(b"moved")
    image.tag(registry / "collections/vanessa/greeting", "1.0")
    write_tree(registry, {
        "_config.yml": f"title: Moved\nbaseurl: {base}\n",
        "about.md": "---\ntitle: About\nredirect_from: [/old/]\n---\n# About\n",
    })  # fmt: skip
    digest = next(iter(image.blobs))
    places = {f"{base}/old/": f"{base}/about/"} | {
        f"{base}/vanessa/greeting/blobs/{digest}/": f"/v2/vanessa/greeting/blobs/{digest}"
    }
    with HOSTS[server](registry, tmp_path_factory.mktemp("site")) as host:
        for path, place in places.items():
            answer = requests.get(f"http://{host}{path}", timeout=30, allow_redirects=False)
            assert (path, answer.status_code) == (path, 302)
            assert answer.headers["Location"] == place
