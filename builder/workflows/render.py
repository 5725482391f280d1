"""The CI files as text: templates put together, actions pinned, the whole stamped.

In a template a line `#: NAME` stands for another text, at that line's
indentation, and `uses: OWNER/ACTION` for that action at the commit in `PINS`.
The first line of each file made tells its own digest, so that a later run
knows whether somebody edited it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.errors import UsageError
from builder.workflows.deployments import DEPLOYMENTS, LAYER_STORES, Deployment

CIS = ("github", "gitlab")
PAGES = ("github-pages", "gitlab-pages")  # each CI deploys to its own by itself
_TEMPLATES = Path(__file__).parent / "templates"
_GITHUB = ("check", "build", "deploy", "verify", "submit")

# A tag can be moved to other code; a commit cannot.
PINS: Mapping[str, tuple[str, str]] = {
    "actions/checkout": ("08c6903cd8c0fde910a37f88322edcfb5dd907a8", "v5.0.0"),
    "actions/configure-pages": ("983d7736d9b0ae728b81ab479565c72886d7745b", "v5.0.0"),
    "actions/deploy-pages": ("d6db90164ac5ed86f2b6aed7e0febac5b3c0c03e", "v4.0.5"),
    "actions/download-artifact": ("634f93cb2916e3fdff6788551b99b062d0335ce0", "v5.0.0"),
    "actions/upload-artifact": ("ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
    "actions/upload-pages-artifact": ("7b1f4a764d45c48632c6b24a0339c27f5614fb0b", "v4.0.0"),
}

_PIECE = re.compile(r"(?P<indent> *)#: (?P<name>\S+)")
_USES = re.compile(r"(?<=uses: )[\w-]+/[\w-]+$", re.MULTILINE)
_STAMP = re.compile(r"# Made by 'builder workflows', which leaves edits alone: ([0-9a-f]{64})\n")


def deployable() -> tuple[str, ...]:
    """Return the names of the targets that CI can deploy to, in byte order."""
    return tuple(sorted((*PAGES, *DEPLOYMENTS)))


def render(ci: str, target: str, layers: str = "", *, mirrors: bool = False) -> dict[str, str]:
    """Return the files of a CI, paths from the registry's folder, for a site on `target`.

    `layers` is how `registry.blobs` begins, such as `s3`: large layers go there. `mirrors`
    asks for the job that brings them up to date.
    `plain`, which is no host, and the pages of the other CI stand for the
    CI's own pages. Raises UsageError for a target that CI cannot deploy to.
    """
    deployment = DEPLOYMENTS.get(target)
    if deployment is None and target not in (*PAGES, "plain"):
        known = f"it can deploy to {', '.join(deployable())}"
        raise UsageError(f"CI cannot deploy to the target {target!r} by itself", known)
    store = LAYER_STORES.get(layers)
    if ci == "gitlab":
        texts = {".gitlab-ci.yml": _gitlab(target, deployment, store, mirrors=mirrors)}
    else:
        names = (*_GITHUB, "sync") if mirrors else _GITHUB
        texts = {f".github/workflows/{name}.yml": _github(name, target, deployment, store)
                 for name in names}  # fmt: skip
    return {path: _stamped(text) for path, text in texts.items()}


def updates() -> dict[str, str]:
    """Return the file that has newer actions and packages proposed, which a user may well edit."""
    return {".github/dependabot.yml": _read("github/dependabot.yml")}


def locked_requirements() -> str:
    """Return what the builder needs, each with its hashes, as pip reads it."""
    carried = _TEMPLATES.parent / "requirements.txt"
    file = carried if carried.is_file() else _TEMPLATES.parent.parent.parent / "requirements.txt"
    return file.read_text("utf-8")


def is_edited(text: str) -> bool:
    """Tell whether a file is other than it was made; also true of one made by somebody else."""
    stamp = _STAMP.match(text)
    return stamp is None or stamp[1] != _digest(text[stamp.end() :])


def _github(name: str, target: str, deployment: Deployment | None, store: Deployment | None) -> str:
    where = "elsewhere" if deployment else "pages"
    pieces = {"verify-steps": _read(f"github/verify-{where}.yml"), **_layers(store)}
    pages = "  pages: read # to ask where the site is\n" if deployment is None else ""
    pieces["verify-permissions"] = f"permissions:\n  contents: read # to fetch the builder\n{pages}"
    if deployment:
        pieces["commands"] = f"#: {deployment.script}\n"
        address = "REGISTRY_URL: ${{ vars.REGISTRY_URL }}\n"
        pieces["environment"] = address + "".join(_environment(deployment))
    template = f"deploy-{where}" if name == "deploy" else name
    text = _expand(_read(f"github/{template}.yml"), "github", pieces).replace("@TARGET@", target)
    return _USES.sub(lambda found: _pinned(found[0]), text)


def _layers(store: Deployment | None) -> dict[str, str]:
    """Return what the job that commits images needs, to bring their large layers to `store`."""
    return {
        "layers-environment": "environment: layers\n" if store else "",
        "layers-secrets": "".join(_environment(store)) if store else "",
        "layers-login": f"#: {store.script}\n" if store and store.script else "",
    }


def _environment(needs: Deployment) -> Iterator[str]:
    yield from (f"{name}: ${{{{ secrets.{name} }}}}\n" for name in needs.secrets)
    yield from (f"{name}: ${{{{ vars.{name} }}}}\n" for name in needs.variables)


def _gitlab(
    target: str, deployment: Deployment | None, store: Deployment | None, *, mirrors: bool
) -> str:
    where = "elsewhere" if deployment else "pages"
    pieces = {"deploy": _read(f"gitlab/deploy-{where}.yml"), **_layers(store)}
    pieces["sync"] = _read("gitlab/sync.yml") if mirrors else ""
    if deployment:
        pieces["commands"] = f"#: {deployment.script}\n"
        pieces["packages"] = f'PACKAGES: "{deployment.packages}"\n'
    text = _expand(_read("gitlab/gitlab-ci.yml"), "gitlab", pieces)
    return text.replace("@TARGET@", target)


def _expand(text: str, folder: str, pieces: Mapping[str, str]) -> str:
    """Replace each `#: NAME` by the piece or the template of that name."""
    lines = []
    for line in text.splitlines():
        found = _PIECE.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        name = found["name"]
        kind = "shell" if name.endswith(".sh") else folder
        inner = pieces[name] if name in pieces else _read(f"{kind}/{name}")
        made = _expand(inner, folder, pieces).splitlines()
        lines += [f"{found['indent']}{item}" if item else "" for item in made]
    return "".join(f"{line}\n" for line in lines)


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _pinned(action: str) -> str:
    commit, version = PINS[action]
    return f"{action}@{commit} # {version}"


def _stamped(text: str) -> str:
    return f"# Made by 'builder workflows', which leaves edits alone: {_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
