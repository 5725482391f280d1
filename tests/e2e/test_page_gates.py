"""Every kind of page through axe-core, its default rules, and html-validate; light and dark."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.browsing import SHOWCASE_PAGES, show
from tests.conftest import NPM
from tests.e2e.conftest import serving
from tests.showcase import make_showcase

pytestmark = pytest.mark.e2e
AXE = NPM.parent / "axe-core/axe.min.js"
ASK = """
const done = arguments[arguments.length - 1];
const options = {resultTypes: ["violations"], selectors: false, preload: false};
const told = ({ id, nodes }) => [id, ...nodes.slice(0, 3).map((node) => node.html.slice(0, 160))];
axe.run(document, options).then((found) => done(found.violations.map(told)),
                                (error) => done([String(error)]));
"""
VIEWS = tuple(product((320, 390, 1280), ("light", "dark")))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_showcase(tmp_path_factory.mktemp("showcase") / "registry")


@pytest.fixture(scope="module")
def shown(registry: Path) -> Iterator[str]:
    with serving(registry) as host:
        yield host


@pytest.mark.parametrize("page", SHOWCASE_PAGES)
def test_anybody_can_use_a_page(browser: Any, shown: str, page: str) -> None:
    assert AXE.is_file(), "axe-core is missing: make hosts"
    browser.set_script_timeout(120)
    browser.get(f"http://{shown}/{SHOWCASE_PAGES[page]}")
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
    found = {}
    for width, scheme in VIEWS:
        show(browser, width, scheme)
        if violations := browser.execute_async_script(ASK):
            found[width, scheme] = violations
        sideways = "return document.documentElement.scrollWidth - window.innerWidth"
        assert browser.execute_script(sideways) <= 0, f"{width} px scroll sideways"
    assert found == {}


def test_pages_are_valid_html(registry: Path, tmp_path: Path) -> None:
    assert run(["build", "-s", str(registry), "-d", str(tmp_path / "site"), "-q"]) == 0
    paths = {path.partition("?")[0] for path in SHOWCASE_PAGES.values()}
    files = [
        tmp_path / "site" / (path if path.endswith(".html") else f"{path}index.html")
        for path in sorted(paths)
    ]
    config = Path(__file__).parents[1] / "npm/html-validate.json"
    command = [str(NPM / "html-validate"), "--config", str(config), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
