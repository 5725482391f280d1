"""Jinja, set up: what every template may use, and that it escapes.

Nothing is looked up on disk once the templates are read, and nothing is
ever compiled from a text that is not a template file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from types import CodeType
from typing import Any

import jinja2
from jinja2.sandbox import safe_range
from markupsafe import Markup, escape

from builder.theme import filters

_UNSAFE = re.compile("[&<>'\"]")


class _CompiledLoader(jinja2.BaseLoader):
    """Hands out what is compiled; there is nothing to look up on disk."""

    def __init__(self, code: Callable[[str], CodeType | None]) -> None:
        self._code = code

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's name
    ) -> jinja2.Template:
        """Return the template `name`; raises TemplateNotFound."""
        code = self._code(name)
        if code is None:
            raise jinja2.TemplateNotFound(name)
        # Jinja's own mapping in layers is copied for each include of each page.
        made = environment.template_class.from_code(environment, code, dict(globals or {}))
        made.root_render_func.__globals__["escape"] = _escaped
        return made


def _escaped(value: object) -> str:
    """Do as `escape` does, and spare text with nothing to escape the way into a `Markup`.

    What templates print goes into one text, of which no part need say that it is safe.
    """
    return value if type(value) is str and _UNSAFE.search(value) is None else escape(value)


def make_environment(
    code: Callable[[str], CodeType | None],
    *,
    baseurl: str,
    url: str,
    timezone: str,
    markdown: str,
    assets: Mapping[str, str],
) -> jinja2.Environment:
    """Return an environment for templates whose code `code` gives by name, or None.

    The rest is what Jekyll's filters know of the site.
    """
    environment = jinja2.Environment(
        loader=_CompiledLoader(code),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.globals["range"] = safe_range  # a slip in a loop must not hang a build
    del environment.globals["lipsum"], environment.filters["random"]  # new at each build
    environment.tests["asset"] = _is_asset(assets)  # {% if "custom.css" is asset %}
    environment.filters.update(
        filters.all_filters(
            filters.UrlFilters(baseurl=baseurl, url=url, assets=assets),
            filters.DateFilters(timezone),
        )
    )
    environment.filters["markdownify"] = _markdownify(markdown, baseurl)
    return environment


def _is_asset(assets: Mapping[str, str]) -> Callable[[jinja2.runtime.Context, str], bool]:
    @jinja2.pass_context  # or Jinja would answer once and for all when it compiles
    def is_asset(context: jinja2.runtime.Context, name: str) -> bool:
        del context
        return name in assets

    return is_asset


def _markdownify(engine: str, baseurl: str) -> Callable[[jinja2.runtime.Context, object], Markup]:
    renderers: list[Any] = []  # filled on first use: most sites' layouts never ask

    @jinja2.pass_context
    def markdownify(context: jinja2.runtime.Context, value: object) -> Markup:
        if not renderers:
            from builder.text.markdown import MarkdownRenderer  # noqa: PLC0415 - a heavy import

            renderers.append(MarkdownRenderer(engine, baseurl))
        path = page_source(context) or "markdownify"
        text = "" if value is None else str(value)
        rendered = renderers[0].render(text, path=path, first_line=0)
        return Markup(rendered.html)  # noqa: S704 - sanitised there

    return markdownify


def page_source(context: Mapping[str, Any] | jinja2.runtime.Context) -> str:
    """Return the source path of the page that a context is for, or nothing."""
    source = filters.field_of(context.get("page"), "source")
    return source if isinstance(source, str) else ""
