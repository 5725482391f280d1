"""Reading the README of a folder: a collection's, a namespace's or a tag's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from builder import frontmatter
from builder.errors import ContentError
from builder.frontmatter import FrontMatter
from builder.registry.scan import readme_of
from builder.storage.local import open_regular

_MAX_README = 1 << 20


def read_readme(folder: Path, origin: str, names: Iterable[str]) -> FrontMatter:
    """Return the README among the files `names` of a folder, or an empty text without a path.

    Raises ContentError for one that is too large, empty, or no front matter and text.
    """
    file = readme_of(names)
    if not file:
        return FrontMatter("", {}, "")
    label = f"{origin}/{file}"
    with open_regular(folder / file, label) as stream:
        raw = stream.read(_MAX_README + 1)
    if len(raw) > _MAX_README:
        raise ContentError.at(label, f"is too large: the limit is {_MAX_README} bytes")
    if not raw.strip():
        hint = "write a title and a description, or remove the file"
        raise ContentError.at(label, "is empty", hint)
    return frontmatter.parse(raw, label)
