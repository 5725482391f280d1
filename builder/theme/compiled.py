"""Templates judged and compiled: all are judged at once, code is made when one is used.

What was found out about a template is kept between runs, its code is not:
code from a folder of caches would run with the rights of whoever builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import CodeType

import jinja2

from builder.errors import ContentError, Problem
from builder.fingerprint import code_key, fingerprint
from builder.storage.cache import Cache
from builder.theme import liquid
from builder.theme.closure import Uses, uses
from builder.theme.environment import make_environment
from builder.theme.sources import TemplateSource


class Compiled:
    """The code of templates by name; `cache` keeps what each of them reads."""

    def __init__(self, sources: Mapping[str, TemplateSource], cache: Cache) -> None:
        self._sources = sources
        self._cache = cache

    def judge(self, problems: list[Problem]) -> dict[str, Uses]:
        """Return what each template reads; what is wrong with any joins `problems`."""
        by_path: dict[str, Uses] = {}
        for source in self._sources.values():
            if source.path not in by_path:  # a theme's template has two names
                try:
                    by_path[source.path] = self._judged(source)
                except ContentError as error:
                    problems.extend(error.problems)
                    by_path[source.path] = Uses()
        return {name: by_path[source.path] for name, source in self._sources.items()}

    def code(self, name: str) -> CodeType | None:
        """Return the code of a template that was judged sound; None where there is none."""
        source = self._sources.get(name)
        return _compiled(source.text, source.path)[1] if source else None

    def _judged(self, source: TemplateSource) -> Uses:
        key = f"template {fingerprint(code_key(), jinja2.__version__, source.path, source.text)}"
        if (kept := self._cache.get(key)) is not None:
            return Uses.from_text(kept.decode())
        found = _judge(source)
        self._cache.put(key, found.to_text().encode())
        return found


def _judge(source: TemplateSource) -> Uses:
    """Return what a template reads; raises ContentError for Liquid and for bad Jinja."""
    if found := list(liquid.constructs(source.text)):
        raise ContentError(
            [
                Problem(source.path, line, f"{what} is Liquid; page layouts are Jinja", hint)
                for line, what, hint in found
            ]
        )
    try:
        return _compiled(source.text, source.path)[0]
    except jinja2.TemplateSyntaxError as error:
        message = f"is not valid Jinja: {error.message or 'cannot be read'}"
        raise ContentError.at(source.path, message, line=error.lineno) from error


@lru_cache(maxsize=500)
def _compiled(text: str, path: str) -> tuple[Uses, CodeType]:
    """Return what a template reads, and its code; kept, for a preview compiles often."""
    environment = _environment()
    tree = environment.parse(text, path, path)
    return uses(tree, text), environment.compile(tree, path, path)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return make_environment(
        lambda _: None, baseurl="", url="", timezone="UTC", markdown="", assets={}
    )
