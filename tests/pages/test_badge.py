"""The badge of a collection: a picture that says what people must know first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest

from builder.pages.badge import badge, shield
from builder.pages.plan import row
from tests.pages.samples import Maker


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"newest": "1.13.9"}, "1.13.9"),
        ({"newest": "", "tags": ("1.13.9",), "yanked": ("1.13.9",)}, "yanked"),
        ({"newest": "1.13.9", "deprecated": "other/one"}, "deprecated"),
        ({"newest": ""}, "no tag yet"),
    ],
)
def test_what_a_badge_says(facts: Any, said: str) -> None:
    about = replace(row(Maker("bio/samtools").done(), {}), **facts)
    told = shield(about)
    assert told.keys() == {"schemaVersion", "label", "message", "color"}
    assert (told["schemaVersion"], told["label"], told["message"]) == (1, "samtools", said)
    picture = ET.fromstring(badge(about))  # noqa: S314 - made here
    assert picture.get("aria-label") == f"samtools: {said}"
    assert [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")] == [
        "samtools",
        said,
    ]


def test_a_page_has_its_badge_and_the_markdown_of_it(
    greeting: Path, build: Callable[..., int]
) -> None:
    (greeting / "_config.yml").write_text("url: https://registry.example\n")
    assert build() == 0
    page = greeting / "_site/vanessa/greeting"
    assert b"greeting: latest" in (page / "badge.svg").read_bytes()
    link = "https://registry.example/vanessa/greeting/"
    text = unescape((page / "index.html").read_text())
    assert f"[![vanessa/greeting]({link}badge.svg)]({link})" in text
    shields = re.search(r"\(https://img\.shields\.io/badge/dynamic/json\?(.*?)\)", text)
    assert shields is not None
    asked = dict(parse_qsl(shields[1]))
    assert asked == {"query": "$.badge.message", "label": "greeting", "url": f"{link}index.json"}
    twin = json.loads((page / "index.json").read_bytes())
    assert twin["badge"]["message"] == "latest"
