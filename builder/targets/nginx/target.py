"""nginx: two files to include, one of maps at `http{}` level, one of locations at `server{}`.

The maps say what the locations need to know of each path: its type, its
headers, where it has moved to. A pattern stands for the many that are alike,
an exact line for each exception. The text of the locations is in
`nginx_locations`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.digest import DIGEST_HEADER
from builder.oci.reference import is_referrers_tag
from builder.output import FALLBACKS, Entry, Output
from builder.registry.places import TAGS
from builder.targets.base import SERVER, Address, FileHost, SideFile, adapt
from builder.targets.nginx.lists import list_maps
from builder.targets.nginx.locations import server_config
from builder.targets.nginx.maps import Map, http_config, media_type_text
from builder.targets.nginx.referrers import filter_map, filtered, type_of
from builder.targets.rules import DIGEST, KINDS, POLICY, kind_of

# What the locations set themselves, for all paths alike.
_SET_BY_LOCATION = frozenset(
    {
        "access-control-allow-origin",
        "access-control-expose-headers",
        "cache-control",
        "content-type",
        "docker-distribution-api-version",
        "x-content-type-options",
    }
)

_CLASSES = {kind: f"^/v2/.+/{pattern}$" for kind, pattern in KINDS.items()} | {
    "referrers": f"^/v2/.+/referrers/(?:by-type/.+/)?(?:{DIGEST})$",
    "tags": f"^/v2/.+/(?:{KINDS['tags']}|{TAGS})$",
}
_BY_DIGEST = {"manifest", "blob"}
_FOLDED_DIGEST = DIGEST_HEADER.lower()
_POLICY_HEADER = "content-security-policy"

_TOKEN = re.compile(r"[A-Za-z0-9-]+")
_EXTENSION = re.compile(r".*\.([A-Za-z0-9]+)")
_BLOB = re.compile(rf"(.+)/blobs/({DIGEST})")

_NOTE = "Include http.conf inside http{} and server.conf inside server{}; reload after each build."


@dataclass(slots=True)
class _Plan:
    """All that the rules are made of, gathered in one pass over the entries."""

    types: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    odd: list[Entry] = field(default_factory=list)
    headers: dict[str, list[tuple[Entry, str]]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, str] = field(default_factory=dict)
    moved: list[Entry] = field(default_factory=list)
    fallbacks: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lists: list[Entry] = field(default_factory=list)
    tags: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    filters: set[str] = field(default_factory=set)
    copies: list[Entry] = field(default_factory=list)

    def read(self, entry: Entry) -> None:
        """Sort one entry into what it needs."""
        kind = _kind(entry.path)
        if entry.location:
            self.moved.append(entry)
        elif kind:
            self.types[kind].append(entry)
        elif entry.path.startswith("v2/"):
            self.odd.append(entry)
        elif found := _EXTENSION.fullmatch(entry.path.rpartition("/")[2]):
            bare = entry.media_type.partition(";")[0].strip()
            self.extensions[found[1].lower()].add(bare)
        self._read_queries(kind, entry)
        folder, _, name = entry.path.rpartition("/")
        if folder and name in FALLBACKS and not entry.path.startswith("v2/"):
            self.fallbacks[folder] = min(name, self.fallbacks.get(folder, name))
        given = {name.lower(): (name, value) for name, value in entry.headers}
        if kind in _BY_DIGEST:
            given.setdefault(_FOLDED_DIGEST, (DIGEST_HEADER, ""))
            if entry.path.endswith(f"/{given[_FOLDED_DIGEST][1]}"):
                del given[_FOLDED_DIGEST]  # a pattern finds it in the path
        for folded, (name, value) in given.items():
            if folded not in _SET_BY_LOCATION:
                self.names.setdefault(folded, name)
                self.headers[folded].append((entry, value))

    def _read_queries(self, kind: str, entry: Entry) -> None:
        """Keep what can be asked for by a query: pages of lists, referrers of one type."""
        folder, _, name = entry.path.rpartition("/")
        if (kind, name) == ("tags", "list") or entry.path == "v2/_catalog":
            self.lists.append(entry)
        elif kind == "tag" and not is_referrers_tag(name):
            if entry.copy_of:
                self.copies.append(entry)
            self.tags[folder.removesuffix("/manifests")].append(name)
        elif kind == "referrers" and (artifact_type := type_of(entry.path)):
            self.filters.add(artifact_type)


def _kind(path: str) -> str:
    if not path.startswith("v2/"):
        return ""
    if path.endswith(f"/{TAGS}"):
        return "tags"
    return "referrers" if "/by-type/" in path and type_of(path) else kind_of(path)


def _type_map(plan: _Plan) -> Map:
    found = Map("registry_type")
    for kind, pattern in _CLASSES.items():
        counts = Counter(entry.media_type for entry in plan.types[kind])
        usual = min(counts, key=lambda media_type: (-counts[media_type], media_type), default="")
        for entry in plan.types[kind]:
            if entry.media_type != usual:
                found.add(entry, f"/{entry.path}", entry.media_type)
        if usual:
            found.patterns.append((pattern, media_type_text(usual, kind)))
    for entry in plan.odd:
        found.add(entry, f"/{entry.path}", entry.media_type)
    return found


def _tag_map(plan: _Plan) -> Map:
    """Return the map from a tag's path to the tag as it is written, and the digest it is on."""
    found = Map("registry_tag")
    for entry in plan.copies:
        tag, digest = (path.rpartition("/")[2] for path in (entry.path, entry.copy_of))
        found.add(entry, f"/{entry.path}", f"{tag} {digest}")
    return found


