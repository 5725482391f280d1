"""Debian's Chromium, driven; and the kinds of page that a registry of everything has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# Each kind of page of `tests.showcase`, by a short name.
SHOWCASE_PAGES = {
    "home": "", "browse": "browse/", "browse-keyword": "browse/keyword/", "search": "search/",
    "found": "search/?q=small", "api": "api/", "missing": "404.html", "namespace": "vendor/",
    "many-tags": "bio/samtools/", "tag": "bio/samtools/tags/1.20.0/",
    "layers": "vendor/monolith/tags/1.0/", "platforms": "vendor/everywhere/tags/1.1.0/",
    "deprecated": "vendor/old/", "yanked": "vendor/old/tags/0.1/", "files": "data/reads/",
    "files-tag": "data/reads/tags/2025.1/", "sif": "hpc/solver/tags/3.1/",
    "chart": "charts/web/tags/0.3.1/", "app": "web/clock/", "model": "data/model/tags/1.0/",
    "wasm": "tools/filter/tags/1.0/", "cache": "cache/layers/tags/1.0/",
    "bottle": "homebrew/jq/tags/1.0/", "arabic": "i18n/arabic/", "chinese": "i18n/chinese/",
    "long": "laboratory-of-computational-genomics/"
            "single-cell-rna-sequencing-quality-control-and-report/",
    "bare": "nothing/said/", "empty": "nothing/here/", "pending": "pending/one/",
    "pending-tag": "pending/one/tags/latest/",
}  # fmt: skip


@contextmanager
def chromium(*more: str) -> Iterator[Any]:
    """Run a browser with a profile of its own until the block ends."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}", *more):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            yield driver
        finally:
            driver.quit()


def show(browser: Any, width: int, scheme: str, height: int = 900) -> None:
    """Let pages be so many pixels wide, and light or dark."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # a colour is at its end at once
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
