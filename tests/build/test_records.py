"""What one build leaves for the next, of another process: nothing made anew, nothing missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.build import making, pipeline
from builder.build.how import How
from builder.config import load_config
from builder.config.flags import Flags
from builder.errors import ContentError
from builder.output import OutputTree
from builder.write.writer import Transaction

Build = Callable[..., int]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count what costs as much as the whole registry is large."""
    done = {"rules": 0, "claims": 0}
    rules = making.Maker._side_files

    def count_rules(self: making.Maker, change: Transaction) -> None:
        done["rules"] += 1
        rules(self, change)

    def count_claims(*arguments: object) -> object:
        done["claims"] += 1
        return OutputTree(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(making.Maker, "_side_files", count_rules)
    monkeypatch.setattr(making, "OutputTree", count_claims)
    return done


def test_an_edit_of_text_leaves_rules_and_claims_as_they_are(
    greeting: Path, build: Build, work: dict[str, int]
) -> None:
    assert build("-t", "nginx") == 0
    assert work == {"rules": 1, "claims": 1}
    readme = greeting / "collections/vanessa/greeting/README.md"
    readme.write_text("---\ntitle: Greeting\n---\nUnheard-of words, in new shards of the search.\n")
    marker = greeting / "_site/.builder-site"
    before = marker.read_text().splitlines()
    assert build("-t", "nginx") == 0
    assert work == {"rules": 1, "claims": 1}
    assert "Unheard-of" in (greeting / "_site/vanessa/greeting/index.html").read_text()
    after = marker.read_text().splitlines()
    assert after[0] != before[0]
    assert set(before[1:]) <= set(after[1:])
    assert build("-t", "nginx") == 0
    (readme.parent / "manifests/latest").rename(readme.parent / "manifests/2.0")
    assert build("-t", "nginx") == 0
    assert work["rules"] == 2
    assert "/manifests/2.0" in (greeting / "_site.nginx/http.conf").read_text()


@pytest.mark.parametrize("page", ["about.md", "vanessa/README.md"])
def test_a_clash_that_comes_later_is_seen(
    greeting: Path, build: Build, capfd: pytest.CaptureFixture[str], page: str
) -> None:
    text = "---\ntitle: About\n---\nWords.\n"
    file = greeting / (page if page == "about.md" else f"collections/{page}")
    file.write_text(text)
    assert build() == 0
    (greeting / "late.md").write_text("---\npermalink: /vanessa/\n---\n")
    for _ in range(2):
        assert build() == 1
        assert "already owns" in capfd.readouterr().err
    (greeting / "late.md").unlink()
    file.write_text(text + "More.\n")
    assert build() == 0


def test_what_a_failed_build_loaded_is_no_claim_that_was_checked(greeting: Path) -> None:
    pages = pipeline.Pipeline(load_config(Flags(str(greeting)), {}), How(jobs=1))
    (greeting / "late.md").write_text("---\npermalink: /vanessa/greeting/\n---\n")
    for _ in range(2):
        with pytest.raises(ContentError, match="already owns"):
            pages.build()
    (greeting / "late.md").unlink()
    assert pages.build().written > 0
