"""Page layouts and includes: found, compiled, chained and rendered.

The theme is trusted, its data is not: everything is escaped, what is
undefined is an error, and no text of a page is ever compiled. All templates
are compiled when `Templates` is made, so that every mistake in them is
reported at once and forked workers inherit the result.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import jinja2
from jinja2.sandbox import safe_range
from markupsafe import Markup

from builder import frontmatter
from builder.errors import ContentError, Problem, did_you_mean
from builder.output import fingerprint
from builder.site import closure, filters, liquid

LAYOUTS, INCLUDES = "_layouts", "_includes"
PACKAGED = "theme/"  # a name that starts so is the packaged template, never an override

# What a template's own mistakes raise while it runs.
_RUNTIME_ERRORS = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class TemplateOptions:
    """Where the templates are, and what their filters know of the site.

    `source` is the registry's folder, whose `_layouts` and `_includes` come
    first; `theme` holds the packaged ones and may be the same folder;
    `assets` gives an asset's name the output path it is published at.
    """

    source: Path
    theme: Path
    baseurl: str = ""
    url: str = ""
    timezone: str = "UTC"
    assets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """One template file, read."""

    name: str
    path: str  # to show in problems
    text: str
    kind: str
    keys: Mapping[str, Any]


class _Loader(jinja2.BaseLoader):
    """Hands out what was compiled before; there is nothing to look up on disk."""

    def __init__(self, codes: Mapping[str, CodeType]) -> None:
        self._codes = codes

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's name
    ) -> jinja2.Template:
        """Return the template `name`; raises TemplateNotFound."""
        if name not in self._codes:
            raise jinja2.TemplateNotFound(name)
        return environment.template_class.from_code(
            environment, self._codes[name], {} if globals is None else globals
        )


class Templates:
    """Every page layout and include of a site, compiled.

    Raises ContentError with the problems of all of them: syntax, Liquid,
    unknown parents and includes, cycles, links, files that are not UTF-8.
    """

    def __init__(self, options: TemplateOptions) -> None:
        problems: list[Problem] = []
        self._options = options
        self._sources = _read_all(options, problems)
        self._codes: dict[str, CodeType] = {}
        self._environment = _environment(options, _Loader(self._codes))
        self._uses = {
            name: self._compile(source, problems) for name, source in self._sources.items()
        }
        problems.extend(self._broken_links())
        if problems:
            raise ContentError(problems)
        self._compiled = {name: self._environment.get_template(name) for name in self._sources}
        self._graph = {name: self._neighbours(name) for name in self._sources}
        self._chains = {name: self._chain(f"{name}.html") for name in self.names()}

    def names(self) -> frozenset[str]:
        """Return what front matter may write after `layout:`."""
        return frozenset(
            name.removesuffix(".html")
            for name, source in self._sources.items()
            if source.kind == LAYOUTS and name.endswith(".html")
            if not name.startswith(PACKAGED)
        )

    def render(self, layout: str, context: Mapping[str, Any], content: Markup) -> bytes:
        """Return the page that `layout` and the layouts around it make of `content`, in UTF-8.

        `context` holds `site`, `page` and whatever else the layouts read; an
        empty `layout` returns the content alone. Raises ContentError that
        names the layout's line and the page's source.
        """
        for name in self._chains[self._known(layout, context)] if layout else ():
            values = {**context, "layout": self._keys(name), "content": content}
            try:
                text = self._compiled[name].render(values)
            except _RUNTIME_ERRORS as error:
                raise self._runtime_error(name, context, error) from error
            content = Markup(text)  # noqa: S704 - what an escaping template made
        return content.encode("utf-8", "replace")

    def fingerprint(self, layout: str) -> str:
        """Return a text that changes with whatever the layout's pages depend on, data apart.

        That is the source of all templates it reaches, the addresses and time
        zone its filters know, and the assets it links.
        """
        closure_names = self._closure(layout)
        names = [self._uses[name].assets for name in closure_names]
        assets = self._options.assets
        linked = (
            sorted(assets)
            if None in names
            else sorted({asset for used in names for asset in used or ()})
        )
        return fingerprint(
            jinja2.__version__,
            [(name, self._sources[name].text, self._keys(name)) for name in closure_names],
            [(asset, assets.get(asset)) for asset in linked],
            (self._options.baseurl, self._options.url, self._options.timezone),
        )

    def site_attributes(self, layout: str) -> frozenset[str] | None:
        """Return which attributes of `site` the layout's pages read; None: perhaps all."""
        read: set[str] = set()
        for name in self._closure(layout):
            used = self._uses[name].site
            if used is None:
                return None
            read |= used
        return frozenset(read)

    def _known(self, layout: str, context: Mapping[str, Any]) -> str:
        if layout in self._chains:
            return layout
        known = self.names()
        raise ContentError.at(
            _page_source(context) or layout,
            f"{layout!r} is not a page layout",
            did_you_mean(layout, known) or f"use one of {', '.join(sorted(known))}",
        )

    def _closure(self, layout: str) -> list[str]:
        return closure.reach([f"{self._known(layout, {})}.html"], self._graph)

    def _compile(self, source: _Source, problems: list[Problem]) -> closure.Uses:
        found = list(liquid.constructs(source.text))
        if found:
            problems.extend(
                Problem(source.path, line, f"{what} is Liquid; page layouts are Jinja", hint)
                for line, what, hint in found
            )
            return closure.Uses()
        try:
            tree = self._environment.parse(source.text, source.name, source.path)
            used = closure.uses(tree, source.text)
            self._codes[source.name] = self._environment.compile(tree, source.name, source.path)
        except jinja2.TemplateSyntaxError as error:
            problems.append(_syntax_problem(source, error))
            return closure.Uses()
        return used

    def _broken_links(self) -> Iterator[Problem]:
        parents: dict[str, str] = {}
        for name, source in self._sources.items():
            parent = source.keys.get("layout")
            if parent is not None:
                parents[name] = f"{parent}.html"
                if source.kind == INCLUDES:
                    yield Problem(source.path, 1, "an include cannot have a layout of its own")
                elif self._kind(f"{parent}.html") != LAYOUTS:
                    hint = did_you_mean(str(parent), self.names())
                    yield Problem(
                        source.path, 1, f"the parent {parent!r} is not a page layout", hint
                    )
            for reference in self._uses[name].references:
                if reference.extends and reference.names:
                    parents.setdefault(name, reference.names[0])
                if not self._resolves(reference):
                    wanted = " or ".join(map(repr, reference.names))
                    hint = did_you_mean(reference.names[0], self._sources)
                    yield Problem(
                        source.path, reference.line, f"there is no template {wanted}", hint
                    )
        for name in parents:
            if loop := closure.cycle_from(name, parents):
                shown = " → ".join(item.removesuffix(".html") for item in loop)
                yield Problem(self._sources[name].path, 1, f"the layouts form a cycle: {shown}")

    def _kind(self, name: str) -> str:
        return self._sources[name].kind if name in self._sources else ""

    def _resolves(self, reference: closure.Reference) -> bool:
        if reference.optional or not reference.names:
            return True
        return any(name in self._sources for name in reference.names)

    def _neighbours(self, name: str) -> list[str]:
        """Return the templates that `name` names directly; all of them where one is computed."""
        near: list[str] = []
        for reference in self._uses[name].references:
            if not reference.names:
                return list(self._sources)
            near.extend(found for found in reference.names if found in self._sources)
        parent = self._keys(name).get("layout")
        return near if parent is None else [*near, f"{parent}.html"]

    def _keys(self, name: str) -> Mapping[str, Any]:
        """Return a layout's front matter over that of the layout it extends."""
        keys = self._sources[name].keys
        for reference in self._uses[name].references:
            if reference.extends and reference.names:
                return {**self._keys(reference.names[0]), **keys}
        return keys

    def _chain(self, name: str) -> tuple[str, ...]:
        parent = self._keys(name).get("layout")
        return (name,) if parent is None else (name, *self._chain(f"{parent}.html"))

    def _runtime_error(
        self, name: str, context: Mapping[str, Any], error: BaseException
    ) -> ContentError:
        paths = {source.path for source in self._sources.values()}
        path, line = _place(error.__traceback__, paths) or (self._sources[name].path, 0)
        page = _page_source(context)
        rendering = f" (while rendering {page})" if page else ""
        if isinstance(error, jinja2.UndefinedError):
            hint = "test it with 'is defined', or give it a | default('')"
        elif isinstance(error, RecursionError):
            return ContentError.at(path, f"includes itself without end{rendering}", line=line)
        else:
            hint = (
                ""
                if isinstance(error, jinja2.TemplateError)
                else f"Python's {type(error).__name__}"
            )
        return ContentError.at(path, f"{error}{rendering}", hint, line=line)


