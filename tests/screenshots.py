"""Pictures of every kind of page, to be looked at: `make screenshots` puts them into a folder."""

from __future__ import annotations

import base64
import sys
import tempfile
from itertools import product
from pathlib import Path

from tests.browsing import SHOWCASE_PAGES, chromium, show
from tests.hosts import serving
from tests.showcase import make_showcase

_HEIGHT = 3_000  # pixels; a longer page is cut


def take(folder: Path, only: frozenset[str] = frozenset()) -> int:
    """Write PAGE-WIDTH-SCHEME.png for each page; return how many."""
    folder.mkdir(exist_ok=True)
    pages = {name: path for name, path in SHOWCASE_PAGES.items() if not only or name in only}
    views = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
    with (
        tempfile.TemporaryDirectory() as place,
        chromium("--hide-scrollbars") as browser,
        serving(make_showcase(Path(place) / "registry")) as host,
    ):
        for (width, scheme), (name, path) in product(views, pages.items()):
            show(browser, width, scheme)
            browser.get(f"http://{host}/{path}")
            height = browser.execute_script("return document.documentElement.scrollHeight")
            show(browser, width, scheme, min(_HEIGHT, height))
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {})["data"]
            (folder / f"{name}-{width}-{scheme}.png").write_bytes(base64.b64decode(shot))
    return len(views) * len(pages)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    sys.stdout.write(f"{take(target, frozenset(sys.argv[2:]))} pictures in {target}/\n")
