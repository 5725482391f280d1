"""Texts that strangers write are read, or refused in words: the corpus, and what is near it.

A folder of `corpus` holds texts of one kind, sound ones and such as have done
harm somewhere. What is found to break a reader is put there, to be tried for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict, HTTPResponse

from builder.cli import run
from builder.errors import BuilderError
from builder.oci.digest import Digest
from builder.oci.reference import Reference
from builder.publish.release import read_release
from builder.pull_requests.owners import parse_owners
from builder.remote.auth import parse_challenges
from builder.remote.http import Answer, origin_of
from builder.remote.pages import next_link
from tests.conftest import write_tree

CORPUS = Path(__file__).parent / "corpus"
URL = "https://registry.example.org:5000/v2/a/tags/list"


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def builds(files: dict[str, bytes]) -> None:
    """Nothing is said but what is wrong with a file, and by the exit code for that."""
    with TemporaryDirectory() as folder:
        write_tree(Path(folder), {"_config.yml": "title: T\n", **files})
        assert run(["check", "-q", "-s", folder]) in (0, 1)


def as_front_matter(raw: bytes) -> None:
    builds({"collections/a/b/README.md": raw, "README.md": raw, "_posts/2024-05-01-x.md": raw})


def as_configuration(raw: bytes) -> None:
    builds({"_config.yml": raw, "collections/a/b/README.md": b"---\ntitle: B\n---\n"})


def as_reference(raw: bytes) -> None:
    found = Reference.parse(text_of(raw))
    assert Reference.parse(str(found)) == found


def as_digest(raw: bytes) -> None:
    found = Digest(text_of(raw))
    assert len(found.encoded) == {"sha256": 64, "sha512": 128}[found.algorithm]


def as_challenge(raw: bytes) -> None:
    for challenge in parse_challenges(text_of(raw)):
        assert challenge.scheme == challenge.scheme.lower()
        assert all(key == key.lower().strip() for key in challenge.parameters)


def as_link(raw: bytes) -> None:
    headers = HTTPHeaderDict({"Link": raw.decode("latin-1")})
    following = next_link(Answer(HTTPResponse(b"", headers, 200, preload_content=False), URL))
    assert not following or origin_of(following) == origin_of(URL)


def as_owners(raw: bytes) -> None:
    owners = parse_owners(text_of(raw), "OWNERS")
    for path in ("collections/a/b/README.md", "OWNERS", "ü/x y"):
        assert "" not in (owners.of(path) or ())


def as_release(raw: bytes) -> None:
    release = read_release(raw)
    assert release.generation > 0
    assert read_release(release.to_bytes()) == release


READERS: dict[str, Callable[[bytes], None]] = {
    "front-matter": as_front_matter,
    "config": as_configuration,
    "reference": as_reference,
    "digest": as_digest,
    "www-authenticate": as_challenge,
    "link": as_link,
    "codeowners": as_owners,
    "release": as_release,
}
WHOLE = (as_front_matter, as_configuration)  # a registry is checked for each: dear
SEEDS = {kind: sorted((CORPUS / kind).iterdir()) for kind in READERS}
PIECES = [
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80",
    b"\t", b" ", b'"', b"'", b"\\", b"---\n", b"...\n", b"&a [*a]", b"<<: *a", b"!!python/name:os ",
    b"!!timestamp ", b"!!set ", b"!!binary ", b"{", b"[" * 200, b"]", b"? ", b": ", b"#", b"%",
    b"9" * 400, b"-1", b"1e999", b".nan", b"0x", b"1:30:00", b"null", b"../", b"/", b"@", b":",
    b",", b";", b"=", b"<", b">", b"*", b"**", b"\xcc\x81", b"a" * 300, b"2024-13-45",
]  # fmt: skip


@st.composite
def near(draw: st.DrawFn, kind: str) -> bytes:
    """A text of the corpus with up to four places changed."""
    raw = draw(st.sampled_from(SEEDS[kind])).read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.sampled_from([0, 0, 1, 2, 8, 64])))
        raw = raw[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=3)) + raw[end:]
    return raw


def read(kind: str, raw: bytes) -> None:
    try:
        READERS[kind](raw)
    except BuilderError as error:
        refused = str(error).encode()
        assert refused


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind in READERS for path in SEEDS[kind]],
    ids=lambda value: value if isinstance(value, str) else value.name,
)  # fmt: skip
def test_every_text_of_the_corpus(kind: str, path: Path) -> None:
    read(kind, path.read_bytes())


@pytest.mark.parametrize("kind", READERS)
def test_what_is_near_it(kind: str) -> None:
    most = settings().max_examples

    @settings(max_examples=most // 6 if READERS[kind] in WHOLE else most)
    @given(near(kind))
    def tried(raw: bytes) -> None:
        read(kind, raw)

    tried()


def test_the_corpus_has_sound_texts() -> None:
    for kind, reader in READERS.items():
        reader((CORPUS / kind / "sound").read_bytes())
    assert json.loads((CORPUS / "release/sound").read_bytes())["payload"]
