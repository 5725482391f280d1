"""What builds cost at each size, beside Hugo's of the same registry."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generate import SETTINGS, name_of
from hugo import generate_for_hugo
from measure import BUILDER, Cost, Rows, growth, in_turns, measured, row
from plan import LARGE, Plan, edit, put_aside, remove

THEME = Path(__file__).parent / "bench_theme"  # with about as much HTML as Hugo's layouts here
_GFM = "markdown: GFM\n"
# What a cold build is made with; the last is what a registry is left with.
_LOOKS = {
    "cold, bench theme, GFM": (_GFM, THEME),
    "cold, bench theme": ("", THEME),
    "cold, GFM": (_GFM, None),
    "cold": ("", None),
}
_DEAR = 5_000  # from this size on the rows beside `cold` are measured in the first run alone
_ORDER = (*reversed(_LOOKS), "caches kept", "nothing changed", "one README")


def measure(plan: Plan) -> Rows:
    """Return what each work costs at each size, and whether it grows as the registry does."""
    rows: Rows = {}
    before: tuple[int, Cost] | None = None
    for count in plan.sizes:
        found = _at(plan, count)
        ours, hugo = found["builder"], found.get("hugo", {})
        for what in sorted(ours, key=lambda what: _ORDER.index(what) if what in _ORDER else 99):
            rows[f"{count:,}: {what}"] = row(ours[what], Hugo=hugo.get(_peer(what)))
        if before:
            rows[f"{count:,}: cold"] |= growth(ours["cold"], before[1], count / before[0])
        before = count, ours["cold"]
    return rows


def _peer(what: str) -> str:
    """Return the work of Hugo's that one of ours is compared with; Hugo keeps no caches."""
    return "cold" if what in _LOOKS or what == "caches kept" else what


def _at(plan: Plan, count: int) -> dict[str, dict[str, Cost]]:
    source, site = plan.registry(count), plan.fresh(f"site-{count}")
    command = [*BUILDER, "build", "-q", "-t", "nginx", "-s", str(source), "-d", str(site)]
    ours = Side(command, site, source / "collections", "README.md", count)
    makers = {"builder": lambda run: _builds(source, ours, run)}
    if shutil.which("hugo") and count < LARGE:
        peer, peer_site = plan.work / f"hugo-{count}", plan.fresh(f"hugo-site-{count}")
        if not peer.exists():
            generate_for_hugo(peer, count, plan.tags)
        command = ["hugo", "--quiet", "-s", str(peer), "-d", str(peer_site)]
        theirs = Side(command, peer_site, peer / "content", "_index.md", count)
        makers["hugo"] = lambda run: _builds_of_hugo(theirs, run)
    return in_turns(makers, plan.runs_at(count))


@dataclass(frozen=True)
class Side:
    """A builder: its command, what it writes, and where its READMEs are."""

    command: list[str]
    site: Path
    texts: Path
    readme: str
    count: int

    def cold(self, *caches: Path) -> Cost:
        """Build without what was built before, and without these caches."""
        put_aside(self.site, *caches)
        return measured(self.command)

    def edits(self, run: int) -> Iterator[tuple[str, Cost]]:
        """Change one README, and then many at once; what is missed ends all."""
        edit(self._readme(7), f"One more line, {run}.")
        yield "one README", measured(self.command)
        word = f"everywhere{run}"
        numbers = range(0, self.count, max(10, self.count // 1000))
        for number in numbers:
            edit(self._readme(number), word)
        yield f"{len(numbers):,} READMEs", measured(self.command)
        pages = (self.site / name_of(number) / "index.html" for number in numbers)
        missed = [str(page) for page in pages if word not in page.read_text()]
        if missed:
            sys.exit(f"{len(missed)} pages without the new word {word}: {missed[0]} ...")

    def _readme(self, number: int) -> Path:
        return self.texts / name_of(number) / self.readme


def _builds(source: Path, side: Side, run: int) -> Iterator[tuple[str, Cost]]:
    caches = source / ".builder-cache"
    every = side.count < LARGE and (run == 0 or side.count < _DEAR)
    for what in _LOOKS if every else ("cold",):
        settings, theme = _LOOKS[what]
        (source / "_config.yml").write_text(SETTINGS + settings)
        remove(source / "_layouts")
        if theme:
            shutil.copytree(theme / "_layouts", source / "_layouts")
        yield what, side.cold(caches)
    if every:
        yield "caches kept", side.cold(caches / "records")
    yield "nothing changed", measured(side.command)
    yield from side.edits(run)


def _builds_of_hugo(side: Side, run: int) -> Iterator[tuple[str, Cost]]:
    yield "cold", side.cold()
    yield "nothing changed", measured(side.command)
    yield from side.edits(run)
