"""Publishing to a folder: releases side by side, a pointer, and grace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.publish.release import read_release
from builder.publish.signing import PublicKey
from builder.registry.places import place_of
from tests.conftest import read_tree
from tests.images import Image, sha256
from tests.publish.conftest import Publish, complete

Move = Callable[[str], Image]


def reader(folder: Path) -> Callable[[str], bytes | None]:
    return lambda path: (folder / path).read_bytes() if (folder / path).is_file() else None


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "srv"


def test_the_current_release_is_the_built_site(
    publish: Publish, dest: Path, greeting: Path
) -> None:
    done = publish(dest, "-t", "nginx")
    assert (done["generation"], done["changed"]) == (1, True)
    built = read_tree(greeting / "_site")
    served = read_tree(dest / "current")
    answers = {place_of(path): data for path, data in served.items()}
    assert {path: data for path, data in answers.items() if path in built} == built
    assert {"v2/vanessa/greeting/tags/list"} == {path for path in served if "tags/list" in path}
    assert not [path for path in served if path.endswith("_tags")]
    more = served.keys() - built.keys()
    assert "release.json" in more
    made = ("release.json", "api/release/", "moves.json", "api/moves/")
    copies = {path for path in more if not path.startswith(made)}
    assert all("/manifests/" in path or "/blobs/" in path or "/tags/" in path for path in copies)
    assert {served[path] for path in copies} <= set(built.values())  # a release lists every answer
    assert os.readlink(dest / "current") == "releases/1"
    assert "server.conf" in os.listdir(dest / "current.nginx")
    assert f"{dest}/releases/1" in (dest / "current.nginx/http.conf").read_text()


def test_nothing_changed_makes_no_release(publish: Publish, dest: Path) -> None:
    publish(dest)
    again = publish(dest)
    assert (again["changed"], again["generation"], again["sent"]["files"]) == (False, 1, 0)
    assert sorted(os.listdir(dest / "releases")) == ["1", "1.entries"]


def test_another_host_or_version_gets_a_release(
    publish: Publish, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(dest, "-t", "nginx")
    assert publish(dest, "-t", "plain")["generation"] == 2
    monkeypatch.setattr("builder.publish.folder.code_key", lambda: "later")
    assert publish(dest, "-t", "plain")["generation"] == 3
    assert publish(dest, "-t", "plain")["changed"] is False


@pytest.mark.parametrize("file", ["1/release.json", "1.entries"])
@pytest.mark.parametrize("damage", [b"", b"[1,2]\n[1,2]\n", b"\xff\xfe\n", b"{\n", b"x\n{}\n"])
def test_a_damaged_release_is_told_and_what_the_hint_says_helps(
    publish: Publish, move: Move, dest: Path, file: str, damage: bytes
) -> None:
    publish(dest)
    move("two")
    path = dest / "releases" / file
    path.unlink()
    path.write_bytes(damage)
    made = publish(dest)
    if isinstance(made, tuple):  # a status, and what was said
        assert (made[0], str(path) in made[1]) == (1, True)
        assert "Traceback" not in made[1]
        (dest / "releases/1.entries").unlink()
        made = publish(dest)
    assert made["changed"] is True
    assert publish(dest)["changed"] is False


def test_releases_share_what_is_equal(publish: Publish, move: Move, dest: Path) -> None:
    publish(dest)
    move("two")
    done = publish(dest)
    assert done["generation"] == 2
    assert done["unchanged"] > done["sent"]["files"] / 2
    one, two = (dest / f"releases/{number}/robots.txt" for number in (1, 2))
    assert one.stat().st_ino == two.stat().st_ino
    kept = dest / f"blobs/sha256/{sha256(two.read_bytes())[7:]}"
    assert kept.stat().st_ino == two.stat().st_ino


def test_a_client_with_an_older_manifest_finds_its_blobs(
    publish: Publish, move: Move, dest: Path
) -> None:
    publish(dest, "-t", "nginx")
    old = complete(reader(dest / "current"))
    manifest = json.loads((dest / f"current/v2/vanessa/greeting/manifests/{old}").read_bytes())
    move("two")
    publish(dest, "-t", "nginx")
    new = complete(reader(dest / "current"))
    assert new != old
    for item in (manifest["config"], *manifest["layers"]):
        assert (dest / f"current/v2/vanessa/greeting/blobs/{item['digest']}").is_file()
    assert (dest / f"current/v2/vanessa/greeting/manifests/{old}").is_file()


def test_content_is_there_before_names_change(
    publish: Publish, greeting: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(dest, "-t", "nginx")
    index = Image.index(Image.of("two"), Image.of("three", architecture="arm64"))
    seen = []

    def reload(command: list[str]) -> None:
        assert command == ["nginx", "-s", "reload"]
        path = f"/v2/vanessa/greeting/manifests/{index.digest}"
        rules = (dest / "current.nginx/http.conf").read_text()
        seen.append(os.readlink(dest / "current"))
        assert (dest / f"current{path}").is_file()
        assert f'"{path}" "{index.media_type}"' in rules or index.media_type in rules
        assert f"{dest}/{seen[-1]}" in rules

    monkeypatch.setattr("builder.cli.publish._reload", reload)
    index.tag(greeting / "collections/vanessa/greeting", "latest")
    publish(dest, "-t", "nginx", "--reload", "nginx -s reload")
    assert seen == ["releases/1", "releases/2"]


def test_a_server_that_cannot_be_told(
    publish: Publish, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.cli.publish._SETTLING", 0)
    status, error = publish(dest, "--reload", "false now")
    assert status == 3
    assert "--reload false now: exit 1" in error
    assert publish(dest.with_name("b"), "--reload", "no-such-program")[0] == 3
    assert publish(dest.with_name("c"), "--reload", "true")["changed"]
    assert publish(dest, "--reload", "false")[0] == 3  # nothing changed, but nobody told it yet
    assert publish(dest, "--reload", "true")["changed"] is False


def test_what_stays_keeps_its_type(publish: Publish, greeting: Path, dest: Path) -> None:
    folder = greeting / "collections/vanessa/greeting"
    index = Image.index(Image.of("one"), Image.of("other"))
    index.tag(folder, "latest")
    publish(dest, "-t", "nginx")
    Image.of("two").tag(folder, "latest")
    publish(dest, "-t", "nginx")
    rules = (dest / "current.nginx/http.conf").read_text()
    assert f'"/v2/vanessa/greeting/manifests/{index.digest}" "{index.media_type}"' in rules


def test_pruning_keeps_the_last_releases(publish: Publish, move: Move, dest: Path) -> None:
    images = []
    for number in range(6):
        images.append(move(f"image {number}").digest)
        publish(dest, "--keep", "3", "--grace", "0")
    assert len(list((dest / "releases").glob("*.entries"))) == 6
    done = publish(dest, "--keep", "3", "--grace", "0", "--prune", "--dry-run")
    assert done["removed"] == ["releases/1", "releases/2", "releases/3"]
    assert (dest / "releases/1").is_dir()
    publish(dest, "--keep", "3", "--grace", "0", "--prune")
    assert sorted(path.stem for path in (dest / "releases").glob("*.entries")) == ["4", "5", "6"]
    assert sorted(path.name for path in (dest / "releases").iterdir() if path.is_dir()) == [
        "4", "5", "6",
    ]  # fmt: skip
    manifests = os.listdir(dest / "current/v2/vanessa/greeting/manifests")
    assert set(images[3:]) <= set(manifests)
    assert images[2] not in manifests
    held = {path.name for path in (dest / "blobs/sha256").iterdir()}
    trees = [read_tree(dest / f"releases/{number}") for number in (4, 5, 6)]
    assert {sha256(data)[7:] for tree in trees for data in tree.values()} == held


def test_content_stays_for_its_grace(publish: Publish, move: Move, dest: Path) -> None:
    first = move("image 0").digest
    publish(dest)
    for number in range(1, 4):
        move(f"image {number}")
        publish(dest, "--keep", "2", "--prune")
    assert (dest / f"current/v2/vanessa/greeting/manifests/{first}").is_file()
    for number in (1, 2, 3):
        os.utime(dest / f"releases/{number}.entries", (0, 0))
    move("last")
    done = publish(dest, "--keep", "2", "--prune")
    assert done["removed"] == ["releases/1", "releases/2"]
    assert not (dest / f"current/v2/vanessa/greeting/manifests/{first}").exists()


def test_what_a_killed_run_left_is_swept(publish: Publish, move: Move, dest: Path) -> None:
    publish(dest)
    move("two")
    (dest / "releases/.incoming-2/half").mkdir(parents=True)
    (dest / "releases/2").mkdir()
    (dest / "releases/2/half").write_text("half")
    (dest / "releases/2.nginx").mkdir()
    (dest / ".incoming-current").symlink_to("nowhere")
    (dest / "blobs/sha256/.incoming-1-a").write_text("half")
    (dest / ".builder-lock").write_text("999999")
    assert publish(dest)["generation"] == 2
    complete(reader(dest / "current"))
    assert not list(dest.rglob(".incoming-*"))
    assert not (dest / "releases/2/half").exists()
    assert not (dest / "releases/2.nginx").exists()


def test_halves_of_a_site(publish: Publish, dest: Path, tmp_path: Path) -> None:
    publish(dest, "--only", "v2")
    assert (dest / "current/v2").is_dir()
    assert not (dest / "current/index.html").exists()
    other = tmp_path / "pages"
    publish(other, "--only", "pages")
    assert (other / "current/index.html").is_file()
    assert not (other / "current/v2").exists()


def test_a_release_is_signed_once_there_is_a_key(
    publish: Publish, dest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(dest)
    assert run(["keygen", str(tmp_path / "key")]) == 0
    capsys.readouterr()
    assert run(["keygen", "--show", str(tmp_path / "key")]) == 0
    public = PublicKey.parse(
        capsys.readouterr().out.strip().splitlines()[-1].split("[")[-1].rstrip("]"), "key"
    )
    done = publish(dest, "--key", str(tmp_path / "key"))
    assert (done["generation"], done["changed"]) == (2, True)
    release = read_release((dest / "current/release.json").read_bytes(), [public])
    assert release.generation == 2
    assert publish(dest, "--key", str(tmp_path / "key"))["changed"] is False


def test_a_dry_run_touches_nothing(publish: Publish, move: Move, dest: Path) -> None:
    assert publish(dest, "--dry-run")["dryRun"]
    assert not dest.exists()
    publish(dest)
    before = sorted(map(str, dest.rglob("*")))
    move("two")
    planned = publish(dest, "--dry-run")
    assert sorted(map(str, dest.rglob("*"))) == before
    done = publish(dest)
    assert planned["stages"] == done["stages"]


def test_many_folders_are_made_durable_at_once(
    publish: Publish, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("builder.publish.releases.FEW_FOLDERS", 3)
    monkeypatch.setattr("builder.publish.releases.sync_disk", synced.append)
    publish(dest)
    assert synced == [dest / "releases/.incoming-1"]


def test_somebody_elses_folder_is_refused(publish: Publish, dest: Path) -> None:
    dest.mkdir()
    (dest / "precious").write_text("mine")
    status, error = publish(dest)
    assert status == 1
    assert "not made by 'builder publish'" in error
    assert os.listdir(dest) == ["precious"]
    file = dest / "precious"
    assert publish(file)[0] == 1


def test_no_build_needs_a_build(publish: Publish, greeting: Path, dest: Path) -> None:
    status, error = publish(dest, "--no-build")
    assert status == 1
    assert "builder build" in error
    assert run(["build", "-q", "-s", str(greeting)]) == 0
    assert publish(dest, "--no-build")["generation"] == 1
    page = greeting / "_site/robots.txt"
    page.write_text("changed by hand")
    status, error = publish(dest.with_name("other"), "--no-build")
    assert status == 1
    assert "robots.txt: is not what was built" in error
    page.unlink()
    status, error = publish(dest.with_name("third"), "--no-build")
    assert "robots.txt: is gone" in error
    assert not (dest.with_name("third") / "current").exists()


def test_one_publisher_at_a_time(publish: Publish, dest: Path) -> None:
    from builder.storage.lock import lock  # noqa: PLC0415

    publish(dest)
    with lock(dest / ".builder-lock", "it"):
        status, error = publish(dest)
    assert status == 5
    assert str(dest) in error


def test_large_files_are_not_copied(publish: Publish, greeting: Path, dest: Path) -> None:
    image = Image.of(os.urandom(1 << 21).hex())
    image.tag(greeting / "collections/vanessa/greeting", "big")
    publish(dest)
    big = max((dest / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    assert big.stat().st_nlink > 2
    built = greeting / "_site/v2/vanessa/greeting/blobs" / f"sha256:{big.name}"
    assert built.read_bytes() == big.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "builder publish /srv/registry"),
        (["netlify"], "netlify deploy --prod --no-build --dir "),
        (["github-pages"], "upload-pages-artifact"),
        (["s3"], "builder publish s3://BUCKET"),
    ],
)
def test_other_hosts_get_their_command(
    arguments: list[str], words: str, greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["publish", *arguments, "-s", str(greeting)]) == 0
    assert words in capsys.readouterr().out


def test_flags_that_make_no_sense(publish: Publish, dest: Path) -> None:
    assert publish(dest, "--endpoint", "http://127.0.0.1")[0] == 2
    assert publish(dest, "--keep", "1")[0] == 2
    assert publish("s3://bucket", "--reload", "true")[0] == 2
    assert publish("ftp://host/x", "-t", "plain")[0] == 2


@pytest.mark.parametrize(
    ("dest", "words"),
    [
        ("out", "lies in the registry's folder"),
        (".", "lies in the registry's folder"),
        ("collections/../out/deep", "lies in the registry's folder"),
        ("user@host:/srv/registry", "mount another machine's folder"),
        ("s3:/bucket", "a bucket is s3://BUCKET"),
        ("ngnix", "did you mean 'nginx'? A folder is ./ngnix"),
    ],
)
def test_a_slip_makes_no_folder(
    dest: str,
    words: str,
    greeting: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(greeting)
    before = read_tree(greeting)
    assert run(["publish", dest]) == 2
    assert words in capsys.readouterr().err
    assert read_tree(greeting) == before


def test_a_folder_may_have_a_name_like_a_slip(publish: Publish, tmp_path: Path) -> None:
    assert publish(tmp_path / "a:b")["generation"] == 1


@pytest.mark.parametrize("left", [(), (".incoming-marker",), (".incoming-marker", ".incoming-x")])
def test_a_first_run_that_was_killed_is_gone_on_with(
    left: tuple[str, ...], publish: Publish, dest: Path
) -> None:
    dest.mkdir()
    (dest / ".builder-lock").write_text("123")
    for name in left:
        (dest / name).write_text("half")
    assert publish(dest)["generation"] == 1
    assert not list(dest.glob(".incoming-*"))


def test_somebody_elses_folder_is_refused_whatever_else_is_in_it(
    publish: Publish, dest: Path
) -> None:
    dest.mkdir()
    (dest / ".builder-lock").write_text("123")
    (dest / "thesis.tex").write_text("years of work")
    status, said = publish(dest)
    assert (status, "was not made by" in said) == (1, True)


@pytest.mark.parametrize(
    "refused",
    [
        ("mkdir", ".incoming-2"),
        ("mkdir", ".incoming-2/v2/vanessa"),
        ("mkdir", "2.nginx"),
        ("rename", ".incoming-2"),
        ("replace", "-2.entries"),
    ],
)
def test_a_release_that_cannot_be_made_leaves_nothing(
    refused: tuple[str, str],
    publish: Publish,
    move: Move,
    dest: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call, part = refused
    publish(dest, "-t", "nginx")
    before = sorted(os.listdir(dest / "releases"))
    move("two")
    real = getattr(os, call)

    def refuse(path: str | Path, *rest: object, **more: object) -> object:
        if str(path).endswith(part):
            raise OSError(28, "No space left on device", str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, call, refuse)
    status, said = publish(dest, "-t", "nginx")
    assert (status, "publish again" in said) == (3, True)
    assert sorted(os.listdir(dest / "releases")) == before
    assert os.readlink(dest / "current") == "releases/1"
    monkeypatch.undo()
    assert publish(dest, "-t", "nginx")["generation"] == 2


@pytest.mark.parametrize("lost", ["", "releases/1.entries"])
def test_what_was_changed_in_place_is_put_right(
    lost: str, publish: Publish, dest: Path, greeting: Path
) -> None:
    """A disk that forgets, or an editor: by the next release, or by the last one made again."""
    publish(dest)
    layer = max(
        (dest / "current/v2/vanessa/greeting/blobs").iterdir(), key=lambda it: it.stat().st_size
    )
    for file in (layer, dest / "current/index.html"):
        with file.open("r+b") as stream:
            stream.write(b"other")
    assert run(["verify", "-q", str(dest)]) == 1
    if lost:
        (dest / lost).unlink()
    else:
        Image.of("two").tag(greeting / "collections/vanessa/greeting", "more")
    assert publish(dest)["sent"]["files"] > 0
    assert run(["verify", "-q", str(dest)]) == 0


def _hidden(dest: Path) -> list[str]:
    """Return what of the published folders a server's user could not read or enter."""
    paths = [dest, *(path for name in ("releases", "blobs") for path in (dest / name).rglob("*"))]
    bits = {path: 0o055 if path.is_dir() else 0o044 for path in paths}
    return [str(path) for path in paths if path.stat().st_mode & bits[path] != bits[path]]


@pytest.mark.parametrize("mask", [0o077, 0o027])
def test_a_server_reads_what_is_published_whatever_the_umask(
    publish: Publish, move: Move, dest: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        publish(dest, "-t", "nginx")
        move("two")
        publish(dest, "-t", "nginx")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert _hidden(dest) == []
    assert {path.stat().st_mode & 0o777 for path in dest.glob("blobs/sha256/*")} == {0o644}


def test_what_was_hidden_from_the_server_is_put_right(
    publish: Publish, move: Move, dest: Path
) -> None:
    publish(dest)
    (dest / "releases").chmod(0o700)
    for blob in dest.glob("blobs/sha256/*"):
        blob.chmod(0o600)
    move("two")
    publish(dest)
    served = [path for path in (dest / "current/").rglob("*") if path.is_file()]
    assert served
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in served)
    assert (dest / "releases").stat().st_mode & 0o777 == 0o755
