"""Pull requests, good and hostile, judged against the branch that they are for."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from builder.config import Flags
from builder.errors import UsageError
from builder.pull_requests.base import open_base
from builder.pull_requests.judge import judge
from tests.conftest import write_tree
from tests.gitting import commit, git
from tests.images import INDEX, MANIFEST, Image
from tests.pull_requests.conftest import CONFIG, Judge, base_has, messages

GREETING = "collections/vanessa/greeting"
README = "---\ntitle: X\n---\n"


@pytest.mark.parametrize("add", [True, False], ids=["committed", "in the work tree"])
def test_a_new_tag_by_its_owner(repository: Path, judged: Judge, add: bool) -> None:  # noqa: FBT001
    image = Image.of("two")
    image.tag(repository / GREETING, "2.0")
    proposal = judged(add=add)
    assert messages(proposal) == []
    (tag,) = proposal.tags
    assert (tag.kind, tag.name, tag.tag, tag.new) == (
        "added",
        "vanessa/greeting",
        "2.0",
        image.digest,
    )
    assert tag.new_size == sum(
        item["size"]
        for item in (json.loads(image.manifest)["config"], *json.loads(image.manifest)["layers"])
    )


def test_a_moved_tag_is_shown_with_both_digests(repository: Path, judged: Judge) -> None:
    image = Image.of("moved")
    image.tag(repository / GREETING, "latest")
    (tag,) = judged().tags
    assert (tag.kind, tag.old, tag.new) == ("moved", Image.of("one").digest, image.digest)


def test_a_removed_tag(repository: Path, judged: Judge) -> None:
    os.unlink(repository / f"{GREETING}/manifests/latest/manifest.json")
    (tag,) = judged().tags
    assert (tag.kind, tag.new) == ("removed", "")


def link(repository: Path) -> None:
    (repository / f"{GREETING}/blobs/sha256/passwd").symlink_to("/etc/passwd")


def configuration(repository: Path) -> None:
    write_tree(repository, {"_config.yml": "title: T\n"})


def workflow(repository: Path) -> None:
    write_tree(repository, {".github/workflows/check.yml": "on: push\n"})


def theme(repository: Path) -> None:
    write_tree(repository, {"_layouts/page.html": "{{ site.title }}"})


def code(repository: Path) -> None:
    write_tree(repository, {"builder/__init__.py": "import this"})


def rights(repository: Path) -> None:
    write_tree(repository, {".github/CODEOWNERS": "* @vanessa\n"})


def more_rights(repository: Path) -> None:
    write_tree(repository, {"OWNERS": "* @vanessa\n"})


def attributes(repository: Path) -> None:
    write_tree(repository, {".gitattributes": "*.json filter=lfs\n"})


def inner_attributes(repository: Path) -> None:
    write_tree(repository, {f"{GREETING}/.GitAttributes": "*.json text\n"})


def pointer(repository: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"
    write_tree(repository, {f"{GREETING}/blobs/sha256/layer": text})


def huge(repository: Path) -> None:
    path = repository / f"{GREETING}/blobs/sha256/huge"
    path.write_bytes(b"")
    os.truncate(path, 17 << 20)


def executable(repository: Path) -> None:
    path = repository / f"{GREETING}/run"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def unseen(repository: Path) -> None:
    write_tree(repository, {f"{GREETING}/a\nb\x1b.txt": "x"})


def unreadable(repository: Path) -> None:
    write_tree(repository, {f"{GREETING}/a\u202etxt.exe": "x"})


def moved(repository: Path) -> None:
    Image.of("other").tag(repository / GREETING, "v1")


def gone(repository: Path) -> None:
    os.unlink(repository / f"{GREETING}/manifests/v1/manifest.json")


def rebuilt(repository: Path) -> None:
    write_tree(repository, {f"{GREETING}/manifests/v1/Containerfile": "FROM scratch\n"})


def foreign(repository: Path) -> None:
    write_tree(repository, {"collections/boss/tool/README.md": README})


HOSTILE: dict[Callable[[Path], None], str] = {
    link: "passwd: is a symbolic link",
    configuration: "_config.yml: is the registry's configuration; a proposal may only change files",
    workflow: "check.yml: is a workflow, which runs with the registry's rights; a proposal may",
    theme: "page.html: is part of the theme; a proposal may only change files in",
    code: "__init__.py: is part of the builder; a proposal may only change files in",
    rights: "CODEOWNERS: says who may change what; a proposal may only change files in",
    more_rights: "OWNERS: says who may change what; a proposal may only change files in",
    attributes: ".gitattributes: changes how git reads files; a proposal may only change files",
    inner_attributes: "git itself reads .GitAttributes",
    pointer: "layer: is a pointer of Git LFS",
    huge: "huge: is 17825792 bytes",
    executable: "run: is executable",
    unseen: "its name contains invisible",
    unreadable: "its name contains invisible",
    moved: "v1: the tag vanessa/greeting:v1 is immutable and would move from sha256:",
    gone: "v1: the tag vanessa/greeting:v1 is immutable and would go",
    rebuilt: "v1: the tag vanessa/greeting:v1 is immutable and would have another Containerfile",
    foreign: "boss/tool belongs to @boss, not to @vanessa",
}


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.__name__)
def test_a_hostile_proposal_has_one_clear_problem(
    repository: Path, judged: Judge, attack: Callable[[Path], None]
) -> None:
    attack(repository)
    proposal = judged()
    (message,) = messages(proposal)
    assert HOSTILE[attack] in message
    assert proposal.problems[0].hint


def test_names_like_others(repository: Path, judged: Judge) -> None:
    base_has(repository, {".github/CODEOWNERS": "* *\n"})
    write_tree(repository, {"collections/lab/x/README.md": README})
    assert messages(judged()) == []
    write_tree(repository, {"collections/vanessa/greetings/README.md": README})
    (problem,) = judged().problems
    assert problem.warning
    assert "'vanessa/greetings' is too similar to 'vanessa/greeting': it differs" in problem.message
    write_tree(repository, {"collections/vanesa/greeting/README.md": README})
    problem = judged().problems[0]
    assert not problem.warning
    assert "'vanesa/greeting' is too similar to 'vanessa'" in problem.message


def test_an_old_name_is_not_free(repository: Path, judged: Judge) -> None:
    config = f"{CONFIG}  redirects:\n    lab/old: vanessa/greeting\n"
    base_has(repository, {"_config.yml": config})
    write_tree(repository, {"collections/lab/old/README.md": README})
    (message,) = messages(judged())
    assert "the name 'lab/old' leads to 'vanessa/greeting'" in message


def test_the_owner_of_a_name_may_choose_one_that_is_like_another(
    repository: Path, judged: Judge
) -> None:
    write_tree(repository, {"collections/vanessa/greetings/README.md": README})
    assert messages(judged()) == []


def test_everybody_s_folder_is_open_and_nothing_else(repository: Path, judged: Judge) -> None:
    base_has(repository, {".github/CODEOWNERS": "* *\n"})
    write_tree(repository, {"collections/other/x/README.md": README})
    assert messages(judged("somebody")) == []
    configuration(repository)
    (message,) = messages(judged("somebody"))
    assert "_config.yml" in message


def test_the_owner_of_all_may_change_all(repository: Path, judged: Judge) -> None:
    configuration(repository)
    workflow(repository)
    assert messages(judged("boss")) == []


def test_an_author_without_a_name_owns_nothing(repository: Path, judged: Judge) -> None:
    Image.of("two").tag(repository / GREETING, "2.0")
    (message,) = messages(judged(""))
    assert "not to an author without a name (see --author)" in message


def test_without_owners_all_collections_are_open(repository: Path, judged: Judge) -> None:
    git(repository, "rm", "-q", ".github/CODEOWNERS")
    base_has(repository, {})
    Image.of("two").tag(repository / GREETING, "2.0")
    assert messages(judged("")) == []
    theme(repository)
    (message,) = messages(judged("boss"))
    assert "page.html: is part of the theme" in message


def test_a_submodule(repository: Path, judged: Judge) -> None:
    head = git(repository, "rev-parse", "HEAD").strip()
    entry = f"160000,{head},{GREETING}/sub"
    git(repository, "update-index", "--add", "--cacheinfo", entry)
    git(repository, "commit", "-qm", "a submodule")
    (message,) = messages(judged(add=False))
    assert "sub: is a submodule" in message


def test_a_link_that_a_checkout_wrote_as_a_file(repository: Path, judged: Judge) -> None:
    link(repository)
    commit(repository, "a link")
    git(repository, "config", "core.symlinks", "false")
    (repository / f"{GREETING}/blobs/sha256/passwd").unlink()
    git(repository, "checkout", "-q", "--", ".")
    (message,) = messages(judged(add=False))
    assert "passwd: is a symbolic link" in message


def test_too_many_files_are_one_problem(repository: Path, judged: Judge) -> None:
    write_tree(repository, {f"x{number}": "" for number in range(6)})
    (message,) = messages(judged(files=5))
    assert message == "collections: changes 6 files; the limit is 5"


def test_the_limit_of_a_file(repository: Path, judged: Judge) -> None:
    write_tree(repository, {f"{GREETING}/blobs/sha256/x": "y" * 9})
    base_has(repository, {"_config.yml": CONFIG + "  commit_below: 8\n"})
    write_tree(repository, {f"{GREETING}/blobs/sha256/z": "y" * 9})
    (message,) = messages(judged(file=1))
    assert "z: is 9 bytes; the limit of a file in git is 8" in message


def test_scripts_of_a_tag_may_be_executable(repository: Path, judged: Judge) -> None:
    for name in ("build.sh", "test.sh"):
        write_tree(repository, {f"{GREETING}/manifests/new/{name}": "#!/bin/sh\n"})
        (repository / f"{GREETING}/manifests/new/{name}").chmod(0o755)
    proposal = judged()
    assert messages(proposal) == []
    assert proposal.recipes == tuple(
        f"{GREETING}/manifests/new/{name}" for name in ("build.sh", "test.sh")
    )


def test_the_notes_of_an_immutable_tag_may_change(repository: Path, judged: Judge) -> None:
    write_tree(repository, {f"{GREETING}/manifests/v1/README.md": "---\nyanked: broken\n---\n"})
    assert messages(judged()) == []


def test_a_new_tag_that_fits_an_immutable_pattern(repository: Path, judged: Judge) -> None:
    write_tree(repository, {f"{GREETING}/manifests/v2/Containerfile": "FROM scratch\n"})
    Image.of("three").tag(repository / GREETING, "v3")
    assert messages(judged()) == []


def test_a_collection_that_says_it_is_immutable(repository: Path, judged: Judge) -> None:
    text = "---\ntitle: X\nimmutable: true\n---\n"
    base_has(repository, {f"{GREETING}/README.md": text})
    write_tree(repository, {f"{GREETING}/README.md": README})
    Image.of("other").tag(repository / GREETING, "latest")
    (message,) = messages(judged())
    assert "vanessa/greeting:latest is immutable" in message


def test_the_rules_are_those_of_the_branch_as_it_is_now(repository: Path, judged: Judge) -> None:
    Image.of("two").tag(repository / GREETING, "latest")
    commit(repository, "proposed")
    git(repository, "checkout", "-q", "main")
    write_tree(repository, {".github/CODEOWNERS": "* @boss\n", "_config.yml": "title: Other\n"})
    Image.of("three").tag(repository / GREETING, "latest")
    commit(repository, "meanwhile")
    git(repository, "checkout", "-q", "proposal")
    proposal = judged()
    (message,) = messages(proposal)
    assert "belongs to @boss" in message
    (tag,) = proposal.tags
    assert (tag.old, tag.new) == (Image.of("three").digest, Image.of("two").digest)


def test_what_others_did_meanwhile_is_not_held_against_it(repository: Path, judged: Judge) -> None:
    git(repository, "checkout", "-q", "main")
    theme(repository)
    Image.of("three").tag(repository / GREETING, "3.0")
    commit(repository, "meanwhile")
    git(repository, "checkout", "-q", "proposal")
    Image.of("two").tag(repository / GREETING, "2.0")
    proposal = judged()
    assert messages(proposal) == []
    assert [tag.tag for tag in proposal.tags] == ["2.0"]


def test_files_that_a_job_left_are_no_part_of_it(repository: Path, judged: Judge) -> None:
    write_tree(repository, {"summary.md": "x", "node/x.js": "x"})
    assert judged(add=False).files == 0


def test_manifests_in_front_matter_and_layouts_move_too(repository: Path, judged: Judge) -> None:
    base_has(repository, {f"{GREETING}/manifests/v0/README.md": legacy("1")})
    Image.of("a").layout(repository / "collections/vanessa/layout", "v1", "free")
    base_has(repository, {})
    write_tree(repository, {f"{GREETING}/manifests/v0/README.md": legacy("2")})
    Image.of("b").layout(repository / "collections/vanessa/layout", "v1", "free", "v2")
    proposal = judged()
    assert [(tag.name, tag.tag, tag.kind) for tag in proposal.tags] == [
        ("vanessa/greeting", "v0", "moved"),
        ("vanessa/layout", "free", "moved"),
        ("vanessa/layout", "v1", "moved"),
        ("vanessa/layout", "v2", "added"),
    ]
    assert [message.partition(" and")[0] for message in messages(proposal)] == [
        f"{GREETING}/manifests/v0: the tag vanessa/greeting:v0 is immutable",
        "collections/vanessa/layout/manifests/v1: the tag vanessa/layout:v1 is immutable",
    ]


def legacy(digit: str) -> str:
    digest = f"sha256:{digit * 64}"
    layer = f"  - digest: {digest}\n    size: 1\n    url: https://example.org/x.sif\n"
    return f"---\nlayout: manifests/singularity\nsize: 1\ndigest: {digest}\nlayers:\n{layer}---\n"


def test_an_index_is_as_large_as_its_images(repository: Path, judged: Judge) -> None:
    one, two = Image.of("one"), Image.of("two", architecture="arm64")
    Image.index(one, two).tag(repository / GREETING, "many")
    (tag,) = judged().tags
    sizes = [len(data) for data in (one.blobs | two.blobs).values()]
    assert tag.new_size == sum(sizes) + len(one.manifest) + len(two.manifest)


def test_a_branch_that_is_not_there(repository: Path) -> None:
    for name in ("nope", "--help", "-x"):
        with pytest.raises(UsageError, match="unknown git revision"):
            open_base(Flags(str(repository)), name)


def test_outside_of_git(registry: Path) -> None:
    with pytest.raises(UsageError, match="git repository"):
        open_base(Flags(str(registry)), "main")


def test_a_registry_below_the_repository_s_root(greeting: Path) -> None:
    top = greeting.parent
    write_tree(top, {"other.txt": "x", ".github/CODEOWNERS": "/registry/collections/ @x\n"})
    git(top, "init", "-q", "-b", "main")
    commit(top, "base")
    Image.of("two").tag(greeting / GREETING, "2.0")
    write_tree(top, {"other.txt": "y"})
    proposal = judge(open_base(Flags(str(greeting)), "main"), "x")
    assert [tag.tag for tag in proposal.tags] == ["2.0"]
    (message,) = messages(proposal)
    assert message.startswith("other.txt: ")


def decoy(text: str) -> str:
    """Return an image layout's index that nothing reads where there is no `oci-layout`."""
    entry = {"mediaType": MANIFEST, "digest": f"sha256:{'d' * 64}", "size": 1,
             "annotations": {"org.opencontainers.image.ref.name": text}}  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    return json.dumps(index)


