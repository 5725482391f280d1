"""Any two tags compared in a real browser, by their addresses and by keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.e2e.conftest import BUILDER, run
from tests.hosts import HOSTS
from tests.images import Image
from tests.layers.stacks import image_of
from tests.layers.test_listing import tar

pytestmark = pytest.mark.e2e
BASE = tar({"etc/os": b"same", "etc/user": b"root"})
TAGS = {
    "1.0": image_of(BASE, tar({"app/old.txt": b"1", "app/run": b"1"})),
    "1.1": image_of(BASE, tar({"app/run": b"two", "app/<b>new</b>.txt": b"2"})),
    "2.0": image_of(BASE, tar({"etc/.wh.user": b"", "app/run": b"three"})),
    "other": Image.of("no listing", config={"Env": ["MODE=other"], "User": "me"}),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("compared")
    source = folder / "registry"
    (source / "collections").mkdir(parents=True)
    (source / "_config.yml").write_text("title: Compared\n")
    for tag, image in TAGS.items():
        image.layout(folder / tag, "1")
        flags = ["--files"] if tag != "other" else []
        run(*BUILDER, "add", *flags, f"oci:{folder}/{tag}", f"demo/app:{tag}", "-s", str(source))
    for tag, version in (("1.0", "3"), ("1.1", "4")):
        document = {
            "spdxVersion": "SPDX-2.3",
            "packages": [{"name": "zlib", "versionInfo": version}],
        }
        (folder / f"{tag}.json").write_text(json.dumps(document))
        kind = ["--type", "application/spdx+json", "-s", str(source)]
        run(*BUILDER, "attach", f"demo/app:{tag}", f"{folder}/{tag}.json", *kind)
    with HOSTS["builder serve"](source, folder) as host:
        yield f"http://{host}/demo/app/tags/2.0/"


def result(browser: Any, title: str) -> str:
    """Wait for a comparison; return what it says."""
    region = "[data-compare] [role=region]"
    WebDriverWait(browser, 30).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, region).text.startswith(title)
    )
    text: str = browser.find_element(By.CSS_SELECTOR, region).text
    return text


def test_two_tags_by_their_address(browser: Any, page: str) -> None:
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(f"{page}#compare=1.0...1.1")
    said = result(browser, "1.0 → 1.1").split("\n")
    assert "Layers 1 added, 1 removed" in said
    assert "Files 1 added, 1 removed, 1 changed" in said
    assert "added /app/<b>new</b>.txt" in said
    assert "removed /app/old.txt" in said
    assert "changed /app/run" in said
    assert "changed zlib 3 4" in said
    assert browser.get_log("browser") == []


def test_tags_are_chosen_by_keyboard_and_back_goes_back(browser: Any, page: str) -> None:
    browser.get("about:blank")
    browser.get(page)
    wait = WebDriverWait(browser, 30)
    wait.until(lambda driver: driver.find_element(By.CSS_SELECTOR, "[data-compare]").is_displayed())
    browser.execute_script("document.querySelector('[data-compare] button').focus()")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait.until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "[data-compare] select"))
    first, second = browser.find_elements(By.CSS_SELECTOR, "[data-compare] select")
    assert Select(second).first_selected_option.text == "2.0"
    first.send_keys("1.0")
    second.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    said = result(browser, "1.0 → 2.0")
    assert "removed /etc/user" in said
    assert browser.current_url.endswith("#compare=1.0...2.0")
    first.send_keys("1.1")
    second.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    result(browser, "1.1 → 2.0")
    browser.back()
    result(browser, "1.0 → 2.0")
    browser.forward()
    result(browser, "1.1 → 2.0")


def test_what_is_not_known_is_said(browser: Any, page: str) -> None:
    browser.get("about:blank")
    browser.get(f"{page}#compare=2.0...other")
    said = result(browser, "2.0 → other")
    assert "Files: unknown" in said
    assert "Packages: unknown" in said
    assert "added MODE other" in said
    browser.get(f"{page}#compare=2.0...<b>")
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-compare] b")
