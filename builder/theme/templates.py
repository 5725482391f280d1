"""Page layouts and includes: found, compiled, chained and rendered.

The theme is trusted, its data is not: everything is escaped, what is
undefined is an error, and no text of a page is ever compiled. All templates
are judged when `Templates` is made, so that every mistake in them is reported
at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2
from markupsafe import Markup

from builder.errors import ContentError, Problem, did_you_mean
from builder.fingerprint import fingerprint
from builder.storage.cache import Cache
from builder.text.markdown import PYTHON_MARKDOWN
from builder.theme import closure
from builder.theme.compiled import Compiled
from builder.theme.environment import make_environment, page_source
from builder.theme.sources import INCLUDES, LAYOUTS, PACKAGED, TemplateSource, read_sources

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
    markdown: str = PYTHON_MARKDOWN
    assets: Mapping[str, str] = field(default_factory=dict)


class Templates:
    """Every page layout and include of a site.

    `cache` keeps what was found out about them, until it is drained. Raises
    ContentError with the problems of all of them: syntax, Liquid, unknown
    parents, includes and blocks, cycles, links, files that are not UTF-8.
    """

    def __init__(self, options: TemplateOptions, cache: Cache) -> None:
        problems: list[Problem] = []
        self._options = options
        self._sources = read_sources(options.source, options.theme, problems)
        self._fingerprints: dict[str, str] = {}
        compiled = Compiled(self._sources, cache)
        self._uses = compiled.judge(problems)
        self._environment = make_environment(
            compiled.code,
            baseurl=options.baseurl,
            url=options.url,
            timezone=options.timezone,
            markdown=options.markdown,
            assets=options.assets,
        )
        problems.extend(self._broken_links())
        problems.extend(() if problems else self._cycles())
        problems.extend(() if problems else self._lost_blocks())
        if problems:
            raise ContentError(problems)
        self._graph = {name: self._neighbours(name) for name in self._sources}
        self._chains = {name: self._chain(f"{name}.html") for name in self.names()}

    def __reduce__(self) -> tuple[type[Templates], tuple[TemplateOptions, Cache]]:
        """Let another machine compile them anew: code is not for the way."""
        return Templates, (self._options, Cache(None))

    def unused(self) -> Iterator[Problem]:
        """Yield a warning for each include that no layout reaches."""
        layouts = [name for name, source in self._sources.items() if source.kind == LAYOUTS]
        reached = {self._sources[name].path for name in closure.reach(layouts, self._graph)}
        for name, source in self._sources.items():
            if source.path not in reached and not name.startswith(PACKAGED):
                hint = did_you_mean(name, {*self._sources} - {name})
                yield Problem(source.path, 0, "no template includes this", hint, warning=True)

    def names(self) -> frozenset[str]:
        """Return what front matter may write after `layout:`."""
        return frozenset(
            name.removesuffix(".html")
            for name, source in self._sources.items()
            if source.kind == LAYOUTS and name.endswith(".html")
            if not name.startswith(PACKAGED)
        )

    def compile(self) -> None:
        """Compile all of them now, so that processes that are forked later need not."""
        for name in self._sources:
            self._environment.get_template(name)

    def render(self, layout: str, context: Mapping[str, Any], content: Markup) -> bytes:
        """Return the page that `layout` and the layouts around it make of `content`, in UTF-8.

        `context` holds `site`, `page` and whatever else the layouts read; an
        empty `layout` returns the content alone. Raises ContentError that
        names the layout's line and the page's source.
        """
        for name in self._chains[self._known(layout, page_source(context))] if layout else ():
            values = {**context, "layout": self._keys(name), "content": content}
            try:
                text = self._environment.get_template(name).render(values)
            except _RUNTIME_ERRORS as error:
                raise self._runtime_error(name, context, error) from error
            content = Markup(text)  # noqa: S704 - what an escaping template made
        return content.encode("utf-8", "replace")

    def fingerprint(self, layout: str, origin: str = "") -> str:
        """Return a text that changes with whatever the layout's pages depend on, data apart.

        That is the source of all templates it reaches, the addresses and time
        zone its filters know, and the assets it links. Raises ContentError at
        `origin`, whose layout it is to be, when there is none of this name.
        """
        if layout not in self._fingerprints:
            names = self._closure(layout, origin)
            self._fingerprints[layout] = fingerprint(
                jinja2.__version__,
                [(name, self._sources[name].text, self._keys(name)) for name in names],
                [(asset, self._options.assets.get(asset)) for asset in self._linked(names)],
                (
                    self._options.baseurl,
                    self._options.url,
                    self._options.timezone,
                    self._options.markdown,
                ),
            )
        return self._fingerprints[layout]

    def _linked(self, names: Iterable[str]) -> list[str]:
        """Return the assets that the templates `names` link; all where one is computed."""
        found = [self._uses[name].assets for name in names]
        if None in found:
            return sorted(self._options.assets)
        return sorted({asset for assets in found for asset in assets or ()})

    def site_attributes(self, layout: str) -> frozenset[str] | None:
        """Return which attributes of `site` the layout's pages read; None: perhaps all."""
        read: set[str] = set()
        for name in self._closure(layout):
            used = self._uses[name].site
            if used is None:
                return None
            read |= used
        return frozenset(read)

    def _known(self, layout: str, origin: str) -> str:
        if layout in self._chains:
            return layout
        known = self.names()
        raise ContentError.at(
            origin or layout,
            f"{layout!r} is not a page layout",
            did_you_mean(layout, known) or f"use one of {', '.join(sorted(known))}",
        )

    def _closure(self, layout: str, origin: str = "") -> list[str]:
        return closure.reach([f"{self._known(layout, origin)}.html"], self._graph)

    def _broken_links(self) -> Iterator[Problem]:
        for name, source in self._sources.items():
            for reference in self._uses[name].references:
                if not self._resolves(reference):
                    wanted = " or ".join(map(repr, reference.names))
                    hint = did_you_mean(reference.names[0], self._sources)
                    yield Problem(
                        source.path, reference.line, f"there is no template {wanted}", hint
                    )
            yield from self._broken_parent(source)

    def _broken_parent(self, source: TemplateSource) -> Iterator[Problem]:
        parent = source.keys.get("layout")
        if parent is None:
            return
        if source.kind == INCLUDES:
            message = "an include cannot have a layout of its own"
            yield Problem(source.path, source.layout_line, message, "remove the key 'layout'")
        elif self._kind(f"{parent}.html") != LAYOUTS:
            message = f"the parent {parent!r} is not a page layout"
            hint = did_you_mean(str(parent), self.names())
            yield Problem(source.path, source.layout_line, message, hint)

    def _lost_blocks(self) -> Iterator[Problem]:
        """Yield what shows nothing: blocks that the extended one lacks, text outside of any."""
        for name, source in self._sources.items():
            base = self._base(name)
            known = self._blocks(base)
            if line := self._uses[name].lost:
                message = f"text outside of blocks is not shown: this extends {base}"
                hint = f"put it into a block: {', '.join(sorted(known))}"
                yield Problem(source.path, line, message, hint)
            for block in self._uses[name].blocks if base else ():
                if block.outer and block.name not in known:
                    message = f"{base} has no block {block.name!r}"
                    hint = did_you_mean(block.name, known) or f"it has {', '.join(sorted(known))}"
                    yield Problem(source.path, block.line, message, hint)

    def _blocks(self, name: str) -> frozenset[str]:
        """Return the blocks of a template and of those that it extends."""
        own = {block.name for block in self._uses[name].blocks} if name else ()
        return self._blocks(self._base(name)).union(own) if name else frozenset()

    def _cycles(self) -> Iterator[Problem]:
        """Yield the cycles of `extends`, or if there are none those of `layout`."""
        extends = {name: base for name in self._sources if (base := self._base(name))}
        found = list(self._cycles_of(extends))
        if not found:
            parents = {name: self._parent(name) for name in self._sources}
            found = list(self._cycles_of(parents))
        yield from found

    def _cycles_of(self, parents: Mapping[str, str]) -> Iterator[Problem]:
        for name, source in self._sources.items():
            if loop := closure.cycle_from(name, parents):
                shown = " → ".join(item.removesuffix(".html") for item in loop)
                yield Problem(source.path, 1, f"the layouts form a cycle: {shown}")

    def _base(self, name: str) -> str:
        """Return the template that `name` extends, or nothing."""
        for reference in self._uses[name].references:
            if reference.extends and reference.names:
                return next((found for found in reference.names if found in self._sources), "")
        return ""

    def _parent(self, name: str) -> str:
        """Return the layout around the layout `name`, or nothing."""
        parent = self._keys(name).get("layout")
        return "" if parent is None else f"{parent}.html"

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
        parent = self._parent(name)
        return [*near, parent] if parent else near

    def _keys(self, name: str) -> Mapping[str, Any]:
        """Return a layout's front matter over that of the layout it extends."""
        keys = self._sources[name].keys
        base = self._base(name)
        return {**self._keys(base), **keys} if base else keys

    def _chain(self, name: str) -> tuple[str, ...]:
        parent = self._parent(name)
        return (name, *self._chain(parent)) if parent else (name,)

    def _runtime_error(
        self, name: str, context: Mapping[str, Any], error: BaseException
    ) -> ContentError:
        paths = {source.path for source in self._sources.values()}
        path, line = _place(error.__traceback__, paths) or (self._sources[name].path, 0)
        page = page_source(context)
        rendering = f" (while rendering {page})" if page else ""
        if isinstance(error, jinja2.UndefinedError):
            hint = "check the name; if it may be missing, write | default('')"
        elif isinstance(error, RecursionError):
            return ContentError.at(path, f"includes itself endlessly{rendering}", line=line)
        else:
            hint = (
                ""
                if isinstance(error, jinja2.TemplateError)
                else f"Python's {type(error).__name__}"
            )
        return ContentError.at(path, f"{error}{rendering}", hint, line=line)


def _place(traceback: TracebackType | None, paths: Iterable[str]) -> tuple[str, int] | None:
    """Return the innermost template line of a traceback, which Jinja has already rewritten."""
    found = None
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if path in paths:
            found = path, traceback.tb_lineno
        traceback = traceback.tb_next
    return found
