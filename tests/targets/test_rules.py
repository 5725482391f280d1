"""The rule planner, and what each target writes of its plan."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import ContentError, UsageError
from builder.output import Entry
from builder.targets import TARGETS, open_target
from builder.targets.base import Address, RootHost
from builder.targets.rules import cache_control, joined, kind_of, plan, rules

NPM = Path(__file__).parent.parent / "npm"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


def manifest(path: str, digest: str = ONE, media_type: str = MANIFEST) -> Entry:
    headers = (("Docker-Content-Digest", digest),)
    return Entry(f"v2/{path}", media_type, headers, digest, 7)


def blob(path: str, location: str = "") -> Entry:
    digest = path.rpartition("/")[2]
    return Entry(f"v2/{path}", "application/octet-stream", (), digest, 7, location)


SITE = [
    blob(f"a/b/blobs/{ONE}"),
    manifest("a/b/manifests/1.0"),
    manifest("a/b/manifests/latest", TWO, INDEX),
    manifest(f"a/b/manifests/{ONE}"),
    manifest(f"a/b/manifests/{TWO}", TWO, INDEX),
    Entry("v2/a/b/tags/list", "application/json", (), ONE, 7),
]


def side_files(target: str, entries: Iterable[Entry]) -> dict[str, str]:
    files = open_target(target).side_files(entries, Address())
    return {file.path: file.data.decode() for file in files}


@pytest.mark.parametrize("target", TARGETS)
def test_rules_are_made_from_nothing_but_what_decides_whether_they_are_made(target: str) -> None:
    entries = [*SITE, Entry("a/b/index.html", "text/html", (), TWO, 9, fingerprint="made so")]
    others = [
        replace(entry, digest="", size=7 if entry.path.startswith("v2/") else 1, fingerprint="")
        for entry in entries
    ]
    assert [entry.ruled for entry in entries] == [entry.ruled for entry in others]
    made = side_files(target, entries)
    assert made == side_files(target, others)
    one_more = Entry("a/page/index.html", "text/html", (), ONE, 5)
    assert one_more.ruled in {entry.ruled for entry in entries}
    assert made == side_files(target, [*entries, one_more])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("v2/a/b/manifests/1.0", "tag"),
        (f"v2/a/manifests/{ONE}", "manifest"),
        (f"v2/a/blobs/{ONE}", "blob"),
        ("v2/a/tags/list", "tags"),
        ("v2/a/tags/other", ""),
        (f"a/blobs/{ONE}/index.json", ""),
        ("v2/_catalog", ""),
    ],
)
def test_kinds(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_names_are_kept_a_minute_and_content_for_ever() -> None:
    assert "immutable" in cache_control(f"v2/a/blobs/{ONE}")
    assert "max-age=60," in cache_control("v2/a/manifests/latest")
    assert all("no-transform" in cache_control(entry.path) for entry in SITE)
    assert cache_control("a/index.html") == ""


def test_the_usual_is_a_pattern_and_the_rest_exceptions() -> None:
    many = [manifest(f"a/b/manifests/{number}") for number in range(20)]
    more = manifest(f"a/b/manifests/sha256:{'3' * 64}")
    found = plan([*SITE, *many, more])
    assert found.usual["tag"] == MANIFEST
    assert [entry.path.rpartition("/")[2] for entry in found.odd] == ["latest", TWO]


def matched(pattern: str, path: str) -> bool:
    return re.fullmatch(pattern, path) is not None


def test_joined_patterns_match_the_paths_and_no_others() -> None:
    entries = [manifest(f"a{number}/b.c/manifests/1.{number}") for number in range(400)]
    entries += [manifest(f"a/manifests/sha256:{number:064x}") for number in range(400)]
    patterns = list(joined(entries))
    assert len(patterns) < 20
    assert all(len(pattern) < 4096 for pattern in patterns)
    for entry in entries:
        assert any(matched(pattern, entry.path) for pattern in patterns)
    for path in ("v2/a1/b.c/manifests/1.2", "v2/a1/bxc/manifests/1.1", "v2/a1/b.c/manifests/1x1"):
        assert not any(matched(pattern, path) for pattern in patterns)


def answered(found: list[tuple[str, dict[str, str]]], path: str) -> dict[str, str]:
    """Return the headers for a path where later rules win."""
    headers: dict[str, str] = {}
    for pattern, said in found:
        if matched(pattern, path):
            headers |= said
    return headers


def test_rules_give_every_path_its_type_and_every_tag_its_digest() -> None:
    made = [(rule.pattern, dict(rule.headers)) for rule in rules(plan(SITE), 100)]
    for entry in SITE:
        headers = answered(made, entry.path)
        assert headers["Content-Type"] == entry.media_type
        assert headers["Cache-Control"] == cache_control(entry.path)
        if kind_of(entry.path) == "tag":
            assert headers["Docker-Content-Digest"] == entry.digest


def test_digests_of_tags_give_way_to_types() -> None:
    few = rules(plan(SITE), 10)
    assert not any("Docker-Content-Digest" in rule.headers for rule in few)
    headers = answered([(rule.pattern, dict(rule.headers)) for rule in few], SITE[2].path)
    assert headers["Content-Type"] == INDEX


def test_too_many_exceptions_say_the_count_the_limit_and_the_way_out() -> None:
    usual = [manifest(f"a/b/manifests/1.{number}") for number in range(200)]
    odd = [manifest(f"a/b/manifests/2.{number}", TWO, INDEX) for number in range(150)]
    with pytest.raises(ContentError, match=r"takes 100 header rules.* needs 15\d") as caught:
        side_files("cloudflare-pages", [*usual, *odd])
    assert "publish --only v2" in caught.value.problems[0].hint


def test_cloudflare_has_one_rule_a_path() -> None:
    text = side_files("cloudflare-pages", SITE)["_headers"]
    paths = [line for line in text.split("\n") if line.startswith("/")]
    assert len(paths) == len(set(paths))
    assert not any(re.search("sha256:[0-9a-f]", path) for path in paths)


def test_cloudflare_counts_redirects() -> None:
    moved = [blob(f"a/blobs/sha256:{n:064x}", f"https://x.example/{n}") for n in range(2001)]
    with pytest.raises(ContentError, match="takes 2,000 redirects"):
        side_files("cloudflare-pages", moved)


def test_netlify_never_says_a_header_twice_for_one_path() -> None:
    text = side_files("netlify", SITE)["_headers"]
    blocks = [block.split("\n") for block in re.split(r"\n(?=/)", text)]
    found = [
        (re.escape(path).replace(r"\*", ".*").replace(":part1", "[^/]+").replace(":part2", "[^/]+"),
         [line.strip().partition(":")[0] for line in lines if line])
        for path, *lines in blocks
    ]  # fmt: skip
    for entry in SITE:
        said = [name for path, names in found if matched(path, f"/{entry.path}") for name in names]
        assert len(said) == len(set(said))
        assert "Content-Type" in said


def test_netlify_redirects_by_pattern_where_all_blobs_are_in_one_place() -> None:
    moved = [
        blob(f"a/b/blobs/sha256:{n:064x}", f"https://x.example/s/sha256/{n:064x}") for n in range(9)
    ]
    lines = side_files("netlify", moved)["_redirects"].splitlines()
    assert [line for line in lines if "x.example" in line] == [
        "/v2/:part1/:part2/blobs/sha256\\::hex https://x.example/s/sha256/:hex 302"
    ]


def test_firebase_puts_many_blobs_into_one_redirect() -> None:
    moved = [
        blob(f"a/blobs/sha256:{n:064x}", f"https://x.example/s/sha256/{n:064x}") for n in range(50)
    ]
    hosting = json.loads(side_files("firebase", moved)["firebase.json"])["hosting"]
    rule = hosting["redirects"][-1]
    assert len(hosting["redirects"]) == 2  # the other keeps the build's marker away
    found = re.fullmatch(rule["regex"], "/" + moved[7].path)
    assert found is not None
    to = rule["destination"].replace(":1", found[1]).replace(":2", found[2])
    assert to == moved[7].location


@pytest.mark.parametrize(
    "name", [name for name, target in TARGETS.items() if isinstance(target, RootHost)]
)
def test_hosts_that_own_only_their_root_refuse_a_baseurl(name: str) -> None:
    with pytest.raises(UsageError, match="at the root of its host"):
        TARGETS[name].at(Address("https://example.org", "/registry"))


@pytest.mark.parametrize("name", ["apache", "caddy", "nginx"])
@pytest.mark.parametrize("base", ["/a b", "/a\nB", '/a"', "/../x", "no-slash", "/a;b", "/.hidden"])
def test_a_baseurl_that_could_be_configuration_is_refused(name: str, base: str) -> None:
    with pytest.raises(UsageError, match="is not a plain path"):
        list(TARGETS[name].side_files([], Address("https://example.org", base)))


@pytest.mark.parametrize(("name", "evil"), [("caddy", '1"}'), ("apache", 'a"\nB')])
def test_values_that_could_be_configuration_are_refused(name: str, evil: str) -> None:
    entry = blob(f"a/blobs/{ONE}", f"https://x.example/{evil}")
    with pytest.raises(ContentError, match="cannot be written"):
        side_files(name, [entry])


@pytest.mark.e2e
def test_vercel_reads_its_rules_as_they_are_meant(tmp_path: Path) -> None:
    """By the library that turns vercel.json into routes on Vercel itself."""
    moved = blob(f"a/b/blobs/{TWO}", "https://x.example/s/2?x=1")
    (tmp_path / "vercel.json").write_text(side_files("vercel", [*SITE, moved])["vercel.json"])
    script = (
        f"const {{getTransformedRoutes}} = require({json.dumps(str(NPM))} + "
        "'/node_modules/@vercel/routing-utils');"
        "const {headers, redirects} = require(process.argv[1]);"
        "console.log(JSON.stringify(getTransformedRoutes({headers, redirects})));"
    )
    node = shutil.which("node")
    assert node is not None
    command = [node, "-e", script, str(tmp_path / "vercel.json")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    document = json.loads(said)
    assert document["error"] is None
    routes = [(r["src"].replace("\\:", ":"), r) for r in document["routes"]]
    made = [(src, r["headers"]) for src, r in routes if r.get("continue")]
    for entry in SITE:
        assert answered(made, f"/{entry.path}")["Content-Type"] == entry.media_type
    sent = [r for src, r in routes if r.get("status") and matched(src, f"/{moved.path}")]
    assert [(r["status"], r["headers"]["Location"]) for r in sent] == [(307, moved.location)]


def test_cloudflare_counts_redirects_of_digests_that_begin_with_a_letter_apart() -> None:
    moved = [blob(f"a/blobs/sha256:{'a' * 61}{n:03}", f"https://x.example/{n}") for n in range(101)]
    again = [blob(f"b/blobs/sha256:{'a' * 61}{n:03}", f"https://x.example/{n}") for n in range(99)]
    with pytest.raises(ContentError, match=r"takes 100 redirects of digests.* needs 101"):
        side_files("cloudflare-pages", moved)
    text = side_files("cloudflare-pages", [*again, *moved[:99], blob(f"a/blobs/{ONE}", "/x")])
    lines = text["_redirects"].splitlines()
    assert len(lines) == 2 + 99
    assert lines[1] == f"/v2/a/blobs/{ONE} /x 307"  # of one path: before all patterns


@pytest.mark.parametrize("target", ["cloudflare-pages", "vercel"])
def test_what_a_host_s_program_leaves_out_is_a_problem(target: str) -> None:
    with pytest.raises(ContentError, match="never gets") as caught:
        side_files(target, [manifest("a/node_modules/manifests/1.0")])
    assert caught.value.problems[0].path == "collections/a/node_modules"
