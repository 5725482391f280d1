"""The rule planner: what a host must be told to answer as the entries say, in the fewest rules.

Paths below `/v2/` come in a few kinds that are mostly alike: a pattern stands
for the usual type of a kind, a rule of its own for each exception. What a
rule looks like is the business of each target.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from builder.errors import ContentError, Problem
from builder.oci.digest import DIGEST_HEADER
from builder.output import FALLBACKS, Entry

DIGEST = "sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}"
# Well formed, of whatever algorithm; the two registered ones have a fixed length.
ANY_DIGEST = rf"(?:{DIGEST}|(?!sha256:|sha512:)[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+)"
# The pages' own policy: nothing from elsewhere, no script in a page. Layers may be read from
# where they are kept, which each page's own policy names.
POLICY = (
    "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
    "connect-src 'self' https:; base-uri 'none'; form-action 'self'"
)
# Content under its digest never changes; a name may point elsewhere a minute later.
# A host that compressed a body would lose its length, which clients need.
IMMUTABLE = "public, max-age=31536000, immutable, no-transform"
BRIEF = "public, max-age=60, no-transform"
# What every answer below /v2/ carries, whatever the path.
COMMON = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Docker-Content-Digest, Link, OCI-Filters-Applied",
}

# The kinds, each by what follows `/v2/NAME/`. A tag has no colon, a digest has one.
KINDS: Mapping[str, str] = {
    "tag": "manifests/[^/:]+",
    "manifest": f"manifests/(?:{DIGEST})",
    "blob": f"blobs/(?:{DIGEST})",
    "referrers": f"referrers/(?:{DIGEST})",
    "tags": "tags/list",
}
_BY_PLACE = {
    ("manifests", False): "tag",
    ("manifests", True): "manifest",
    ("blobs", True): "blob",
    ("referrers", True): "referrers",
}
_PREFIX = 24  # digits of a digest that tell it from every other
_PATTERN_LENGTH = 3000  # characters; hosts refuse sources of more than 4,096


def literal(text: str) -> str:
    """Return a pattern for `text` that every host's regular expressions take.

    Python's own escapes dashes too, which JavaScript refuses.
    """
    return re.sub(r"[\\.^$|?*+()\[\]{}]", r"\\\g<0>", text)


def kind_of(path: str) -> str:
    """Return the kind of a published path, or empty for what is of no kind."""
    match path.rsplit("/", 2):
        case (name, place, reference) if name.startswith("v2/"):
            if place == "tags":
                return "tags" if reference == "list" else ""
            return _BY_PLACE.get((place, ":" in reference), "")
    return ""


def cache_control(path: str) -> str:
    """Return how long the answer for a published path may be kept; empty: as the host likes."""
    if not path.startswith("v2/"):
        named = re.fullmatch(r"assets/.*\.[0-9a-f]{8,}\.[a-z0-9]+", path)
        return "public, max-age=31536000, immutable" if named else ""
    return IMMUTABLE if kind_of(path) in ("manifest", "blob") else BRIEF


@dataclass(slots=True)
class Plan:
    """All that rules are made of, gathered in one pass over the entries.

    `usual` is the media type of most paths of a kind, `odd` are the entries
    that have another; `names` are all manifests under a tag, whose digest no
    pattern can tell; `moved` and `moved_pages` are redirects below `/v2/` and
    elsewhere; `policies` are pages with a Content-Security-Policy of their
    own; `fallbacks` says for a folder which page answers for what is missing;
    `algorithms` are those of the digests in paths.
    """

    usual: dict[str, str] = field(default_factory=dict)
    odd: list[Entry] = field(default_factory=list)
    names: list[Entry] = field(default_factory=list)
    moved: list[Entry] = field(default_factory=list)
    moved_pages: list[Entry] = field(default_factory=list)
    policies: list[Entry] = field(default_factory=list)
    fallbacks: dict[str, str] = field(default_factory=dict)
    algorithms: set[str] = field(default_factory=set)


def plan(entries: Iterable[Entry]) -> Plan:
    """Sort entries into what each of them needs."""
    found = Plan()
    kinds: dict[str, dict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        kind = kind_of(entry.path)
        if entry.location:
            (found.moved if entry.path.startswith("v2/") else found.moved_pages).append(entry)
        elif kind:
            kinds[kind][entry.media_type].append(entry)
            found.algorithms.update(re.findall(r"/(sha256|sha512):", entry.path))
        elif not entry.path.startswith("v2/"):
            _read_page(found, entry)
    for kind, by_type in kinds.items():
        usual = min(by_type, key=lambda media_type: (-len(by_type[media_type]), media_type))
        found.usual[kind] = usual
        for media_type, alike in by_type.items():
            found.odd += alike if media_type != usual else ()
            found.names += alike if kind == "tag" else ()
    found.odd.sort(key=lambda entry: entry.path)
    found.names.sort(key=lambda entry: entry.path)
    return found


def _read_page(found: Plan, entry: Entry) -> None:
    folder, _, name = entry.path.rpartition("/")
    if folder and name in FALLBACKS:
        found.fallbacks[folder] = min(name, found.fallbacks.get(folder, name))
    if header(entry, "Content-Security-Policy") is not None:
        found.policies.append(entry)


def header(entry: Entry, name: str) -> str | None:
    """Return the value of one of an entry's headers, or None when it has none of that name."""
    return next((value for key, value in entry.headers if key.lower() == name.lower()), None)


