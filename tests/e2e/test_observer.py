"""Whoever looks at `serve` while it builds, fails to build and is mended sees whole sites only."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.conftest import write_tree
from tests.e2e.conftest import serving
from tests.images import Image

pytestmark = pytest.mark.e2e
COUNT = 60
LAYOUT = "---\nlayout: default\n---\n<p>state {}</p>\n{{{{ content }}}}\n"
PATHS = [*(f"/team/c{number}/" for number in range(COUNT)), "/about/", "/collections.json",
         "/v2/team/c0/manifests/1.0", "/v2/_catalog", "/v2/team/c1/tags/list"]  # fmt: skip


class Observer(threading.Thread):
    """Asks for everything, again and again; keeps what no whole site would have answered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._ended = threading.Event()
        self.wrong: list[str] = []
        self.rounds = 0

    def run(self) -> None:
        seen = -1
        with requests.Session() as session:
            while not self._ended.is_set():
                for path in PATHS:
                    answer = session.get(f"{self._url}{path}", timeout=30)
                    if answer.status_code != 200:
                        self.wrong.append(f"{answer.status_code} {path}")
                    if found := re.search(r"<p>state (\d+)</p>", answer.text):
                        now = int(found[1])
                        if now < seen:  # a page of an older site after one of a newer
                            self.wrong.append(f"state {now} after {seen}: {path}")
                        seen = now
                self.rounds += 1

    def end(self) -> None:
        self._ended.set()
        self.join(60)


def put_state(registry: Path, number: int) -> None:
    texts = {f"_layouts/{name}.html": LAYOUT.format(number) for name in ("collection", "page")}
    write_tree(registry, texts)


def shown(url: str, text: str, path: str) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if text in requests.get(f"{url}{path}", timeout=30).text:
            return True
        time.sleep(0.05)
    return False


def test_only_whole_sites_are_seen(registry: Path) -> None:
    for number in range(COUNT):
        folder = registry / f"collections/team/c{number}"
        write_tree(folder, {"README.md": f"---\ntitle: C{number}\n---\nText.\n"})
        Image.of(f"image {number % 5}").tag(folder, "1.0")
    write_tree(registry, {"about.md": "# About\n"})
    put_state(registry, 0)
    with serving(registry) as host:
        url = f"http://{host}"
        observer = Observer(url)
        observer.start()
        for state in (1, 2):
            for number in range(3):  # fails again and again, each time for another reason
                broken = f"{{{{ page.nosuch{number}.deeper }}}}"
                write_tree(registry, {"_layouts/page.html": f"---\nlayout: default\n---\n{broken}"})
                Image.of(f"moved {state} {number}").tag(registry / "collections/team/c0", "1.0")
                assert shown(url, f"nosuch{number}", "/about/")
            put_state(registry, state)
            assert shown(url, f"state {state}", "/about/")
            assert shown(url, f"state {state}", f"/team/c{COUNT - 1}/")
            manifest = requests.get(f"{url}/v2/team/c0/manifests/1.0", timeout=30).content
            assert manifest == Image.of(f"moved {state} 2").manifest
        observer.end()
    assert observer.wrong == []
    assert observer.rounds > 3