def _header_maps(plan: _Plan) -> Iterator[tuple[str, Map]]:
    names = {
        **plan.names,
        _FOLDED_DIGEST: DIGEST_HEADER,
        _POLICY_HEADER: "Content-Security-Policy",
    }
    for folded, name in sorted(names.items()):
        if _TOKEN.fullmatch(name) is None:
            where = plan.headers[folded][0][0].path
            raise ContentError.at(where, f"{name!r} is not a header's name")
        found = Map("registry_" + folded.replace("-", "_"))
        if folded == _FOLDED_DIGEST:
            pattern = f"^/v2/.+/(?:manifests|blobs)/(?<registry_found>{DIGEST})$"
            found.patterns.append((pattern, "$registry_found"))
        if folded == _POLICY_HEADER:
            found.patterns.append((r"\.html$", POLICY))
        for entry, value in plan.headers[folded]:
            found.add(entry, f"/{entry.path}", value)
        yield name, found


def _moved_maps(plan: _Plan, base: str) -> Iterator[Map]:
    stem = Map("registry_stem")
    below = f"(?:{re.escape(base)})?" if base else ""
    folder = rf"^{below}(?<registry_folder>.*?)(?:/index\.html|/)?$"
    stem.patterns.append((folder, "$registry_folder"))
    pages = Map("registry_moved", "$registry_stem")
    content = Map("registry_elsewhere")
    own = False
    for entry in plan.moved:
        path = entry.path.removesuffix("/index.html")
        blob = _BLOB.fullmatch(path)
        if entry.path.startswith("v2/"):
            content.add(entry, f"/{entry.path}", _url(entry.location))
        elif blob and entry.location == f"/v2/{blob[1]}/blobs/{blob[2]}":
            own = True
        else:
            pages.add(entry, f"/{path}", _url(entry.location))
    if own:
        # Captures are decoded text: only the characters of a name may reach the header.
        pattern = f"^/(?<registry_of>[a-z0-9._/-]+)/blobs/(?<registry_blob>{DIGEST})$"
        pages.patterns.append((pattern, "/v2/$registry_of/blobs/$registry_blob"))
    yield from (stem, pages, content)


def _url(location: str) -> str:
    """Percent-encode what nginx would read as syntax; the rest stays as it was written."""
    return quote(location, safe="%/:?#[]@!&()*+,;=~'")


class Nginx(FileHost):
    """A server of one's own with rules made from the last entry to the first."""

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield the files that stand for `output`, and its parts where it lists referrers.

        See `base.adapt` and `nginx_referrers.filtered`.
        """
        yield from adapt(output, self.capabilities)
        if _kind(output.path) == "referrers":
            yield from filtered(output)

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `http.conf` and `server.conf`.

        Raises ContentError for a path, media type, header or baseurl that
        could be read as configuration.
        """
        plan = _Plan()
        for entry in entries:
            plan.read(entry)
        base = address.plain_base
        headers = dict(_header_maps(plan))
        maps = [_type_map(plan), _tag_map(plan), *headers.values(), *_moved_maps(plan, base)]
        maps += [*list_maps(plan.lists, plan.tags), filter_map(plan.filters)]
        yield SideFile("http.conf", http_config(maps).encode())
        names = {name: f"${found.variable}" for name, found in headers.items()}
        text = server_config(base, headers=names, types=_page_types(plan), fallbacks=plan.fallbacks)
        yield SideFile("server.conf", text.encode())


def _page_types(plan: _Plan) -> dict[str, str]:
    """Return a type for each file extension: the one it stands for, if any file has that."""
    found = {}
    for extension, types in sorted(plan.extensions.items()):
        meant = mediatype.of_file(f"x.{extension}")
        chosen = meant if meant in types else min(types)
        found[extension] = media_type_text(chosen, f"*.{extension}")
    return found


TARGET = Nginx(replace(SERVER, name="nginx", title="nginx", queries=True, notes=(_NOTE,)))
