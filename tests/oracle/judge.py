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

from builder.build.how import How
from builder.build.pipeline import Pipeline, preview
from builder.config import load_config
from builder.config.flags import Flags
from builder.errors import BuilderError, ContentError
from builder.preview.respond import Request, Responder
from builder.text.markdown import ENGINES, MarkdownRenderer

MARKER = ".builder-site"


@dataclass(slots=True)
class Outcome:
    """One build: how it ended, and what lies there after it."""

    code: int
    said: tuple[str, ...]  # problems, or the warnings of a build that went well
    seen: dict[str, str] = field(default_factory=dict)
    base: str = ""  # the path that what is seen is below


def open_pipeline(source: Path, target: str, *, serve: bool) -> Pipeline:
    if serve:
        return preview(load_config(_flags(source, target, ".builder-cache/serve"), {}), jobs=1)
    return Pipeline(load_config(_flags(source, target, "_site"), {}), How(jobs=1))


def _flags(source: Path, target: str, destination: str) -> Flags:
    return Flags(source=str(source), target=target, destination=str(source / destination))


def build(source: Path, target: str, pipeline: Pipeline | None = None,
          touched: frozenset[str] | None = None, *, serve: bool = False,
          base: str = "") -> Outcome:  # fmt: skip
    """Build and return the outcome; of a preview also its answers at every address.

    `base` is where the last good build was: one that fails changes no address.
    """
    try:
        if pipeline is None:
            pipeline = open_pipeline(source, target, serve=serve)
        report = pipeline.build(touched)
    except BuilderError as error:
        said = error.problems if isinstance(error, ContentError) else (error,)
        where = str(source)
        texts = tuple(str(item).replace(where, "REGISTRY") for item in said)
        found = seen(source, pipeline if serve else None, base)
        return Outcome(error.exit_code, texts, found, base)
    warnings, base = tuple(map(str, report.warnings)), pipeline.config.address.baseurl
    return Outcome(0, warnings, seen(source, pipeline if serve else None, base), base)


def seen(source: Path, pipeline: Pipeline | None, base: str) -> dict[str, str]:
    """Return all that anybody can see: the answers of a preview, else all files."""
    return tree(source) if pipeline is None else answers(pipeline, base)


def answers(pipeline: Pipeline, base: str) -> dict[str, str]:
    """Return what the preview answers below `base` at every published path and folder."""
    capable = pipeline.config.pages.capabilities
    found = {}
    with closing(pipeline.site()) as site:
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


def anew(source: Path, elsewhere: Path, target: str, *, serve: bool,
         cached: bool = False) -> Outcome:  # fmt: skip
    """Build the same files for the first time in another folder; with caches if `cached`."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    left = {source / ".builder-cache" / "records"} if cached else {source / ".builder-cache"}
    shutil.copytree(source, elsewhere, symlinks=True, ignore=lambda folder, names: [
        name for name in names if Path(folder, name) in left
        or (folder == str(source) and name.startswith("_site"))
    ])  # fmt: skip
    return build(elsewhere, target, serve=serve)


def differences(got: Outcome, wanted: Outcome, before: dict[str, str]) -> Iterator[str]:
    """Yield in what a build differs from a first one; a failed one must leave all as it was."""
    if (got.code, got.said) != (wanted.code, wanted.said):
        yield f"exit {got.code}, a clean build {wanted.code}"
        yield from (f"only here: {item}" for item in got.said if item not in wanted.said)
        yield from (f"only clean: {item}" for item in wanted.said if item not in got.said)
    want = wanted.seen if wanted.code == 0 else before
    for path in sorted(got.seen.keys() | want.keys()):
        if got.seen.get(path) != want.get(path):
            kind = "too many" if path in got.seen else "missing"
            yield f"{path}: {'differs' if path in got.seen and path in want else kind}"


def warm() -> None:
    """Read what every worker would read for itself, once for all."""
    for engine in ENGINES:
        MarkdownRenderer(engine).render("`x`\n", path="x", first_line=1)
