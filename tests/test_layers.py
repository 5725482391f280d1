"""Who may import whom, checked on every import; `docs/PACKAGES.md` is the picture of it.

`python -m tests.test_layers` draws the picture anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "builder"
PICTURE = PACKAGE.parent / "docs/PACKAGES.md"
# Highest first. A line may import any line below it; names on one line never import each other.
LINES = (
    ("__main__",),
    ("cli",),
    ("build",),
    ("pull_requests",),
    ("config",),
    ("apps", "recipes", "proxy", "receive", "workflows", "verify", "probe", "upkeep", "sync"),
    ("publish",),
    ("targets", "transports", "offsite", "preview", "pages", "write"),
    ("theme",),
    ("text", "documents"),
    ("registry", "remote"),
    ("layers", "clients"),
    ("oci",),
    ("frontmatter", "output", "storage", "git"),
    ("errors", "fingerprint", "latest"),
)
LEVEL = {name: number for number, line in enumerate(LINES) for name in line}
ONLY_IN = {
    "tornado": {"preview"}, "livereload": {"preview"}, "watchdog": {"preview"},
    "jinja2": {"theme"}, "comrak": {"text"}, "markdown": {"text"}, "nh3": {"text"},
    "pygments": {"text"},
    "pymdownx": {"text"}, "yaml": {"frontmatter"}, "frontmatter": {"frontmatter"},
    "click": {"cli"}, "rich": {"cli"}, "sqlite3": {"storage", "layers"}, "urllib3": {"remote"},
    "indexed_gzip": {"layers"}, "backports": {"layers"}, "compression": {"layers"},
    "bcrypt": {"preview"}, "cryptography": {"publish", "oci"}, "obstore": {"storage"},
    "distributed": {"write"}, "dask": {"write"},
}  # fmt: skip


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    for path in sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "_version.py"}):
        dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        name = dotted.removesuffix(".__init__")
        top = name.split(".")[1] if "." in name else ""
        yield name, top, ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_point_downwards() -> None:
    wrong = []
    for name, top, tree in modules():
        for target in imports(tree):
            parts = target.split(".")
            if parts[0] != "builder" or len(parts) < 2 or parts[1] == "package_version" or not top:
                continue
            if parts[1] == top:
                continue
            if LEVEL[parts[1]] <= LEVEL[top]:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_every_module_has_its_line() -> None:
    assert {top for _, top, _ in modules()} - {""} == set(LEVEL)


def test_each_library_is_imported_in_one_package() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, top, tree in modules()
        for target in imports(tree)
        if (library := target.split(".")[0]) in ONLY_IN and top not in ONLY_IN[library]
    ]
    assert wrong == []


def test_no_cycles() -> None:
    known = {name for name, _, _ in modules()}
    graph = {
        name: {target for target in imports(tree) if target in known and target != name}
        for name, _, tree in modules()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name in done:
            return
        for target in graph[name]:
            if not name.startswith(f"{target}.") and not target.startswith(f"{name}."):
                visit(target, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def picture() -> str:
    """Return `docs/PACKAGES.md`: a row for each line of packages, highest first."""
    rows = []
    for line in LINES:
        cells = "<br>".join(f"**{name}**: {_purpose(name)}" for name in line)
        rows.append(f"| {cells} |")
    return "\n".join((*_HEAD, *rows, ""))


def _purpose(name: str) -> str:
    folder = PACKAGE / name
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return text.partition("\n")[0]


_HEAD = (
    "# The packages",
    "",
    "Drawn from `tests/test_layers.py`, which checks every import by it: a row may import what",
    "stands in rows below it, and the names in one row never import each other.",
    "",
    "| from the command line down to errors |",
    "| --- |",
)


def test_the_picture_is_of_this() -> None:
    assert PICTURE.read_text() == picture(), "python -m tests.test_layers draws it anew"


if __name__ == "__main__":
    PICTURE.write_text(picture())