@pytest.mark.parametrize("name", ["README.md", "readme.md"])
def test_a_file_that_nothing_reads_hides_no_move(
    repository: Path, judged: Judge, name: str
) -> None:
    folder = f"{GREETING}/manifests/v0"
    base_has(repository, {f"{folder}/{name}": legacy("1"), f"{folder}/index.json": decoy("v0")})
    write_tree(repository, {f"{folder}/{name}": legacy("2")})
    proposal = judged()
    (tag,) = proposal.tags
    assert (tag.tag, tag.kind, tag.old == tag.new) == ("v0", "moved", False)
    assert "the tag vanessa/greeting:v0 is immutable and would move" in messages(proposal)[0]


def test_a_marker_that_makes_an_index_count_shows_its_tags(repository: Path, judged: Judge) -> None:
    layout = repository / "collections/vanessa/layout"
    Image.of("a").layout(layout, "v1", "free")
    (layout / "oci-layout").rename(repository / "marker")
    base_has(repository, {"collections/vanessa/layout/README.md": "---\ntitle: T\n---\n"})
    (repository / "marker").rename(layout / "oci-layout")
    assert [(tag.tag, tag.kind) for tag in judged(author="boss").tags] == [
        ("free", "added"), ("v1", "added"),
    ]  # fmt: skip


