"""What a build became, as anybody can see it, and where two builds differ."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from builder.build.pipeline import Pipeline
from builder.config import load_config
from builder.config.flags import Flags
from builder.errors import BuilderError, ContentError
from builder.preview.respond import Request, Responder
from builder.text.markdown import ENGINES, MarkdownRenderer
from builder.write.lookup import BuiltSite

MARKER = ".builder-site"


@dataclass(slots=True)
class Outcome:
    """One build: how it ended, and what lies there after it."""

    code: int
    said: tuple[str, ...]  # problems, or the warnings of a build that went well
    tree: dict[str, str] = field(default_factory=dict)  # digests of the site and its side folders
    answers: dict[str, str] = field(default_factory=dict)  # of the preview, by URL path


def open_pipeline(source: Path, target: str) -> Pipeline:
    return Pipeline(
        load_config(Flags(source=str(source), target=target, allow_missing=False), {}), jobs=1
    )


def build(source: Path, target: str, pipeline: Pipeline | None = None,
          touched: frozenset[str] | None = None, *, ask: bool = False) -> Outcome:  # fmt: skip
    """Build and return the outcome; `ask` also asks the preview for every address."""
    try:
        if pipeline is None:
            pipeline = open_pipeline(source, target)
        report = pipeline.build(touched)
    except BuilderError as error:
        said = error.problems if isinstance(error, ContentError) else (error,)
        where = str(source)
        texts = tuple(str(item).replace(where, "REGISTRY") for item in said)
        return Outcome(error.exit_code, texts, tree(source))
    outcome = Outcome(0, tuple(map(str, report.warnings)), tree(source))
    if ask:
        outcome.answers = answers(pipeline)
    return outcome


def answers(pipeline: Pipeline) -> dict[str, str]:
    """Return what the preview answers at every published path, and at each folder's."""
    config = pipeline.config
    capable, base = config.pages.capabilities, config.address.baseurl
    found = {}
    with closing(BuiltSite(config.destination, pipeline.record_path)) as site:
        responder = Responder(site, capable, base)
        paths = {entry.path for entry in site.under("")}
        paths |= {path.rpartition("/")[0] + "/" for path in paths}
        for path in sorted(paths):
            at = f"/{path}" if path.startswith("v2/") and capable.host_root else f"{base}/{path}"
            response = responder.respond(Request("GET", quote(at), {}))
            body = response.data
            if response.entry is not None:
                with responder.open(response.entry) as stream:
                    body = stream.read()
            mark = hashlib.sha256(body).hexdigest()
            found[at] = f"{response.status} {sorted(response.headers)} {mark}"
    return found


def tree(source: Path) -> dict[str, str]:
    """Return the digests of all files that builds of `source` left, the marker apart."""
    found = {}
    for place in sorted(source.glob("_site*")):
        for folder, _, files in os.walk(place):
            for name in files:
                file = Path(folder, name)
                if name != MARKER:
                    digest = hashlib.sha256(file.read_bytes()).hexdigest()
                    found[str(file.relative_to(source))] = digest
        if place.is_dir() and not any(place.rglob("*")):
            found[f"{place.name}/"] = "an empty folder"
    return found


def anew(source: Path, elsewhere: Path, target: str, *, ask: bool) -> Outcome:
    """Build the same files for the first time in another folder."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.copytree(source, elsewhere, symlinks=True, ignore=lambda folder, names: [
        name for name in names if folder == str(source)
        and (name == ".builder-cache" or name.startswith("_site"))
    ])  # fmt: skip
    return build(elsewhere, target, ask=ask)


def differences(got: Outcome, wanted: Outcome, before: dict[str, str]) -> Iterator[str]:
    """Yield in what a build differs from a first one; a failed one must leave all as it was."""
    if (got.code, got.said) != (wanted.code, wanted.said):
        yield f"exit {got.code}, a clean build {wanted.code}"
        yield from (f"only here: {item}" for item in got.said if item not in wanted.said)
        yield from (f"only clean: {item}" for item in wanted.said if item not in got.said)
    want = wanted.tree if wanted.code == 0 else got.tree if os.environ.get("NOTREE") else before
    yield from _unequal("file", got.tree, want)
    if got.code == wanted.code == 0:
        yield from _unequal("answer", got.answers, wanted.answers)


def _unequal(what: str, got: dict[str, str], want: dict[str, str]) -> Iterator[str]:
    for path in sorted(got.keys() | want.keys()):
        if got.get(path) != want.get(path):
            kind = (
                "differs"
                if path in got and path in want
                else "too many"
                if path in got
                else "missing"
            )
            yield f"{what} {path}: {kind}"


def warm() -> None:
    """Read what every worker would read for itself, once for all."""
    for engine in ENGINES:
        MarkdownRenderer(engine).render("`x`\n", path="x", first_line=1)
