"""Where each file of a registry is published: the one map that all links and pictures go by.

A link is written for whoever reads the file where it lies, on GitHub say: it
names a file, or a folder, of the repository. Here that becomes the address of
the page that is made of it; an address of the site, which only works there,
is taken too. What is asked of other places than the page's own folder is kept
with the page, so that a page whose answers have changed is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from builder.errors import Problem
from builder.registry.scan import readme_of

SAFE_PATH = "/!$&'()*+,;=:@-._~"
# What a build or a tool leaves in a registry's folder, and no repository holds.
_NOT_COMMITTED = frozenset({".git", ".builder-cache", "_blobs", "_site", ".venv", "node_modules"})
# Of a collection or a namespace: what endpoints and lists publish below its page.
_MARKDOWN = (".md", ".markdown")
_ENDPOINTS = frozenset(
    {"tags", "manifests", "blobs", "page", "index.json", "feed.xml", "badge.svg"}
)
_DEEPEST = 2  # manifests/latest


class Answer(NamedTuple):
    """What was asked, a source path and an address, and where it is published.

    `where` is empty for what is nowhere; then `why` says so in a message.
    """

    path: str | None
    address: str
    where: str
    why: str = ""

    @property
    def on_disk(self) -> bool:
        """Whether it can change although nothing that is published does."""
        return bool(self.path) and not self.where.startswith("/")


class Anchors(NamedTuple):
    """Where links can lead in the text at `address`, and which of other texts it leads to.

    `links` are lines of the file `path`, addresses and ids.
    """

    path: str
    address: str
    ids: tuple[str, ...]
    links: tuple[tuple[int, str, str], ...] = ()

    @classmethod
    def of(cls, value: list[Any]) -> Anchors:
        """Return what JSON has kept."""
        path, address, ids, links = value
        return cls(path, address, tuple(ids), tuple((line, to, name) for line, to, name in links))


NO_ANCHORS = Anchors("", "", ())


def dead_anchors(texts: Iterable[Anchors]) -> Iterator[Problem]:
    """Yield a warning for each link to a heading that the text of another page does not have."""
    texts = tuple(texts)
    known = {text.address: text.ids for text in texts}
    for text in texts:
        for line, address, name in text.links:
            if name not in known.get(address, (name,)):
                message = f"the link to '#{name}' leads to no heading of {address}"
                yield Problem(text.path, line, message, warning=True)


@dataclass(frozen=True)
class Addresses:
    """Every source path that is published; addresses begin with `/` and have no baseurl.

    `files` leads from the site's own documents, static files and assets to
    their addresses; `collections` and `namespaces` (those with a README) are
    names, `pictures` paths below `folder` that theirs are, `apps` names of
    collections with unpacked apps; `others` are addresses that no source file
    stands behind, one that ends in `*` with all that is below it.
    """

    source: Path
    folder: str = "collections"
    files: Mapping[str, str] = field(default_factory=dict)
    collections: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    repository: str = ""
    branch: str = "main"

    def find(self, path: str | None, address: str) -> str:
        """Return where the source path `path` is published, else the address `address`.

        A file of the repository that is not published is where the forge
        shows it; what is nowhere is an empty text. None and the empty text
        stand for a path or an address outside of the registry.
        """
        if path is not None and (found := self.published(path)):
            return found
        if address and (found := self._known(address)):
            return found
        if path and self._is_committed(path):
            return forge_url(self.repository, self.branch, path, "view")
        return ""

    def answer(self, path: str | None, address: str) -> Answer:
        """Return what `find` finds, and why there is nothing where it finds nothing."""
        where = self.find(path, address)
        return Answer(path, address, where, "" if where else self._why_not(path))

    def hold(self, answers: Iterable[Answer]) -> bool:
        """Tell whether all answers are still what they were."""
        return all(self.answer(item.path, item.address) == item for item in answers)

    def _why_not(self, path: str | None) -> str:
        if path and self._is_committed(path):
            return "leads to a file that is not published; its view on a forge needs 'repository'"
        return "leads to nothing that is published"

    def is_text(self, address: str) -> bool:
        """Tell whether the ids of a page's text have a prefix: that of rendered Markdown."""
        return address in self._texts or self._owner(address.strip("/"))[0] != ""

    def published(self, path: str) -> str:
        """Return the address of a source file or folder, or an empty text."""
        if path in self.files:
            return self.files[path]
        if f"{path}/".startswith(f"{self.folder}/"):
            return self._in_collections(path[len(self.folder) + 1 :])
        return self._indexes.get(path, "")

    @cached_property
    def _indexes(self) -> dict[str, str]:
        """The folders whose page one of the documents is."""
        found = {"": "/"}
        for source, address in self.files.items():
            folder, _, name = source.rpartition("/")
            if name.lower().startswith(("index.", "readme.")) and address.endswith("/"):
                found[folder] = address
        return found

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(
            address for source, address in self.files.items() if source.lower().endswith(_MARKDOWN)
        )

    @cached_property
    def _addresses(self) -> frozenset[str]:
        folders = (f"/{name}/" for name in self._folders)
        return frozenset(("/", *self.files.values(), *folders, *self.others))

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Every folder of the content that has a page, a README or not."""
        above = (name.split("/")[:count] for name in self.collections
                 for count in range(1, name.count("/") + 1))  # fmt: skip
        return self.collections | self.namespaces | frozenset(map("/".join, above))

    def _in_collections(self, inner: str) -> str:
        if not inner:
            return "/browse/"
        if inner in self._folders:
            return f"/{inner}/"
        name, rest = self._owner(inner)
        if not name:
            return ""
        if len(rest) == 1 and (readme_of(rest) or rest[0] == "manifests"):
            return f"/{name}/"
        if rest[0] == "manifests" and name in self.collections:
            return self._of_tag(name, rest[1], rest[2:])
        return f"/{inner}" if inner in self.pictures else ""

    def _of_tag(self, name: str, tag: str, rest: list[str]) -> str:
        """Return the page of a tag for its folder or README, its JSON for its manifest."""
        if not (self.source / self.folder / name / "manifests" / tag).is_dir():
            return ""
        if not rest or (len(rest) == 1 and readme_of(rest)):
            return f"/{name}/tags/{tag}/"
        return f"/{name}/manifests/{tag}/" if rest == ["manifest.json"] else ""

    def _owner(self, inner: str) -> tuple[str, list[str]]:
        """Return the nearest collection or namespace at or above a path, and the rest of it."""
        parts = inner.split("/")
        for count in range(len(parts), 0, -1):
            name = "/".join(parts[:count])
            if name in self.collections or name in self.namespaces:
                return name, parts[count:]
        return "", parts

    def _known(self, address: str) -> str:
        """Return an address of the site as it is published, if it is."""
        for form in (address, f"{address}/", address.removesuffix("index.html")):
            if form in self._addresses:
                return form
        if any(other[-1] == "*" and address.startswith(other[:-1]) for other in self.others):
            return address
        name, rest = self._owner(address.strip("/"))
        if not name:
            return ""
        if rest[0] == "tags" and len(rest) > 1:
            page = self._of_tag(name, rest[1], []) or self._of_layout(name, rest[1])
            return address if page else ""
        if name in self.apps or (rest[0] in _ENDPOINTS and len(rest) <= _DEEPEST):
            return address
        return address if self._in_collections(address.strip("/")) == address else ""

    def _of_layout(self, name: str, tag: str) -> str:
        """Return the page that a collection which is an image layout may have for a tag."""
        is_layout = (self.source / self.folder / name / "oci-layout").is_file()
        return f"/{name}/tags/{tag}/" if is_layout else ""

    def _is_committed(self, path: str) -> bool:
        first = path.partition("/")[0]
        return first not in _NOT_COMMITTED and os.path.lexists(self.source / path)


_FORGES = {
    # host: what is between a repository's address and the branch
    "github.com": {"view": "blob", "edit": "edit"},
    "codeberg.org": {"view": "src/branch", "edit": "_edit"},
}
_GITLAB = {"view": "-/blob", "edit": "-/edit"}


def forge_url(repository: str, branch: str, path: str, action: str) -> str:
    """Return where `path` can be seen (`view`) or changed (`edit`), on a forge that is known."""
    if not repository or not path:
        return ""
    host = urlsplit(repository).hostname or ""
    middle = (_GITLAB if "gitlab" in host else _FORGES.get(host, {})).get(action)
    if middle is None:
        return ""
    return f"{repository.rstrip('/')}/{middle}/{quote(branch)}/{quote(path, safe=SAFE_PATH)}"
