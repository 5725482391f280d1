"""`add`, `tag`, `untag`, `rm` and `gc` as typed: exit codes, output, JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import read_tree
from tests.images import CONFIG, Image, as_json, descriptor, sha256

NAME = "vanessa/greeting"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _inside(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1717147800")
    Image.of("two").layout(Path("layout"), "1.0", "latest")


def said(capsys: Capture, *arguments: str) -> Any:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_add_says_where_layers_went(capsys: Capture) -> None:
    assert run(["add", "layout:1.0", NAME + ":2"]) == 0
    out = capsys.readouterr().out
    assert f"added {NAME}:2 {Image.of('two').digest}" in out
    assert "committed in the collection" in out
    Path("_config.yml").write_text("registry:\n  commit_below: 1\n")
    run(["add", "layout:1.0", "x/y:2"])
    out = capsys.readouterr().out
    assert "kept in _blobs, which is not committed" in out


@pytest.mark.parametrize(("target", "redirects"), [("nginx", True), ("s3", False)])
def test_only_hosts_that_redirect_are_told_of_other_storage(
    capsys: Capture, target: str, *, redirects: bool
) -> None:
    Path("_config.yml").write_text(f"registry:\n  commit_below: 1\n  target: {target}\n")
    assert run(["add", "layout:1.0", "x/y:2"]) == 0
    out = capsys.readouterr().out
    assert "raise registry.commit_below" in out
    assert ("registry.blobs" in out) == redirects
    shutil.rmtree("_blobs")
    assert run(["build", "-q"]) == 1
    err = capsys.readouterr().err
    assert "add the image again" in err
    assert ("registry.blobs" in err) == redirects


def test_add_writes_the_date_and_takes_latest_by_default() -> None:
    assert run(["add", "oci:layout:1.0", "x/y"]) == 0
    readme = Path("collections/x/y/manifests/latest/README.md").read_text()
    assert readme == "---\ncreated: 2024-05-31T09:30:00Z\n---\n"


def test_add_as_json(capsys: Capture) -> None:
    value = said(capsys, "add", "layout:latest", "x/y:1", "--dry-run")
    assert (value["dryRun"], value["changed"], value["tag"]) == (True, True, "1")
    assert value["layers"][0]["place"] == "collection"
    assert not Path("collections/x").exists()


def test_what_was_added_builds() -> None:
    assert run(["add", "layout:1.0", "x/y:1"]) == 0
    assert run(["build", "-q"]) == 0
    assert Path("_site/v2/x/y/manifests/1").read_bytes() == Image.of("two").manifest


def test_tag_untag_and_rm(capsys: Capture) -> None:
    assert said(capsys, "tag", f"{NAME}:latest", "1.0")["digest"] == Image.of("one").digest
    assert said(capsys, "tag", f"{NAME}:latest", f"{NAME}:1.1")["tag"] == "1.1"
    assert said(capsys, "untag", f"{NAME}:1.0")["pending"] is False
    assert run(["rm", f"{NAME}:latest"]) == 1
    assert "also tagged 1.1" in capsys.readouterr().err
    assert said(capsys, "rm", f"{NAME}:latest", "--force")["tags"] == ["1.1", "latest"]
    assert said(capsys, "gc")["deleted"] is False
    assert len(said(capsys, "gc", "--delete")["blobs"]) == 2
    assert said(capsys, "gc")["blobs"] == []
    assert said(capsys, "rm", NAME)["digest"] is None
    assert read_tree(Path("collections")) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("tag", f"{NAME}:latest", "x"),
        ("untag", f"{NAME}:latest"),
        ("rm", NAME),
        ("rm", f"{NAME}:latest"),
        ("gc", "--delete"),
        ("add", "layout:1.0", f"{NAME}:x"),
    ],
)
def test_dry_run_changes_nothing(arguments: tuple[str, ...]) -> None:
    Image.of("gone").store(Path("collections") / NAME)
    before = read_tree(Path("collections"))
    assert run([*arguments, "--dry-run"]) == 0
    assert read_tree(Path("collections")) == before


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("add", "layout:1.0", "a:b:c"), 2, "'b:c' is not a valid tag"),
        (("add", "layout:1.0", "a:"), 2, "empty"),
        (("add", "layout:1.0", "A:x"), 2, "lower-case"),
        (("add", "layout:1.0", "a@sha256:" + "0" * 64), 2, "NAME:TAG"),
        (("add", "layout:1.0", "a:x", "--platform", "x"), 2, "OS/ARCH"),
        (("add", "layout:2.0", "a:x"), 1, "2.0"),
        (("add", "./nope", "a:x"), 1, "./nope: does not exist"),
        (("add", "ftp://example.org/a", "a:x"), 2, "oci-archive:"),
        (("add", "layout"), 2, "NAME"),
        (("tag", NAME, "x"), 2, "NAME:OLD NEW"),
        (("tag", f"{NAME}:latest", ".x"), 2, "not a valid tag"),
        (("tag", f"{NAME}:latest", "other:x"), 2, "stays in its collection"),
        (("tag", f"{NAME}:nope", "x"), 1, "no manifest"),
        (("untag", NAME), 2, "NAME:TAG"),
        (("untag", f"{NAME}:nope"), 1, "its tags: latest"),
        (("rm", "vanessa/nope"), 1, "no such collection"),
        (("rm", "vanessa"), 1, "is a namespace"),
        (("mv", "vanessa", "other"), 1, "is a namespace"),
        (("tag", "vanessa:latest", "x"), 1, "is a namespace"),
        (("untag", "vanessa:latest"), 1, "is a namespace"),
        (("rm", f"{NAME}:nope"), 1, "no tag 'nope'"),
        (("rm", f"{NAME}@sha256:" + "0" * 64), 1, "no manifest"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], status: int, word: str, capsys: Capture) -> None:
    Path("collections/vanessa/README.md").write_text("The team\n")
    before = read_tree(Path("collections"))
    assert run(list(arguments)) == status
    assert word in capsys.readouterr().err
    assert read_tree(Path("collections")) == before


def test_all_tags_and_those_that_fit(capsys: Capture) -> None:
    found = said(capsys, "add", "--all-tags", "oci:layout", "x/all")
    assert [(item["name"], item["tag"]) for item in found] == [
        ("x/all", "1.0"),
        ("x/all", "latest"),
    ]
    found = said(capsys, "add", "--all-tags", "--tag-filter", "1.*", "oci:layout", "x/some")
    assert [item["tag"] for item in found] == ["1.0"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("oci:layout",), "SOURCE"),
        (("--all-tags", "oci:layout", "x/y:1"), "NAME alone"),
        (("--tag-filter", "1*", "oci:layout", "x/y"), "--all-tags"),
        (("oci:layout", "oci:layout", "x/y"), "one source"),
    ],
)
def test_add_flags_that_do_not_fit(capsys: Capture, arguments: tuple[str, ...], words: str) -> None:
    assert run(["add", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("part", ["config", "layers"])
def test_dry_run_finds_what_is_missing(part: str, capsys: Capture) -> None:
    manifest = json.loads(Image.of("two").manifest)
    lost = [manifest["config"], *manifest["layers"]][part == "layers"]["digest"]
    Path("layout/blobs", lost.replace(":", "/")).unlink()
    for flags in ((), ("--dry-run",)):
        assert run(["add", *flags, "oci:layout:1.0", "x/y:1"]) == 1
        assert f"{lost} (" in capsys.readouterr().err


def test_no_tag_fits(capsys: Capture) -> None:
    assert run(["add", "--all-tags", "--tag-filter", "9*", "oci:layout", "x/y"]) == 1
    assert "no tag that fits" in capsys.readouterr().err
    assert not Path("collections/x").exists()


def test_what_has_no_name_is_told_also_where_all_else_is_quiet(capsys: Capture) -> None:
    index = json.loads(Path("layout/index.json").read_bytes())
    image = Image.of("bare")
    Image(image.manifest, image.blobs | {image.digest: image.manifest}).store(Path("layout"))
    index["manifests"].insert(0, descriptor(image.media_type, image.manifest))
    Path("layout/index.json").write_text(json.dumps(index))
    assert run(["add", "-q", "--all-tags", "oci:layout", "x/y"]) == 0
    told = capsys.readouterr().err
    assert "layout: warning: images without a tag are left out: @0" in told
    assert run(["add", "-q", "--all-tags", "--tag-filter", "1.*", "oci:layout", "x/z"]) == 0
    assert capsys.readouterr().err == ""
    assert run(["add", "-q", "oci:layout:@0", "x/y:bare"]) == 0


def test_names_that_cannot_be_tags_keep_no_other_out(capsys: Capture) -> None:
    images = [Image.of(word) for word in "abcdef"]
    names = ["1.0", "2+x", "docker.io/library/app", f"a/b:4@sha256:{'0' * 64}", "a/x:5", "b/x:5"]
    key = "org.opencontainers.image.ref.name"
    entries = []
    for image, name in zip(images, names, strict=True):
        Image(b"", image.blobs | {image.digest: image.manifest}).store(Path("layout"))
        entries.append(descriptor(image.media_type, image.manifest, annotations={key: name}))
    Path("layout/index.json").write_bytes(as_json({"schemaVersion": 2, "manifests": entries}))
    assert run(["add", "--all-tags", "--json", "oci:layout", "x/y"]) == 1
    out, told = capsys.readouterr()
    came = {item["tag"]: item["digest"] for item in json.loads(out) if "digest" in item}
    assert came == {
        "1.0": images[0].digest, "latest": images[2].digest, "4": images[3].digest,
    }  # fmt: skip
    assert "'2+x' is not a valid tag" in told
    assert "a/x:5 and b/x:5 would all be the tag '5'" in told
    assert "3 tags came in, x/y:2+x, x/y:5 did not" in told
    assert run(["add", "-q", "oci:layout:4", "x/y:four"]) == 0


def test_one_bad_tag_does_not_keep_the_others_out(capsys: Capture) -> None:
    index = json.loads(Path("layout/index.json").read_bytes())
    gone = index["manifests"][0] | {"digest": "sha256:" + "0" * 64}
    gone["annotations"] = {"org.opencontainers.image.ref.name": "gone"}
    index["manifests"].append(gone)
    Path("layout/index.json").write_text(json.dumps(index))
    assert run(["add", "--all-tags", "oci:layout", "x/y"]) == 1
    assert "sha256:000000" in capsys.readouterr().err
    assert sorted(path.name for path in Path("collections/x/y/manifests").iterdir()) == [
        "1.0", "latest",
    ]  # fmt: skip


def test_when_it_was_published_and_when_it_was_built(capsys: Capture) -> None:
    image = Image.of("old")
    config = next(raw for raw in image.blobs.values() if raw[:1] == b"{")
    document = json.loads(config) | {"created": "2019-03-01T00:00:00Z"}
    manifest = json.loads(image.manifest)
    raw = as_json(document)
    manifest["config"] = descriptor(CONFIG, raw)
    Image(as_json(manifest), image.blobs | {sha256(raw): raw}).layout(Path("old"), "1")
    assert run(["add", "old", "x/y:1"]) == 0
    capsys.readouterr()
    value = said(capsys, "inspect", "x/y:1")
    assert value["created"] == "2024-05-31T09:30:00Z"
    assert value["built"].startswith("2019-03-01")
    assert run(["build", "-q"]) == 0
    page = Path("_site/x/y/tags/1/index.html").read_text()
    assert "Published <time" in page
    assert 'Built <time datetime="2019-03-01' in page
    Path("collections/x/y/manifests/1/README.md").unlink()
    assert said(capsys, "inspect", "x/y:1")["created"] is None
    assert run(["build", "-q"]) == 0
    page = Path("_site/x/y/tags/1/index.html").read_text()
    assert "Published <time" not in page
    assert "Built <time" in page


def test_inspect_speaks_to_people(capsys: Capture) -> None:
    labels = {"Labels": {"about": "\x1b[2Jgone"}, "Env": ["API_TOKEN=not-to-be-seen", "LANG=C"]}
    Image.of("text", config=labels).layout(Path("labelled"), "1")
    assert run(["add", "labelled", "x/y:1"]) == 0
    capsys.readouterr()
    assert run(["inspect", "x/y:1"]) == 0
    shown = capsys.readouterr().out
    for part in ("x/y:1", "linux/amd64", "COPY hello.txt /", "LANG", "2024-05-31"):
        assert part in shown
    assert "not-to-be-seen" not in shown
    assert "\x1b" not in shown
    assert run(["inspect", "x/y"]) == 0
    assert "x/y:1" in capsys.readouterr().out