def _page_source(context: Mapping[str, Any]) -> str:
    source = filters.field_of(context.get("page"), "source")
    return source if isinstance(source, str) else ""


def _place(traceback: TracebackType | None, paths: Iterable[str]) -> tuple[str, int] | None:
    """Return the innermost template line of a traceback, which Jinja has already rewritten."""
    found = None
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if path in paths:
            found = path, traceback.tb_lineno
        traceback = traceback.tb_next
    return found


def _syntax_problem(source: _Source, error: jinja2.TemplateSyntaxError) -> Problem:
    message = error.message or "cannot be read"
    return Problem(source.path, error.lineno, f"is not valid Jinja: {message}")


def _environment(options: TemplateOptions, loader: jinja2.BaseLoader) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.globals["range"] = safe_range
    environment.filters.update(
        filters.all_filters(
            filters.UrlFilters(baseurl=options.baseurl, url=options.url, assets=options.assets),
            filters.DateFilters(options.timezone),
        )
    )
    environment.filters["markdownify"] = _markdownify(options.baseurl)
    return environment


def _markdownify(baseurl: str) -> Callable[[jinja2.runtime.Context, object], Markup]:
    renderers: list[Any] = []  # filled on first use: most sites' layouts never ask

    @jinja2.pass_context
    def markdownify(context: jinja2.runtime.Context, value: object) -> Markup:
        if not renderers:
            from builder.site.markdown import MarkdownRenderer  # noqa: PLC0415 - a heavy import

            renderers.append(MarkdownRenderer(baseurl))
        path = _page_source(context.get_all()) or "markdownify"
        text = "" if value is None else str(value)
        rendered = renderers[0].render(text, path=path, first_line=0, base="", files=())
        return Markup(rendered.html)  # noqa: S704 - sanitised there

    return markdownify


