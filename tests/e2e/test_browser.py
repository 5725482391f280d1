"""Every kind of page in a real browser: small and large, light and dark, and live reload."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browsing import show
from tests.e2e.conftest import serving

pytestmark = pytest.mark.e2e
PAGES = (
    "", "browse/", "browse/updated/", "search/", "api/", "vanessa/", "vanessa/greeting/",
    "vanessa/greeting/tags/latest/", "vanessa/dataset/", "library/lolcow/tags/latest/",
    "tools/calendar/", "tools/text/wordcount/", "404.html",
)  # fmt: skip


def requested_hosts(browser: Any) -> set[str]:
    """Return every host that was asked for anything since the last call."""
    hosts = set()
    for line in browser.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            hosts.add(urlsplit(message["params"]["request"]["url"]).netloc)
    return hosts - {""}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages(browser: Any, served: str, width: int, scheme: str) -> None:
    show(browser, width, scheme)
    browser.get_log("browser")
    requested_hosts(browser)
    for path in PAGES:
        browser.get(f"http://{served}/{path}")
        assert browser.get_log("browser") == [], path
        assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1, path
        sideways = "return document.documentElement.scrollWidth - window.innerWidth"
        assert browser.execute_script(sideways) <= 0, path
    assert requested_hosts(browser) == {served}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("vanessa/greeting", "vanessa/greeting"),
        ("greetin", "vanessa/greeting"),
        ("wordcuont", "tools/text/wordcount"),
        ("word_count", "tools/text/wordcount"),
        ("multi platform", "vanessa/greeting"),
        ("greeting:0.9", "vanessa/greeting:0.9.0"),
        ("arm64", "vanessa/greeting"),
        ("linux/arm64", "vanessa/greeting"),
        ("mit csv", "vanessa/dataset"),
        ("licenses", "vanessa/greeting"),  # a label
        ("org.opencontainers.image.licenses", "vanessa/greeting"),
        ("bubble", "vanessa/greeting"),  # a word of its README
        ("DIGEST", "vanessa/greeting:0.9.0"),
    ],
)
def test_search_keeps_its_word(
    browser: Any, served: str, example: Path, query: str, found: str
) -> None:
    manifest = example / "collections/vanessa/greeting/manifests/0.9.0/manifest.json"
    digest = f"sha256:{sha256(manifest.read_bytes()).hexdigest()[:9]}"
    browser.get(f"http://{served}/search/?{urlencode({'q': query.replace('DIGEST', digest)})}")
    results = browser.find_element(By.ID, "results")
    WebDriverWait(browser, 20).until(lambda _: found in results.text)
    assert "tools/calendar" not in results.text


def test_search_by_keys_alone(browser: Any, served: str) -> None:
    browser.get(f"http://{served}/api/")
    keys = ActionChains(browser)
    keys.send_keys("/").send_keys("greeting:1.1.0").perform()
    hits = browser.find_element(By.CSS_SELECTOR, ".hits")
    WebDriverWait(browser, 20).until(lambda _: "vanessa/greeting:1.1.0" in hits.text)
    focused = "return document.activeElement.textContent"
    keys = ActionChains(browser)
    keys.send_keys(Keys.ARROW_DOWN).perform()
    assert browser.execute_script(focused) == "vanessa/greeting"
    ActionChains(browser).send_keys(Keys.ARROW_UP).perform()
    assert browser.switch_to.active_element.get_attribute("id") == "q"
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    WebDriverWait(browser, 20).until(lambda driver: "/search/?q=greeting" in driver.current_url)
    results = browser.find_element(By.ID, "results")
    WebDriverWait(browser, 20).until(lambda _: "vanessa/greeting" in results.text)


def test_the_theme_can_be_chosen(browser: Any, served: str) -> None:
    show(browser, 1280, "light")
    browser.get(f"http://{served}/")
    colour = "return getComputedStyle(document.body).backgroundColor"
    before = browser.execute_script(colour)
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    assert browser.execute_script(colour) != before


def test_the_browser_reloads_after_an_edit(browser: Any, greeting: Path) -> None:
    readme = greeting / "collections/vanessa/greeting/README.md"
    with serving(greeting) as host:
        browser.get(f"http://{host}/vanessa/greeting/")
        assert "A friendly greeting." in browser.find_element(By.TAG_NAME, "main").text
        connected = "return window.LiveReload && window.LiveReload.connector.socket.readyState == 1"
        WebDriverWait(browser, 15).until(lambda driver: driver.execute_script(connected))
        readme.write_text("---\ntitle: Greeting\n---\nSeen without a touch.\n")
        WebDriverWait(browser, 15, ignored_exceptions=[Exception]).until(
            lambda driver: "Seen without a touch." in driver.find_element(By.TAG_NAME, "main").text
        )