def test_a_collection_is_immutable_by_whatever_readme_it_has(
    repository: Path, judged: Judge
) -> None:
    (repository / f"{GREETING}/README.md").unlink()
    base_has(repository, {f"{GREETING}/readme.md": "---\ntitle: T\nimmutable: true\n---\n"})
    Image.of("other").tag(repository / GREETING, "latest")
    assert "the tag vanessa/greeting:latest is immutable and would move" in messages(judged())[0]


def test_git_is_asked_no_more_often_for_many_tags(
    repository: Path, judged: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    run = subprocess.run

    def count_it(command: list[str], **more: Any) -> Any:
        asked.append(command[0])
        return run(command, **more)

    monkeypatch.setattr("builder.git.subprocess.run", count_it)
    calls = []
    for count in (1, 30):
        for number in range(count):
            Image.of(f"{count}-{number}").tag(repository / GREETING, f"t{count}-{number}")
        commit(repository, "proposed")
        asked.clear()
        assert judged(add=False).tags
        calls.append(len(asked))
    assert calls[0] == calls[1]


@pytest.mark.parametrize(
    ("there", "path", "what"),
    [
        ("notes/About.md", "notes/about.md", "are one file on systems that ignore case"),
        ("notes/About.md", "Notes/more.md", "are one file on systems that ignore case"),
        ("caf\u00e9.png", "cafe\u0301.png", "are one file on systems that ignore case"),
        ("x", "pack/HEAD", "is a git repository of its own"),
        ("x", "a/b/c.git/HEAD", "is a git repository of its own"),
    ],
)
def test_files_that_are_two_things_at_once(
    repository: Path, judged: Judge, there: str, path: str, what: str
) -> None:
    base_has(repository, {f"{GREETING}/{there}": "old"})
    write_tree(repository, {f"{GREETING}/{path}": "ref: refs/heads/main\n"})
    if path.endswith("HEAD"):
        inner = (repository / GREETING / path).parent
        write_tree(inner, {"config": "[core]\n fsmonitor = id\n", "objects/info/x": "",
                           "refs/heads/x": ""})  # fmt: skip
    found = [message for message in messages(judged()) if what in message]
    assert len(found) == 1, found


def test_all_that_check_says_is_said_of_a_proposal_too(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a path that a rule of the base refused."""
    broken = repository / f"{GREETING}/manifests/v1/manifest.json"
    broken.write_text("{}")
    broken.chmod(0o755)
    write_tree(repository, {"OWNERS": "* @vanessa\n", "collections/lab/x/manifests/1/y": "x"})

    def said(*flags: str) -> set[tuple[str, str]]:
        capsys.readouterr()
        assert run(["check", "--json", "-s", str(repository), *flags]) == 1
        found = json.loads(capsys.readouterr().out)
        problems = found["problems"] if isinstance(found, dict) else found
        return {(problem["path"], problem["message"]) for problem in problems}

    alone = said()
    assert len(alone) >= 2
    both = said("--base", "main", "--author", "vanessa")
    assert alone < both
    assert {"is executable", "is immutable"} <= {
        word for word in ("is executable", "is immutable") for _, text in both if word in text
    }
