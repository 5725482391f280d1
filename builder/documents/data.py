"""`site.data`: the YAML, JSON, CSV and TSV files of `_data/`, by their names.

A folder is a mapping of what is in it: `_data/a/b.yml` is `site.data.a.b`.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from builder import frontmatter
from builder.documents.discover import DATA, SiteOptions, SourceFile, discover
from builder.errors import ContentError, LocalError, Problem
from builder.oci import strictjson

MAX_BYTES = 4 << 20


def load_data(options: SiteOptions, files: Iterable[SourceFile] | None = None) -> dict[str, Any]:
    """Return the content of `_data`, nested as its folders are.

    `files` are what `discover` returned, if that is at hand. Raises
    ContentError with the problems of all files, two files of one name among
    them.
    """
    result: dict[str, Any] = {}
    owners: dict[tuple[str, ...], str] = {}
    problems: list[Problem] = []
    for file in sorted(discover(options) if files is None else files):
        if file.kind != "data":
            continue
        try:
            _place(file.path, options.source, result, owners)
        except ContentError as error:
            problems.extend(error.problems)
    if problems:
        raise ContentError(problems)
    return result


def _place(
    path: str, source: Path, result: dict[str, Any], owners: dict[tuple[str, ...], str]
) -> None:
    stem, suffix = os.path.splitext(path)
    if suffix.lower() not in DATA:
        known = ", ".join(DATA)
        raise ContentError.at(path, f"is not data: {suffix or 'no suffix'}", f"use one of {known}")
    place = tuple(stem.split("/")[1:])
    for depth in range(1, len(place) + 1):
        # A file may not be where a folder of data is, nor the other way round.
        key = place[:depth]
        other = owners.setdefault(key, path if depth == len(place) else "")
        if other != (path if depth == len(place) else ""):
            name = ".".join(place)
            beside = other or "a folder of the same name"
            raise ContentError.at(path, f"is site.data.{name}, and so is {beside}", "rename one")
    folder = result
    for part in place[:-1]:
        folder = folder.setdefault(part, {})
    folder[place[-1]] = _READERS[suffix.lower()](_read(source / path, path), path)


def _read(file: Path, shown: str) -> bytes:
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise LocalError.of(error, f"{shown} cannot be read") from error
    if len(raw) > MAX_BYTES:
        raise ContentError.at(
            shown, f"is too large: the limit is {MAX_BYTES >> 20} MiB", "split it"
        )
    return raw


def _yaml(raw: bytes, path: str) -> Any:
    return frontmatter.load_yaml(frontmatter.decode(raw, path), path).value


def _json(raw: bytes, path: str) -> Any:
    try:
        return strictjson.loads(raw.removeprefix(codecs.BOM_UTF8), what="it")
    except strictjson.StrictJSONError as error:
        raise ContentError.at(path, error.message, error.hint) from None


def _table(delimiter: str) -> Callable[[bytes, str], list[dict[str, str]]]:
    def read(raw: bytes, path: str) -> list[dict[str, str]]:
        text = frontmatter.decode(raw, path)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            return list(_rows(reader, path))
        except csv.Error as error:
            line = reader.line_num
            raise ContentError.at(path, f"is not a table: {error}", line=line) from None

    return read


def _rows(reader: Any, path: str) -> Iterable[dict[str, str]]:
    header: list[str] = next(reader, [])
    if len(set(header)) != len(header):
        raise ContentError.at(path, "names a column twice", "rename one", line=1)
    for row in reader:
        if len(row) > len(header):
            message = f"has {len(row)} cells where the first line has {len(header)}"
            raise ContentError.at(
                path, message, "quote a cell that holds a comma", line=reader.line_num
            )
        if row:
            yield dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=True))


_READERS: dict[str, Callable[[bytes, str], Any]] = {
    ".yml": _yaml,
    ".yaml": _yaml,
    ".json": _json,
    ".csv": _table(","),
    ".tsv": _table("\t"),
}
