"""What a tag pointed to before, told by its page from the log that is published beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from builder.cli import run
from tests.conftest import write_tree
from tests.hosts import free_port, started
from tests.images import Image

pytestmark = pytest.mark.e2e
IMAGES = [Image.of("one"), Image.of("two")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("moved")
    source = folder / "registry"
    write_tree(source, {"_config.yml": "title: T\nbaseurl: /current\n"})
    for number, image in enumerate(IMAGES):
        image.tag(source / "collections/x/y", "1.0")
        for other in range(number * 260):  # so that there are moves in a second file
            IMAGES[0].tag(source / "collections/x/many", f"1.{other}")
        assert run(["publish", str(folder / "srv"), "-q", "-s", str(source)]) == 0
    port = free_port()
    flags = ["-d", str(folder / "srv"), "-b", "127.0.0.1", str(port)]
    with started([sys.executable, "-m", "http.server", *flags], port):
        yield f"http://127.0.0.1:{port}/current/x/y/tags/1.0/"


def asked(browser: Any) -> str:
    """Ask a page what its tag pointed to; return what it says."""
    WebDriverWait(browser, 30).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, "[data-log] button").is_displayed()
    )
    browser.find_element(By.CSS_SELECTOR, "[data-log] button").click()
    answer = "[data-log] [role=status] > :not(button)"
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, answer))
    text: str = browser.find_element(By.CSS_SELECTOR, answer).text
    return text


def test_a_page_tells_what_its_tag_pointed_to(browser: Any, page: str) -> None:
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(page)
    moved, appeared = asked(browser).split("\n")
    assert moved.startswith(f"Moved from {IMAGES[0].digest} on 20")
    assert appeared.startswith("Appeared on 20")
    assert browser.get_log("browser") == []


def test_where_no_log_is_the_page_says_so(browser: Any, greeting: Path, tmp_path: Path) -> None:
    site, port = tmp_path / "site", free_port()
    assert run(["build", "-q", "-s", str(greeting), "-d", str(site)]) == 0
    flags = ["-d", str(site), "-b", "127.0.0.1", str(port)]
    with started([sys.executable, "-m", "http.server", *flags], port):
        browser.get(f"http://127.0.0.1:{port}/vanessa/greeting/tags/latest/")
        assert asked(browser).startswith("This host has no log of tag moves")