def _read_all(options: TemplateOptions, problems: list[Problem]) -> dict[str, _Source]:
    """Return every template under each of its names; the first place that has a name wins."""
    same = options.source.resolve() == options.theme.resolve()
    own = {} if same else _read_root(options.source, "", problems)
    theme = _read_root(options.theme, "" if same else PACKAGED, problems)
    for name in own.keys() & theme.keys():
        if own[name].kind != theme[name].kind:
            problems.append(
                Problem(
                    own[name].path,
                    message=f"has the name of the theme's {theme[name].path}, of another kind",
                    hint="rename it",
                )
            )
    sources = {**theme, **own}
    for name, source in theme.items():
        packaged = PACKAGED + name
        sources[packaged] = _Source(packaged, source.path, source.text, source.kind, source.keys)
    return sources


def _read_root(root: Path, prefix: str, problems: list[Problem]) -> dict[str, _Source]:
    found: dict[str, _Source] = {}
    for kind in (LAYOUTS, INCLUDES):
        for name, file in _walk(root / kind, f"{prefix}{kind}", "", problems):
            path = f"{prefix}{kind}/{name}"
            try:
                matter = frontmatter.parse(_read(file), path)
            except ContentError as error:
                problems.extend(error.problems)
                continue
            if name in found:
                problems.append(
                    Problem(
                        path, message=f"has the same name as {found[name].path}", hint="rename one"
                    )
                )
                continue
            # A comment of as many lines stands in for the front matter, so that
            # Jinja counts lines as the file does.
            text = matter.body
            if matter.present:
                text = "{#" + "\n" * (matter.body_line - 1) + "#}" + text
            found[name] = _Source(name, path, text, kind, matter.keys)
    return found


def _walk(
    folder: Path, shown: str, below: str, problems: list[Problem]
) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of every template in `folder`, and a problem for every link."""
    if folder.is_symlink():
        problems.append(Problem(shown, message="is a symbolic link", hint="put the files here"))
        return
    if not folder.is_dir():
        return
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name.endswith("~"):
            continue
        if entry.is_dir(follow_symlinks=False):
            inner = folder / entry.name
            yield from _walk(inner, f"{shown}/{entry.name}", f"{below}{entry.name}/", problems)
        elif entry.is_file(follow_symlinks=False):
            yield f"{below}{entry.name}", folder / entry.name
        else:
            problems.append(
                Problem(
                    f"{shown}/{entry.name}",
                    message="is not a regular file, so it is no template",
                    hint="put a copy of the file here",
                )
            )


def _read(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return stream.read()


def linked_assets(source: Path, theme: Path) -> set[str]:
    """Return the names of assets that some template links through `asset_url`.

    A template that computes a name links every asset there is. Templates
    that cannot be read are left to `Templates` to report.
    """
    unreported: list[Problem] = []
    texts = [
        template.text for template in _read_all(TemplateOptions(source, theme), unreported).values()
    ]
    found = [closure.asset_names(text) for text in texts]
    if None in found:
        from builder.site.discover import assets_of  # noqa: PLC0415 - only where a name is computed

        return set(assets_of(source, theme))
    return {name for names in found for name in names or ()}
