"""`verify`: a published site as it should be, and every way in which it is not."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.schema1 import schema1_payload, signed
from builder.oci.validate import parse_manifest
from builder.publish.signing import SigningKey
from builder.remote.http import Http
from builder.remote.options import RemoteOptions
from builder.verify.findings import VerifyOptions
from builder.verify.places import FolderPlace
from builder.verify.site import Verifier
from tests.images import MANIFEST, Image, as_json, descriptor
from tests.verify.published import NAME, build, release, served

Capture = pytest.CaptureFixture[str]
KEY = SigningKey.make()
LAYER = json.loads(Image.of("one").manifest)["layers"][0]
V2 = f"v2/{NAME}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with its released site: an image, an index, and what refers to the image."""
    registry = tmp_path_factory.mktemp("template") / "registry"
    folder = registry / "collections" / NAME
    Image.of("one").tag(folder, "latest")
    Image.index(Image.of("amd"), Image.of("arm", architecture="arm64")).tag(folder, "many")
    subject = descriptor(MANIFEST, Image.of("one").manifest)
    referrer = Image.of("about one", subject=subject)
    Image(referrer.manifest, referrer.blobs | {referrer.digest: referrer.manifest}).store(folder)
    release(build(registry), key=KEY)
    return registry


@pytest.fixture
def registry(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it; the current folder is none of a registry."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(template, tmp_path / "registry"))


@pytest.fixture
def site(registry: Path) -> Path:
    """The released site of the copy."""
    return registry / "_site"


def verify(capsys: Capture, *arguments: str) -> tuple[int, Any, str]:
    """Return the exit code, the JSON and what was told."""
    code = run(["verify", "--json", *arguments])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def test_a_site_as_it_should_be(site: Path, capsys: Capture) -> None:
    key = ("--public-key", KEY.public.text)
    code, found, told = verify(capsys, str(site), *key, "--name", "https://example.org")
    assert (code, told) == (0, "")
    (only,) = found
    assert only["release"]["checkedBy"] == KEY.public.id
    assert (only["names"], only["manifests"], only["blobs"]) == (1, 5, 8)
    assert only["files"] > 20
    assert only["problems"] == []
    assert run(["verify", str(site)]) == 0
    assert "its signature was not checked: no key is known" in capsys.readouterr().out


def test_the_same_over_http_also_below_a_path(site: Path, capsys: Capture) -> None:
    with served(site) as url, served(site.parent) as above:
        for address in (url, f"{url}/", f"{above}/_site"):
            flags = ("--public-key", KEY.public.text, "--name", "https://example.org")
            code, found, told = verify(capsys, address, *flags)
            assert (code, told) == (0, "")
            assert found[0]["manifests"] == 5


def test_v2_may_be_at_the_root_of_the_host(site: Path, tmp_path: Path, capsys: Capture) -> None:
    """Pages below a path, `/v2/` where clients want it: as servers with rules have it."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "v2").symlink_to(site / "v2")
    pages = root / "registry"
    pages.mkdir()
    for path in site.iterdir():
        if path.name != "v2":
            (pages / path.name).symlink_to(path)
    with served(root) as url:
        code, found, told = verify(capsys, f"{url}/registry")
        assert (code, told) == (0, "")
        assert found[0]["manifests"] == 5


def append(path: str) -> Callable[[Path], object]:
    def edit(site: Path) -> None:
        data = (site / path).read_bytes()
        (site / path).write_bytes(data[:-1] + b"x")

    return edit


def remove(path: str) -> Callable[[Path], object]:
    return lambda site: (site / path).unlink()


def write(path: str, text: str) -> Callable[[Path], object]:
    return lambda site: (site / path).write_text(text)


def replace_by_link(site: Path) -> None:
    (site / "index.html").unlink()
    (site / "index.html").symlink_to("/etc/passwd")


LAYER_PATH = f"{V2}/blobs/{LAYER['digest']}"
MANIFEST_PATH = f"{V2}/manifests/{Image.of('one').digest}"
# What somebody did to the folder, where it is seen, and the words.
DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a page": (append("index.html"), "index.html", "has other content: expected sha256:"),
    "a layer": (append(LAYER_PATH), LAYER_PATH, "has other content"),
    "a longer layer": (write(LAYER_PATH, "x" * 999), LAYER_PATH, f"over {LAYER['size']} bytes"),
    "a shorter layer": (write(LAYER_PATH, "x"), LAYER_PATH, "found 1 bytes"),
    "a layer is gone": (remove(LAYER_PATH), LAYER_PATH, "is missing"),
    "a manifest": (append(MANIFEST_PATH), MANIFEST_PATH, "has other content"),
    "a manifest is gone": (remove(MANIFEST_PATH), MANIFEST_PATH, "is missing"),
    "a tag": (append(f"{V2}/manifests/latest"), f"{V2}/manifests/latest", "other content"),
    "a tag is gone": (remove(f"{V2}/manifests/many"), f"{V2}/manifests/many", "is missing"),
    "one file more": (write("evil.html", "x"), "evil.html", "is not part of the release"),
    "a link": (replace_by_link, "index.html", "symbolic link"),
    "another name's tags": (
        write(f"{V2}/tags/list", '{"name":"x/y","tags":[]}'), f"{V2}/tags/list", "another name",
    ),
    "a catalog that leaves": (
        write("v2/_catalog", '{"repositories":["../../etc"]}'), "v2/_catalog", "",
    ),
    "a tag that leaves": (
        write(f"{V2}/tags/list", f'{{"name":"{NAME}","tags":["../x"]}}'), f"{V2}/tags/list", "",
    ),
    "a catalog that is none": (write("v2/_catalog", "[]"), "v2/_catalog", "not a JSON object"),
    "twice the same key": (
        write("v2/_catalog", '{"repositories":[],"Repositories":[]}'), "v2/_catalog", "case",
    ),
    "no list of files": (
        lambda site: shutil.rmtree(site / "api/release"),
        "api/release/", "is missing",
    ),
    "another list of files": (
        lambda site: [path.write_text("[]") for path in (site / "api/release").iterdir()],
        "api/release/", "not the list that the release names",
    ),
    "no release": (remove("release.json"), "release.json", "is missing, although public keys"),
    "a release that is none": (write("release.json", "{}"), "release.json", "not a release"),
}  # fmt: skip


ON_A_DISK = {"one file more", "a link"}  # of which a server says nothing
FROM_AFAR = [name for name in DAMAGES if name not in ON_A_DISK]
SEEN = [*product(DAMAGES, [False]), *product(FROM_AFAR, [True])]


@pytest.mark.parametrize(("name", "far"), SEEN)
def test_damages_are_seen(name: str, site: Path, capsys: Capture, *, far: bool) -> None:
    damage, path, words = DAMAGES[name]
    damage(site)
    with served(site) as url:
        place = url if far else str(site)
        code, found, told = verify(capsys, place, "--public-key", KEY.public.text, "--name", "")
    assert code == 1
    assert any(item["path"].startswith(path) for item in found[0]["problems"])
    assert words in told
    assert "Traceback" not in told


WITHOUT_RELEASE = ("a layer", "a layer is gone", "a manifest", "a manifest is gone",
                   "a tag is gone", "another name's tags", "a catalog that leaves",
                   "a tag that leaves")  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_RELEASE)
@pytest.mark.parametrize("far", [False, True], ids=["folder", "url"])
def test_content_is_checked_without_a_release_too(
    name: str, site: Path, capsys: Capture, *, far: bool
) -> None:
    (site / "release.json").unlink()
    damage, path, _ = DAMAGES[name]
    damage(site)
    with served(site) as url:
        code, found, _ = verify(capsys, url if far else str(site))
    assert code == 1
    assert found[0]["problems"][0]["path"].startswith(path)


def test_content_of_earlier_releases_may_stay_but_not_lie(site: Path, capsys: Capture) -> None:
    old = site / V2 / "blobs" / Digest.of(b"of an earlier release")
    old.write_bytes(b"of an earlier release")
    assert verify(capsys, str(site))[0] == 0
    old.write_bytes(b"of nobody knows what")
    code, found, _ = verify(capsys, str(site))
    assert code == 1
    assert found[0]["problems"][0]["path"].endswith(old.name)


def test_schema_1_manifests_of_earlier_releases_may_stay(site: Path, capsys: Capture) -> None:
    payload = schema1_payload(NAME, "latest", *image_of(site))
    old = site / V2 / "manifests" / Digest.of(payload)
    old.write_bytes(signed(payload))
    assert verify(capsys, str(site))[0] == 0
    old.write_bytes(signed(payload.replace(b"latest", b"newest")))
    assert verify(capsys, str(site))[0] == 1


def test_the_layers_of_companion_tags_are_checked(site: Path, capsys: Capture) -> None:
    payload = schema1_payload(NAME, "latest.s1", *image_of(site))
    body = signed(payload)
    (site / V2 / "manifests" / Digest.of(payload)).write_bytes(body)
    tags = site / V2 / "tags/list"
    tags.write_text(json.dumps({"name": NAME, "tags": ["latest.s1"]}))
    (site / V2 / "manifests/latest.s1").write_bytes(body)
    (site / "release.json").unlink()
    code, found, _ = verify(capsys, str(site))
    assert (code, found[0]["blobs"]) == (0, 1)
    append(LAYER_PATH)(site)
    code, found, _ = verify(capsys, str(site))
    assert code == 1
    assert found[0]["problems"][0]["path"] == LAYER_PATH


def image_of(site: Path) -> tuple[Manifest, bytes]:
    manifest = parse_manifest(Image.of("one").manifest)
    assert manifest.config is not None
    return manifest, (site / V2 / "blobs" / manifest.config.digest).read_bytes()


def test_all_damages_are_told_at_once(site: Path, capsys: Capture) -> None:
    append("index.html")(site)
    append(LAYER_PATH)(site)
    write("evil.html", "x")(site)
    code, found, told = verify(capsys, str(site))
    assert code == 1
    assert {item["path"] for item in found[0]["problems"]} == {
        "index.html", LAYER_PATH, "evil.html",
    }  # fmt: skip
    assert "3 problems" in told


def test_what_refers_to_an_image_is_checked(site: Path, capsys: Capture) -> None:
    (site / "release.json").unlink()
    blobs = {path.name for path in (site / V2 / "blobs").iterdir()}
    about = json.loads(Image.of("about one").manifest)["layers"][0]["digest"]
    assert about in blobs
    append(f"{V2}/blobs/{about}")(site)
    code, found, _ = verify(capsys, str(site))
    assert code == 1
    assert found[0]["problems"][0]["path"].endswith(about)


def test_another_key_and_no_signature(site: Path, capsys: Capture) -> None:
    other = SigningKey.make().public.text
    code, _, told = verify(capsys, str(site), "--public-key", other)
    assert code == 1
    assert "no key that is known" in told
    both = ["--public-key", other, "--public-key", KEY.public.text]
    assert verify(capsys, str(site), *both)[0] == 0
    release(site)
    code, _, told = verify(capsys, str(site), "--public-key", KEY.public.text)
    assert code == 1
    assert "is not signed" in told
    assert run(["verify", str(site)]) == 0
    assert "not signed" in capsys.readouterr().out


def test_keys_of_the_configuration_count(registry: Path, site: Path, capsys: Capture) -> None:
    config = registry / "_config.yml"
    config.write_text(f"registry:\n  keys: [{KEY.public.text}]\n")
    code, found, _ = verify(capsys, "-s", str(registry), str(site))
    assert (code, found[0]["release"]["checkedBy"]) == (0, KEY.public.id)
    release(site, key=SigningKey.make())
    assert verify(capsys, "-s", str(registry), str(site))[0] == 1


def test_a_release_that_was_put_back_is_seen(site: Path, tmp_path: Path, capsys: Capture) -> None:
    state = ["--state", str(tmp_path / "state")]
    first = release(site, key=KEY)
    old = (site / "release.json").read_bytes()
    place = str(site)
    assert verify(capsys, place, *state)[0] == 0
    release(site, key=KEY, previous=first, time="2024-06-01T12:00:00Z")
    assert verify(capsys, place, *state)[0] == 0
    new = (site / "release.json").read_bytes()
    (site / "release.json").write_bytes(old)
    code, _, told = verify(capsys, place, *state)
    assert code == 1
    assert "release 2 of 2024-06-01T12:00:00Z was seen here before" in told
    (site / "release.json").write_bytes(new)
    assert verify(capsys, place, *state)[0] == 0
    release(site, key=KEY, previous=first, time="2024-06-02T12:00:00Z")
    code, _, told = verify(capsys, place, *state)
    assert code == 1
    assert "another release 2" in told


WRONG: tuple[object, ...] = (None, [], {})
GOOD = {"generation": 3, "time": "2024-05-01T12:00:00Z", "digest": f"sha256:{'0' * 64}"}


@pytest.mark.parametrize(
    "entry",
    [
        7, [], None, "x",
        *({key: value for key, value in GOOD.items() if key != gone} for gone in GOOD),
        *({**GOOD, key: wrong} for key in GOOD for wrong in WRONG),
        {**GOOD, "generation": "9"},
        {**GOOD, "moves": 7}, {**GOOD, "moves": {"size": 1}}, {**GOOD, "moves": {"root": ""}},
        {**GOOD, "moves": {"size": "1", "root": ""}},
    ],
    ids=str,
)  # fmt: skip
def test_what_was_seen_is_not_forgotten_silently(
    entry: object, site: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "state").mkdir()
    text = json.dumps({str(site): entry, "https://other.example": GOOD})
    (tmp_path / "state/releases.json").write_text(text)
    release(site, key=KEY)
    code, _, told = verify(capsys, str(site), "--state", str(tmp_path / "state"))
    assert (code, f"what was seen of {site} before is damaged" in told) == (1, True), told
    assert "cannot detect an older release" in told
    assert (tmp_path / "state/releases.json").read_text() == text


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"x"', "[" * 100_000, "\0"])
def test_a_damaged_state_ends_in_words(
    text: str, site: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/releases.json").write_text(text)
    release(site, key=KEY)
    code, _, told = verify(capsys, str(site), "--state", str(tmp_path / "state"))
    assert (code, "releases.json: what was seen of places before is damaged" in told) == (1, True)
    assert "Traceback" not in told


def test_a_place_that_is_seen_first_is_said_to_be(
    site: Path, tmp_path: Path, capsys: Capture
) -> None:
    release(site, key=KEY)
    flags = ["verify", "--state", str(tmp_path / "state"), str(site)]
    assert run(flags) == 0
    assert f"nothing was seen of {site} before" in capsys.readouterr().err
    assert run(flags) == 0
    assert "before" not in capsys.readouterr().err


def test_places_that_differ_by_case_are_two(site: Path, tmp_path: Path, capsys: Capture) -> None:
    release(site, key=KEY)
    shutil.copytree(site, site.with_name("_Site"))
    for place in (site, site.with_name("_Site"), site):
        code, _, told = verify(capsys, str(place), "--state", str(tmp_path / "state"))
        assert code == 0, told


def test_names_that_are_no_text(site: Path, capsys: Capture) -> None:
    name = os.fsdecode(b"\xff\n.html")
    (site / name).write_text("x")
    code, found, told = verify(capsys, str(site))
    assert code == 1
    assert "\\udcff\\n.html: is not part of the release" in told
    assert found[0]["problems"][0]["path"] == "\\udcff\\n.html"


def test_nothing_is_remembered_outside_of_a_registry(
    site: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert verify(capsys, str(site))[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["registry"]


def test_mirrors_must_have_the_same_release(registry: Path, site: Path, capsys: Capture) -> None:
    other = Path(shutil.copytree(site, registry / "mirror"))
    assert verify(capsys, str(site), str(other))[0] == 0
    release(other, key=KEY, time="2024-07-01T12:00:00Z")
    code, _, told = verify(capsys, str(site), str(other))
    assert code == 1
    assert f"{other}: has release 1, {site} has release 1" in told
    (other / "release.json").unlink()
    code, _, told = verify(capsys, str(site), str(other))
    assert code == 1
    assert "has no release" in told


def test_what_cannot_be_reached_is_no_damage(site: Path, capsys: Capture) -> None:
    with served(site, {f"/{LAYER_PATH.replace(':', '%3A')}": 500, f"/{LAYER_PATH}": 500}) as url:
        code, found, told = verify(capsys, url)
        assert code == 4
        assert "500" in told
        assert [item["reached"] for item in found[0]["problems"]] == [False]
        append("index.html")(site)
        assert verify(capsys, url)[0] == 1
    assert verify(capsys, url)[0] == 4
    assert verify(capsys, "http://registry.example.org")[0] == 4  # plain http, off this machine


@pytest.mark.parametrize("place", ["s3://bucket", "ftp://host/x", "http://127.0.0.1:1/x?y=1"])
def test_places_that_make_no_sense(place: str, capsys: Capture) -> None:
    assert verify(capsys, place)[0] == 2


def test_an_empty_folder_and_none(tmp_path: Path, capsys: Capture) -> None:
    code, _, told = verify(capsys, str(tmp_path))
    assert code == 1
    assert "neither a v2/_catalog nor a release.json" in told
    assert verify(capsys, str(tmp_path / "nowhere"))[0] == 3


def far_layer(site: Path, url: str) -> bytes:
    """Take a layer out of the site, and let the friendly answer lead to `url`."""
    data = (site / LAYER_PATH).read_bytes()
    (site / LAYER_PATH).unlink()
    answer = {"digest": LAYER["digest"], "size": LAYER["size"], "url": url}
    (site / f"{NAME}/blobs/{LAYER['digest']}/index.json").write_bytes(as_json(answer))
    release(site)
    return data


def test_layers_that_are_stored_elsewhere(site: Path, tmp_path: Path, capsys: Capture) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with served(elsewhere) as store:
        data = far_layer(site, f"{store}/layer")
        (elsewhere / "layer").write_bytes(data)
        # By a redirect, and by the answer that a host without redirects has.
        redirect: dict[str, int | str] = {f"/{LAYER_PATH}": f"{store}/layer"}
        for answers in (redirect, None):
            with served(site, answers) as url:
                (elsewhere / "layer").write_bytes(data)
                code, found, _ = verify(capsys, url, "--only", "v2")
                assert (code, found[0]["blobs"]) == (0, 8)
                (elsewhere / "layer").write_bytes(data[:-1] + b"x")
                code, found, _ = verify(capsys, url, "--only", "v2")
                assert code == 1
                assert found[0]["problems"][0]["path"].startswith(LAYER_PATH)
        (elsewhere / "layer").unlink()
        with served(site) as url:
            code, _, told = verify(capsys, url, "--only", "v2")
            assert code == 1
            assert "is missing" in told


def test_no_answer_leads_to_a_machine_that_was_not_named(site: Path, capsys: Capture) -> None:
    far_layer(site, "http://127.0.0.1:9/layer")
    code, _, told = verify(capsys, str(site))
    assert code == 4
    assert "127.0.0.1" in told


def test_one_half_of_a_site(site: Path, capsys: Capture) -> None:
    append("index.html")(site)
    assert verify(capsys, str(site), "--only", "v2")[0] == 0
    assert verify(capsys, str(site), "--only", "pages")[0] == 1
    append(LAYER_PATH)(site)
    assert verify(capsys, str(site), "--only", "v2")[0] == 1


def test_a_folder_with_a_pointer_to_the_current_release(site: Path, capsys: Capture) -> None:
    (site.parent / "place/releases").mkdir(parents=True)
    site.rename(site.parent / "place/releases/1")
    (site.parent / "place/current").symlink_to("releases/1")
    assert verify(capsys, str(site.parent / "place"))[0] == 0


def test_a_publish_in_the_meantime_is_no_damage(site: Path) -> None:
    class Moving(FolderPlace):
        """Serves another release after the first look."""

        def open(self, path: str, size: int | None = None) -> Any:
            stream = super().open(path, size)
            if path == "release.json":
                release(site, time="2024-09-09T09:09:09Z")
                append("index.html")(site)
            return stream

    http = Http(RemoteOptions())
    verifier = Verifier(Moving(str(site)), http, VerifyOptions(threads=1))
    verifier.release()
    with pytest.raises(Exception, match="was published while it was verified"):
        verifier.run(lambda _: None)


def test_large_files_are_streamed_and_sampled(site: Path, capsys: Capture) -> None:
    big = site / "big.bin"
    with big.open("wb") as file:
        file.truncate(48 << 20)
    release(site)
    tracemalloc.start()
    try:
        code, found, _ = verify(capsys, str(site), "-j", "2")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code == 0
    assert found[0]["bytes"] > 48 << 20
    assert peak < 16 << 20
    code, found, _ = verify(capsys, str(site), "--sample", "0")
    assert code == 0
    assert found[0]["bytes"] < 1 << 20


def test_one_blob_of_many_names_is_read_once(site: Path, capsys: Capture) -> None:
    data = bytes(1 << 20)
    for number in range(8):
        path = site / f"blob{number}"
        if number:
            path.hardlink_to(site / "blob0")
        else:
            path.write_bytes(data)
    release(site)
    assert Digest.of(data)
    code, found, _ = verify(capsys, str(site))
    assert code == 0
    assert found[0]["bytes"] < 2 << 20
