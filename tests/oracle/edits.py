"""Every kind of edit: each changes the registry by chance and says what it did."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from builder.errors import ContentError
from tests.images import CONFIG, LAYER, MANIFEST, Image, as_json, descriptor, layer_of, sha256
from tests.oracle.world import PARTS, World, write_listing

Edit = Callable[[World], str]
LAYOUTS = ("collection", "tag", "namespace", "row", "default", "home", "browse", "page", "search")
TAGS = ("latest", "1.0", "1.1", "2.0-rc1", "1.0.sig")
PICTURES = ("logo.png", "img/x.png", "img/deep/er/y.png", "one/z.png", "a.svg")
READING = (
    "{{ site.time }}", "{{ site.data | jsonify }}", "{{ site.data.menu | default('') }}",
    "{% for c in site.collections %}{{ c.name }} {{ c.size }} {{ c.title }} {% endfor %}",
    "{% for n in site.namespaces %}{{ n.title }} {% endfor %}",
    "{% for p in site.pages %}{{ p.url }} {{ p.keys | jsonify }} {% endfor %}",
    "{{ site.custom | default('none') }}", "{{ site.title }}", "{{ site.target }}",
    "{% for key in site %}{{ key }} {% endfor %}", "{{ site.get('time') }}",
    "{% for key, value in site.items() %}{{ key }}{% endfor %}",
    "{% set s = site %}{{ s.time }}{{ s.collections | length }}",
    "{% include 'part.html' ignore missing %}", "{% include 'part.html' %}",
    "{% include ['sub/part.html', 'part.html'] ignore missing %}",
    "{% set n = 'part' %}{% include n ~ '.html' ignore missing %}",
    "{{ 'extra.css' | asset_url }}", "{{ page | jsonify }}", "{{ page.keywords | jsonify }}",
    "{{ layout | jsonify }}", "{{ page.nosuch }}", "{{ '*x*' | markdownify }}",
)  # fmt: skip


def front(keys: dict[str, Any], body: str) -> str:
    return f"---\n{json.dumps(keys)}\n---\n{body}\n" if keys else f"{body}\n"


def readme(world: World, name: str) -> str:
    rng = world.rng
    choices: dict[str, Any] = {
        "title": world.text(2), "description": world.text(),
        "license": rng.choice(["MIT", "BSD-3"]),
        "keywords": sorted({world.text(1) for _ in range(2)}), "hidden": rng.random() < 0.5,
        "deprecated": rng.choice(["old", "a/one", "b"]), "logo": rng.choice(PICTURES),
        "maintainers": [world.text(2)], "url": "https://example.org/", "own": world.text(),
        "redirect_from": [f"/{name}/{rng.choice(['old', 'older'])}/"], "nosuch": 1.10,
    }  # fmt: skip
    keys = {key: choices[key] for key in rng.sample(sorted(choices), rng.randint(0, 4))}
    parts = [f"# {world.text(3)}", world.text(), f"![p]({rng.choice(PICTURES)})",
             f"[other](../{rng.choice(PARTS)}/)", "- a\n- b", "`code`", "[x](../../about.md)",
             "[up](../README.md)", f"[tag](manifests/{rng.choice(TAGS)}/README.md)",
             f"[there](/collections/{rng.choice(PARTS)}/{rng.choice(PARTS)}/#part)", "## Part",
             f"![theirs](../{rng.choice(PICTURES)})", "[free](/LICENSE)", "> [!NOTE]\n> :tada:",
             f"[site](/{rng.choice(PARTS)}/tags/{rng.choice(TAGS)}/)", "[home](/)"]  # fmt: skip
    body = "\n\n".join(rng.sample(parts, rng.randint(1, 4)))
    if rng.random() < 0.03:
        return "---\ntitle: [broken\n---\n"
    return front(keys, body)


def edit_readme(world: World) -> str:
    folder = world.some(world.collections())
    if folder is None:
        return "no collection"
    return world.write(f"{folder}/README.md", readme(world, folder.removeprefix("collections/")))


def remove_readme(world: World) -> str:
    found = world.some(world.files("collections/**/README.md"))
    return world.remove(found) if found else "no README"


def add_collection(world: World) -> str:
    folder = world.new_name()
    world.write(f"{folder}/README.md", readme(world, folder.removeprefix("collections/")))
    if world.rng.random() < 0.8:
        world.image().tag(world.path(folder), world.rng.choice(TAGS))
    return f"add {folder}"


def add_layout_collection(world: World) -> str:
    folder = world.new_name()
    if world.path(folder).exists():
        return "there is one"
    world.path(folder).mkdir(parents=True)
    world.image().layout(world.path(folder), *sorted(world.rng.sample(TAGS, 2)))
    return f"image layout {folder}"


def remove_folder(world: World) -> str:
    folders = [item for item in world.found("collections/**/*") if world.path(item).is_dir()]
    found = world.some([item for item in folders if "/blobs" not in item])
    return world.remove(found) if found else "no folder"


def move_collection(world: World) -> str:
    folder = world.some(world.collections())
    return world.move(folder, world.new_name()) if folder else "no collection"


def rename_by_case(world: World) -> str:
    names = (*world.collections(), *world.found("collections/**/manifests/*"),
             *world.files("assets/*"), *world.files("*.md"))  # fmt: skip
    found = world.some(sorted(names))
    if found is None:
        return "nothing to rename"
    above, _, name = found.rpartition("/")
    other = name.upper() if name != name.upper() else name.lower()
    return world.move(found, f"{above}/{other}".lstrip("/"))


def add_tag(world: World) -> str:
    folder = world.some(world.collections())
    if folder is None:
        return "no collection"
    tag = world.rng.choice(TAGS)
    moment = world.rng.choice(["", "", "2021-05-06T07:08:09Z", "2024-01-02T00:00:00Z"])
    more = (
        {"annotations": {"org.opencontainers.image.version": tag}}
        if world.rng.random() < 0.3
        else {}
    )
    image = world.image(config={"Env": [f"A={world.text(1)}"]}, **more)
    image.tag(world.path(folder), tag)
    if moment:
        keys = {"created": moment, "description": world.text()}
        world.write(f"{folder}/manifests/{tag}/README.md", front(keys, world.text()))
    return f"tag {folder}:{tag}"


def edit_notes(world: World) -> str:
    tag = world.some(world.found("collections/**/manifests/*"))
    if tag is None or not world.path(tag).is_dir():
        return "no tag"
    choices: dict[str, Any] = {
        "yanked": world.text(), "created": "2022-02-03T04:05:06Z", "description": world.text(),
        "platforms-note": world.text(), "own": world.text(1),
    }  # fmt: skip
    keys = {key: choices[key] for key in world.rng.sample(sorted(choices), world.rng.randint(0, 3))}
    return world.write(f"{tag}/README.md", front(keys, f"## {world.text()}\n\n{world.text()}"))


def remove_tag(world: World) -> str:
    tag = world.some(world.found("collections/**/manifests/*"))
    return world.remove(tag) if tag else "no tag"


def copy_tag(world: World) -> str:
    tag = world.some(world.found("collections/**/manifests/*"))
    if tag is None or not world.path(tag).is_dir():
        return "no tag"
    other = f"{tag.rpartition('/')[0]}/{world.rng.choice(TAGS)}"
    if world.path(other).exists():
        return "there is one"
    shutil.copytree(world.path(tag), world.path(other))
    return f"copy {tag} to {other}"


def add_legacy_tag(world: World) -> str:
    folder = world.some(world.collections())
    if folder is None:
        return "no collection"
    digest = sha256(world.text().encode())
    layer = {"size": 10, "digest": digest, "url": "https://example.org/x.sif"}
    keys = {"size": 10, "digest": digest, "layers": [layer], "layout": "manifests/singularity"}
    return world.write(f"{folder}/manifests/{world.rng.choice(TAGS)}/README.md", front(keys, ""))


def edit_recipe(world: World) -> str:
    folder = world.some(world.collections())
    if folder is None:
        return "no collection"
    name = world.rng.choice(["Dockerfile", "Singularity", "build.sh"])
    place = f"{folder}/manifests/{world.rng.choice(TAGS)}/{name}"
    return world.write(place, f"FROM scratch\n# {world.text()}\n")


def attach(world: World) -> str:
    found = world.some(world.files("collections/**/manifest.json"))
    if found is None:
        return "no manifest"
    folder = world.path(found.partition("/manifests/")[0])
    raw = world.path(found).read_bytes()
    data = as_json({"bomFormat": "CycloneDX", "n": world.rng.randint(0, 3)})
    subject = descriptor(MANIFEST, raw)
    document = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.cyclonedx+json",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.cyclonedx+json", data)], "subject": subject,
    }  # fmt: skip
    manifest = as_json(document)
    blobs = {sha256(item): item for item in (data, b"{}", manifest)}
    Image(manifest, blobs).store(folder)
    return f"attach to {found}"


def remove_blob(world: World) -> str:
    found = world.some(world.files("collections/**/blobs/**/*") + world.files("_blobs/**/*"))
    return world.remove(found) if found else "no blob"


def store_blob(world: World) -> str:
    """A layer goes to the content store, or comes back, or is at both places."""
    found = world.some(world.files("collections/**/blobs/sha256/*"))
    if found is None:
        return "no blob"
    name = found.rpartition("/")[2]
    world.write(f"_blobs/blobs/sha256/{name}", world.path(found).read_bytes())
    if world.rng.random() < 0.7:
        world.remove(found)
    return f"store {found}"


def unstore_blob(world: World) -> str:
    found = world.some(world.files("_blobs/blobs/sha256/*"))
    folder = world.some(world.collections())
    if found is None or folder is None:
        return "nothing stored"
    world.write(f"{folder}/blobs/sha256/{found.rpartition('/')[2]}", world.path(found).read_bytes())
    return f"bring {found} into {folder}, {world.remove(found)}"


def foreign_layer(world: World) -> str:
    folder = world.some(world.collections())
    if folder is None:
        return "no collection"
    text = world.text()
    layer, diff = layer_of(text)
    config = as_json({"architecture": "amd64", "os": "linux",
                      "rootfs": {"type": "layers", "diff_ids": [diff]}})  # fmt: skip
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
                "layers": [descriptor(LAYER, layer, urls=["https://example.org/l"])]}  # fmt: skip
    Image(as_json(document), {sha256(config): config}).tag(world.path(folder), "1.1")
    return f"foreign layer in {folder}"


def edit_listing(world: World) -> str:
    found = world.files("collections/**/blobs/files/sha256/*.json")
    if found and world.rng.random() < 0.5:
        return world.remove(world.some(found))
    folder = world.some(world.collections())
    if not folder:
        return "no collection"
    with suppress(ContentError):  # of a layer that an edit before this one damaged
        return write_listing(world, folder)
    return "a layer that cannot be listed"


def edit_picture(world: World) -> str:
    folder = world.some([*world.collections(), "collections/a", "", "guide"])
    inner = f"{folder}/{world.rng.choice(PICTURES)}".lstrip("/")
    if world.path(inner).exists() and world.rng.random() < 0.5:
        return world.remove(inner)
    return world.write(inner, f"<svg>{world.text()}</svg>")


def edit_loose(world: World) -> str:
    folder = world.some(world.collections())
    inner = world.rng.choice(
        ["notes.txt", "img/notes.md", "data.csv", "img", "manifests/x", "tags"]
    )
    if world.rng.random() < 0.3:  # what a link may lead to although it is not published
        free = world.path("LICENSE").exists()
        return world.remove("LICENSE") if free else world.write("LICENSE", "MIT")
    return world.write(f"{folder}/{inner}", world.text()) if folder else "no collection"


def file_to_folder(world: World) -> str:
    patterns = ("*.txt", "*.md", "collections/**/img/*", "_includes/*", "files/*", "assets/*")
    names = [name for pattern in patterns for name in world.files(pattern)]
    found = world.some(names)
    if found is None:
        return "no file"
    data = world.path(found).read_bytes()
    world.remove(found)
    world.write(f"{found}/{found.rpartition('/')[2]}", data)
    return f"{found} becomes a folder"


def folder_to_file(world: World) -> str:
    patterns = ("files/*", "*.txt", "*.md", "guide", "collections/**/img")
    places = [name for pattern in patterns for name in world.found(pattern)]
    found = world.some([item for item in places if world.path(item).is_dir()])
    if found is None:
        return "no folder"
    world.remove(found)
    world.write(found, world.text())
    return f"{found} becomes a file"


def same_stat(world: World) -> str:
    """Other content of the same size and time, in place or as a new file."""
    names = [item for item in world.files("**/*") if world.path(item).stat().st_size
             and not item.startswith("_site.")]  # fmt: skip
    found = world.some(names)
    if found is None:
        return "no file"
    file = world.path(found)
    before, data = file.stat(), bytearray(file.read_bytes())
    place = world.rng.randrange(len(data))
    data[place] = ord("x") if data[place] != ord("x") else ord("y")
    if world.rng.random() < 0.5:
        file.unlink()
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return f"another byte {place} in {found}, of the same size and time"


def clock_back(world: World) -> str:
    """An edit by a machine whose clock is years behind."""
    done = world.rng.choice([edit_readme, edit_static, edit_document, edit_data, edit_picture])(
        world
    )
    names = world.files("**/*")
    for item in names[:: max(1, len(names) // 20)]:
        os.utime(world.path(item), (1e9, 1e9))
    return f"{done}; the clock is years behind"


def edit_layout(world: World) -> str:
    name = world.rng.choice(LAYOUTS)
    if world.path(f"_layouts/{name}.html").exists() and world.rng.random() < 0.4:
        return world.remove(f"_layouts/{name}.html")
    reads = "\n".join(world.rng.sample(READING, world.rng.randint(1, 3)))
    if name == "row":
        body = f"<li>{{{{ row.name }}}} {{{{ row.description }}}} {reads}</li>"
    else:
        around = "" if name == "default" else "---\nlayout: default\nown: x\n---\n"
        body = f"{around}<main>{{{{ content }}}}{{{{ page.title }}}}{reads}</main>"
    return f"{world.write(f'_layouts/{name}.html', body)} with {reads!r}"


def edit_include(world: World) -> str:
    names = ("_includes/part.html", "_includes/sub/part.html")
    found = world.files("_includes/**/*.html")
    chance = world.rng.random()
    if found and chance < 0.3:
        return world.remove(world.some(found))
    if found and chance < 0.6:
        old = world.some(found)
        return world.move(old, names[0] if old != names[0] else names[1])
    reads = world.rng.choice(READING[:13])
    return f"{world.write(world.rng.choice(names), f'{world.text()} {reads}')} with {reads!r}"


def edit_asset(world: World) -> str:
    inner = f"assets/{world.rng.choice(['style.css', 'extra.css', 'custom.css', 'img/new.svg'])}"
    if world.path(inner).exists() and world.rng.random() < 0.5:
        return world.remove(inner)
    return world.write(inner, f"/* {world.text()} */")


def edit_data(world: World) -> str:
    inner = world.rng.choice(["menu.yml", "people.csv", "deep/more.json", "menu.json"])
    if world.path(f"_data/{inner}").exists() and world.rng.random() < 0.4:
        return world.remove(f"_data/{inner}")
    content = {"yml": f"- {world.text()}\n- {world.text(1)}\n", "csv": f"a,b\n{world.text()},2\n",
               "json": json.dumps({"x": world.text()})}[inner.rpartition(".")[2]]  # fmt: skip
    return world.write(f"_data/{inner}", content)


def edit_config(world: World) -> str:
    config, rng = world.config(), world.rng
    registry = config.setdefault("registry", {})
    key, value, place = rng.choice([
        ("title", world.text(2), config), ("description", world.text(), config),
        ("custom", world.text(1), config), ("timezone", "Asia/Tokyo", config),
        ("url", "https://registry.example.org", config), ("baseurl", "/base", config),
        ("repository", "https://github.com/o/r", config), ("include", [".well-known"], config),
        ("exclude", ["files"], config), ("lang", "de", config), ("future", True, config),
        ("markdown", "GFM", config),
        ("collections", {"posts": {"output": True}}, config),
        ("defaults", [{"scope": {"path": "guide"}, "values": {"own": world.text(1)}}], config),
        ("apps", [rng.choice(["web/*", "web/app", "no/such"])], registry),
        ("blobs", "https://blobs.example.org/store", registry),
        ("redirects", {"gone/by": rng.choice(["a/one", "a", "b/two"])}, registry),
        ("archives", True, registry), ("schema1", True, registry),
        ("platform_tags", True, registry),
        ("host", "pull.example.org", registry), ("nosuch", 1, registry),
    ])  # fmt: skip
    if key in place and (rng.random() < 0.6 or key == "nosuch"):
        del place[key]
        world.set_config(config)
        return f"config without {key}"
    place[key] = value
    world.set_config(config)
    return f"config {key}: {value}"


def edit_app(world: World) -> str:
    if world.path("collections/web").exists() and world.rng.random() < 0.4:
        return world.remove("collections/web")
    shutil.copytree(world.app, world.path("collections/web/app"), dirs_exist_ok=True)
    config = world.config()
    config.setdefault("registry", {})["apps"] = ["web/*"]
    if world.rng.random() < 0.5:
        world.set_config(config)
    return "add the app"


def edit_namespace(world: World) -> str:
    names = {item.rpartition("/")[0] for item in world.collections()} - {"collections"}
    folder = world.some(sorted(names))
    if folder is None:
        return "no namespace"
    inner = f"{folder}/{world.rng.choice(['README.md', 'README.md', 'readme.md'])}"
    if world.path(inner).exists() and world.rng.random() < 0.3:
        return world.remove(inner)
    return world.write(inner, readme(world, folder.removeprefix("collections/")))


def edit_document(world: World) -> str:
    inner = world.rng.choice(["about.md", "guide/intro.md", "index.md", "README.md", "raw.html",
                              "_posts/2020-01-02-x.md", "404.md", "guide/index.html"])  # fmt: skip
    if world.path(inner).exists() and world.rng.random() < 0.4:
        return world.remove(inner)
    choices: dict[str, Any] = {
        "title": world.text(2), "redirect_from": ["/old/"], "date": "2023-04-05",
        "layout": world.rng.choice(["page", "default", "none", "browse", "x"]),
        "permalink": "/moved/", "own": world.text(), "description": world.text(),
        "published": world.rng.random() < 0.7,
    }  # fmt: skip
    keys = {key: choices[key] for key in world.rng.sample(sorted(choices), world.rng.randint(1, 3))}
    body = f"# {world.text()}\n\n![p](logo.png) [c](collections/a/one/README.md) {world.text()}"
    return world.write(inner, front(keys, body))


def edit_static(world: World) -> str:
    names = ["notes.txt", "files/x.bin", "files/y/z.txt", ".well-known/security.txt",
             "robots.txt", "a/one.txt", "CNAME"]  # fmt: skip
    inner = world.rng.choice(names)
    if world.path(inner).exists() and world.rng.random() < 0.4:
        return world.remove(inner)
    return world.write(inner, world.text())


def add_link(world: World) -> str:
    """A symbolic link where none may be; the next edit of the kind takes it away again."""
    places = [*world.collections(), "_layouts", "_data", "files"]
    found = [item for item in world.found("**/link*") if world.path(item).is_symlink()]
    if found:
        world.path(found[0]).unlink()
        return f"unlink {found[0]}"
    place = world.path(f"{world.some(places)}/link.html")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/etc/hostname")
    return f"link {place.relative_to(world.root)}"


def nothing(_: World) -> str:
    return "nothing"


EDITS: dict[Edit, int] = {
    edit_readme: 6, remove_readme: 1, add_collection: 5, add_layout_collection: 1,
    remove_folder: 2, move_collection: 2, rename_by_case: 1, add_tag: 5, edit_notes: 3,
    remove_tag: 2, copy_tag: 2, add_legacy_tag: 2, edit_recipe: 2, attach: 2, remove_blob: 1,
    store_blob: 2, unstore_blob: 1, foreign_layer: 2, edit_listing: 4, edit_picture: 4,
    edit_loose: 1, file_to_folder: 2, folder_to_file: 2, same_stat: 3, clock_back: 2,
    edit_layout: 6, edit_include: 4, edit_asset: 2, edit_data: 3, edit_config: 6, edit_app: 2,
    edit_namespace: 3, edit_document: 4, edit_static: 3, add_link: 1, nothing: 2,
}  # fmt: skip
