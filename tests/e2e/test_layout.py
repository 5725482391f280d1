"""What pages weigh, and that they stand still while scripts add to them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from builder.cli import run
from tests.browsing import SHOWCASE_PAGES, show
from tests.e2e.conftest import serving
from tests.showcase import make_showcase

pytestmark = pytest.mark.e2e
WATCH = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
PAINTED = """
const done = arguments[arguments.length - 1];
const last = () => requestAnimationFrame(done);
const look = () => requestAnimationFrame(
  document.querySelector(":is([data-log], [data-compare])[hidden]") ? look : last);
look();
"""
PAGE, HOME, SHEET, SCRIPT = 15_000, 100_000, 6_000, 8_000  # bytes, packed


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_showcase(tmp_path_factory.mktemp("showcase") / "registry")


@pytest.fixture(scope="module")
def shown(registry: Path) -> Iterator[str]:
    with serving(registry, "--no-livereload", "-t", "nginx") as host:  # keeps a log of moves
        yield host


def test_pages_stand_still(browser: Any, shown: str) -> None:
    told = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    try:
        moved = {}
        for width in (320, 1280):
            show(browser, width, "light")
            for page, path in SHOWCASE_PAGES.items():
                browser.get(f"http://{shown}/{path}")
                browser.execute_async_script(PAINTED)
                moved[width, page] = browser.execute_script("return shift")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", told)
    assert {page: shift for page, shift in moved.items() if shift >= 0.02} == {}


def test_a_phone_shows_the_readme_at_once(browser: Any, shown: str) -> None:
    show(browser, 390, "light")
    browser.get(f"http://{shown}/{SHOWCASE_PAGES['many-tags']}")
    top = """
    document.querySelector(".panel code").textContent = arguments[0];
    return document.getElementById("readme").getBoundingClientRect().top;
    """
    for host in (shown, "registry.example.org"):  # whose name takes a line more
        assert browser.execute_script(top, f"docker pull {host}/bio/samtools:latest") <= 400


def test_rows_are_drawn_when_they_come_into_sight(browser: Any, shown: str) -> None:
    drawn = """
    const row = document.querySelector(".rows > :last-child");
    const drawn = () => row.firstElementChild.checkVisibility({contentVisibilityAuto: true});
    const done = arguments[arguments.length - 1];
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const before = drawn();
      row.scrollIntoView();
      const look = () => drawn() ? done([before, true]) : requestAnimationFrame(look);
      look();
    }));
    """
    show(browser, 390, "light")
    for page in ("browse", "found"):
        browser.get(f"http://{shown}/{SHOWCASE_PAGES[page]}")
        WebDriverWait(browser, 60).until(
            lambda _: browser.find_elements("css selector", ".rows > :nth-child(24)")
        )
        assert browser.execute_async_script(drawn) == [False, True], page


COMMANDS = """
const all = [...document.querySelectorAll(".pull .command")];
return all.filter((block) => block.offsetHeight).map((block) => {
  const button = block.querySelector("button").getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(block.querySelector("code"));
  const over = [...range.getClientRects()].some((line) => line.width && line.right > button.left + 1
    && line.top + 3 < button.bottom - 3);
  return [block.textContent.replace("Copy", ""), over, block.scrollWidth > block.clientWidth];
});
"""


def test_commands_make_room_for_their_button(browser: Any, shown: str) -> None:
    bad = []
    for width in (320, 390, 1280):
        show(browser, width, "light")
        for page in ("many-tags", "chart", "app", "cache", "long", "sif", "files"):
            browser.get(f"http://{shown}/{SHOWCASE_PAGES[page]}")
            commands = browser.execute_script(COMMANDS)
            assert commands, page
            bad += [(width, page, text) for text, *wrong in commands if any(wrong)]
    assert bad == []


def test_each_client_has_a_panel(browser: Any, shown: str) -> None:
    browser.get(f"http://{shown}/{SHOWCASE_PAGES['many-tags']}")
    choices = browser.find_elements("css selector", ".choices input")
    assert len(choices) > 5
    for place, choice in enumerate(choices):
        browser.execute_script("arguments[0].click()", choice)
        panels = browser.find_elements("css selector", ".panel")
        assert [panel.is_displayed() for panel in panels].index(True) == place
        assert sum(panel.is_displayed() for panel in panels) == 1


def test_pages_are_small(registry: Path, tmp_path: Path) -> None:
    assert run(["build", "-s", str(registry), "-d", str(tmp_path / "site"), "-q"]) == 0

    def packed(*files: Path) -> int:
        return sum(len(gzip.compress(file.read_bytes())) for file in files)

    for name in ("many-tags", "layers", "platforms", "tag", "sif"):
        assert packed(tmp_path / "site" / SHOWCASE_PAGES[name] / "index.html") <= PAGE, name
    assert packed(tmp_path / "site/index.html") <= HOME
    assets = tmp_path / "site/assets"
    assert packed(*assets.glob("style.*")) <= SHEET
    assert packed(*assets.glob("site.*"), *assets.glob("search.*")) <= SCRIPT