def leads_to_own_blob(entry: Entry) -> bool:
    """Tell whether a page's redirect is the one that a pattern makes: to the blob below `/v2/`."""
    path = entry.path.removesuffix("/index.html")
    own = re.search(rf"/blobs/(?:{DIGEST})$", path) is not None
    return own and entry.location == f"/v2/{path}"


def joined(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield regular expressions that together match `entries`' paths and no others.

    Each is short enough for a rule of any host. Digests are told apart by
    their first 96 bits, in whatever repository they are.
    """
    digests: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        folder, _, reference = entry.path.rpartition("/")
        algorithm, colon, encoded = reference.partition(":")
        if colon:
            place = folder.rpartition("/")[2]
            digests[f"v2/.+/{place}/{algorithm}:"].add(encoded[:_PREFIX])
        else:
            names[literal(folder) + "/"].add(literal(reference))
    for stem, prefixes in sorted(digests.items()):
        for chunk in _chunks(sorted(prefixes)):
            yield f"{stem}(?:{'|'.join(chunk)})[a-f0-9]+"
    parts = [
        f"{stem}(?:{'|'.join(chunk)})"
        for stem, texts in sorted(names.items())
        for chunk in _chunks(sorted(texts))
    ]
    for chunk in _chunks(parts):
        yield chunk[0] if len(chunk) == 1 else f"(?:{'|'.join(chunk)})"


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    length = 0
    for text in texts:
        if chunk and length + len(text) > _PATTERN_LENGTH:
            yield chunk
            chunk, length = [], 0
        chunk.append(text)
        length += len(text) + 1
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a host that knows regular expressions; `pattern` has no leading slash."""

    pattern: str
    headers: Mapping[str, str]


def rules(found: Plan, limit: int) -> list[Rule]:
    """Return header rules for everything below `/v2/`, later ones over earlier ones.

    The digest headers of tags need a rule each: they are left out when that
    would pass `limit`, since clients can do without.
    """
    by_digest = f"v2/.+/(?:manifests|blobs)/(?:{DIGEST})"
    made = [
        Rule("v2/.*", {**COMMON, "Cache-Control": BRIEF}),
        Rule(by_digest, {"Cache-Control": IMMUTABLE}),
        Rule("v2/(?:_catalog)?", {"Content-Type": "application/json"}),
    ]
    for kind, usual in found.usual.items():
        made.append(Rule(f"v2/.+/{KINDS[kind]}", {"Content-Type": usual}))
    by_type: dict[str, list[Entry]] = defaultdict(list)
    for entry in found.odd:
        by_type[entry.media_type].append(entry)
    for media_type, entries in sorted(by_type.items()):
        made += (Rule(pattern, {"Content-Type": media_type}) for pattern in joined(entries))
    digests = [
        Rule(literal(entry.path), {DIGEST_HEADER: digest})
        for entry in found.names
        if (digest := header(entry, DIGEST_HEADER))
    ]
    return made + digests if len(made) + len(digests) <= limit else made


def stored_below(entry: Entry) -> str | None:
    """Return the address below which a moved blob is kept as `<algorithm>/<hex>`, if it is."""
    algorithm, _, encoded = entry.path.rpartition("/")[2].partition(":")
    end = f"/{algorithm}/{encoded}"
    return entry.location.removesuffix(end) if entry.location.endswith(end) else None


def check_left_out(found: Plan, parts: Collection[str], host: str) -> None:
    """Raise ContentError for repositories that a host's own program would not upload."""
    names = {entry.path.removeprefix("v2/").rpartition("/manifests/")[0] for entry in found.names}
    problems = [
        Problem(
            f"collections/{name}",
            message=f"{host} never gets what is called {part!r}",
            hint="give the collection another name, or serve /v2/ from elsewhere (registry.host)",
        )
        for name in sorted(names)
        for part in name.split("/")
        if part in parts
    ]
    if problems:
        raise ContentError(problems)


def check_count(count: int, limit: int, host: str, what: str) -> None:
    """Raise ContentError when a host would be given more rules than it takes."""
    if count > limit:
        raise ContentError.at(
            "_config.yml",
            f"{host} takes {limit:,} {what}, and this registry needs {count:,}",
            "serve /v2/ from a bucket or a server of your own (registry.host, and "
            "`builder publish --only v2`), or split the registry",
        )
