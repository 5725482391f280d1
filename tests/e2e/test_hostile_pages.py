"""Whatever strangers write into images, nothing of it runs or is asked for on a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import serving
from tests.images import CONFIG, LAYER, MANIFEST, as_json
from tests.showcase import EMPTY, Collection

pytestmark = pytest.mark.e2e
EVIL = (
    "<script>document.title='ran'</script>\"'><img src=x onerror=document.title='ran'>"
    "<svg/onload=document.title='ran'>]]>--></title></style>javascript:document.title='ran' \u202e"
)
PROBLEMS = """
window.broken = [];
addEventListener("securitypolicyviolation", (event) => broken.push(event.blockedURI));
addEventListener("error", (event) => broken.push(String(event.message)), true);
"""
# What the browser's own parser made of a page: what no page of ours has.
ODD = """
const known = new Set(arguments[0]);
const odd = [];
for (const element of document.querySelectorAll("*")) {
  if (element.matches("iframe,object,embed,style,base,math,template")) odd.push(element.outerHTML);
  if (element.localName === "script" && !element.src) {
    if (element.type !== "application/ld+json") odd.push(element.outerHTML);
    else JSON.parse(element.textContent);
  }
  for (const { name, value } of element.attributes) {
    if (!known.has(name) && !/^(data|aria)-/.test(name)) odd.push(`${element.localName} ${name}`);
    if (/^(javascript|vbscript|data):/i.test(value.trim()) && /href|src/.test(name)) {
      odd.push(value);
    }
  }
}
return odd;
"""
ATTRIBUTES = [
    "src", "href", "id", "class", "title", "alt", "rel", "name", "content", "type", "value", "for",
    "role", "tabindex", "lang", "dir", "scope", "datetime", "download", "open", "checked", "hidden",
    "width", "height", "viewBox", "x", "y", "rx", "d", "preserveAspectRatio", "charset",
    "http-equiv", "property", "action", "autocomplete", "placeholder", "defer", "fill",
    "cx", "cy", "r",
]  # fmt: skip


def _registry(root: Path) -> Path:
    (root / "collections").mkdir(parents=True)
    (root / "_config.yml").write_text("title: T\nmarkdown: GFM\nurl: https://registry.example\n")
    keys = "".join(f"{key}: {json.dumps(EVIL)}\n" for key in ("title", "description", "license"))
    keys += f"keywords: [{json.dumps(EVIL)}]\nmaintainers: [{json.dumps(EVIL)}]\n"
    keys += f"deprecated: {json.dumps(EVIL)}\n"
    evil = Collection(root, "evil/one", f"---\n{keys}---\n{EVIL}\n\n[a](javascript:1)\n")
    config = {
        "os": EVIL,
        "architecture": EVIL,
        "created": "2025-01-01T00:00:00Z",
        "author": EVIL,
        "config": {"Env": [f"A{EVIL}={EVIL}"], "Labels": {EVIL: EVIL, "url": f"https://x/{EVIL}"},
                   "Entrypoint": [EVIL], "User": EVIL, "WorkingDir": EVIL},
        "history": [{"created_by": EVIL, "comment": EVIL}],
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
    }  # fmt: skip
    image = evil.document(MANIFEST, {
        "config": evil.blob(CONFIG, as_json(config)),
        "layers": [evil.blob(LAYER, b"x", annotations={EVIL: EVIL})],
        "annotations": {EVIL: EVIL, "org.opencontainers.image.base.name": EVIL},
    })  # fmt: skip
    evil.tag(image, "1.0", "latest", yanked=EVIL, description=EVIL)
    sbom = as_json({"spdxVersion": f"SPDX-{EVIL}", "name": EVIL, "packages": [{"name": EVIL}]})
    about = {key: image[key] for key in ("mediaType", "digest", "size")}
    evil.artifact("application/spdx+json", [(EVIL, "application/spdx+json", sbom)], subject=about)
    provenance = as_json({"predicateType": EVIL, "predicate": {
        "runDetails": {"builder": {"id": f"javascript:{EVIL}"}}}})  # fmt: skip
    statement = "application/vnd.in-toto+json"
    evil.artifact(statement, [(EVIL, statement, provenance)], subject=about)
    files = Collection(root, "evil/files")
    file = (EVIL, "application/octet-stream", EVIL.encode())
    files.tag(files.artifact("application/vnd.x", [file], config=files.blob(EMPTY, b"{}")), "1.0")
    return root


def test_nothing_of_it_runs(browser: Any, tmp_path: Path) -> None:
    told = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": PROBLEMS})
    try:
        with serving(_registry(tmp_path / "registry"), "--no-livereload") as host:
            browser.get_log("browser")
            for path in ("", "browse/", "search/?q=evil", "evil/one/", "evil/one/tags/1.0/",
                         "evil/files/", "evil/files/tags/1.0/", "browse/keyword/"):  # fmt: skip
                browser.get(f"http://{host}/{path}")
                assert browser.execute_script("return broken") == [], path
                assert browser.title != "ran", path
                said = browser.get_log("browser")
                assert said == [], (path, said)
                assert browser.execute_script(ODD, ATTRIBUTES) == [], path
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", told)
