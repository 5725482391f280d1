"""Content that some host would run, and some browser would show as a page of the site.

A host that gives each path its own type, and is told to run nothing, takes
manifests and blobs for what they are. Others go by names and first bytes,
and whoever opens a pull request chooses both. A file that is published never
has the right to be executed, so that what only runs with it (`.sh`, `.py`) is
left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.errors import Problem
from builder.output import Capabilities
from builder.storage.local import open_regular

# Any part of a name counts, not the last alone: Apache's AddHandler runs `x.php.png`.
PROGRAMS = frozenset({
    "php", "php3", "php4", "php5", "php7", "php8", "phps", "pht", "phtm", "phtml", "phar",
    "shtml", "shtm", "stm", "cgi", "fcgi", "pl", "lua", "wsgi", "config", "cer",
    "asp", "aspx", "asax", "asa", "ascx", "ashx", "asmx", "cshtml",
    "jsp", "jspx", "jspf", "cfm", "cfml", "cfc",
    "var", "asis",  # Apache takes type and body of the answer from these
})  # fmt: skip
PAGES = frozenset({
    "html", "htm", "xhtml", "xhtm", "xht", "xml", "xsl", "xslt", "svg", "svgz",
    "mht", "mhtml", "hta", "js", "mjs", "cjs", "swf",
})  # fmt: skip
# What makes a page of bytes without a type. Source: WHATWG MIME Sniffing, section 7.1.
_TAGS = (b"<!doctype html", b"<html", b"<head", b"<script", b"<iframe", b"<h1", b"<div", b"<font",
         b"<table", b"<a", b"<style", b"<title", b"<b", b"<body", b"<br", b"<p")  # fmt: skip
_ANYWAY = (b"<!--", b"<?xml")
_READ = 1445  # bytes that browsers look at
_SPACE = b"\t\n\x0c\r "
_SERVER = "serve /v2/ from a host that gives types (-t nginx, apache, caddy, s3)"


def active_tags(capable: Capabilities, tags: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Yield a problem for each tag, with its source path, that the host takes for a page."""
    if capable.media_types:
        return
    for origin, tag in tags:
        if part := _part(tag, PROGRAMS | PAGES):
            message = f"the tag {tag!r} is taken for a .{part} file by {capable.title}"
            yield Problem(origin, message=message, hint=f"use another name, or {_SERVER}")


def active_files(capable: Capabilities, files: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Yield a problem for each file, with its source path, that the host may run as a program."""
    if not capable.runs:
        return
    for origin, path in files:
        if part := _part(path.rpartition("/")[2], PROGRAMS):
            message = f"{path} may be run as a .{part} program by {capable.title}"
            hint = "rename it, or build for the very server (-t nginx, apache, caddy)"
            yield Problem(origin, message=message, hint=hint)


def active_pictures(capable: Capabilities, pictures: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each picture, by its source path, that may be run or shown as a page.

    Apache goes by the last part of a name that it knows, and an old one knows no `.avif`.
    """
    if not capable.runs:
        return
    for path in pictures:
        name = path.rpartition("/")[2]
        if part := _part(name, PROGRAMS | PAGES):
            message = f"{name} may be taken for a .{part} file by {capable.title}"
            hint = "rename it, or build for the very server (-t nginx, apache, caddy)"
            yield Problem(path, message=message, hint=hint)


def active_blobs(capable: Capabilities, blobs: Iterable[tuple[str, Path]]) -> Iterator[Problem]:
    """Yield a problem for each blob, with its source path, that begins like a page.

    Raises ContentError, LocalError or FileNotFoundError for one that does not open.
    """
    if not capable.guesses:
        return
    for origin, path in blobs:
        with open_regular(path, origin) as stream:
            if begins_a_page(stream.read(_READ)):
                message = f"begins like a web page, and may be shown as one by {capable.title}"
                hint = f"pack it (`builder bundle`, or a tar file), or {_SERVER}"
                yield Problem(origin, message=message, hint=hint)


def begins_a_page(data: bytes) -> bool:
    """Tell whether a browser that is told no type takes bytes that begin so for HTML or XML."""
    text = data.lstrip(_SPACE).lower()
    return text.startswith(_ANYWAY) or any(
        text.startswith(tag) and text[len(tag) : len(tag) + 1] in (b" ", b">") for tag in _TAGS
    )


def _part(name: str, active: frozenset[str]) -> str:
    """Return the first part of a name behind a dot that is one of `active`, or the empty string."""
    return next((part for part in name.lower().split(".")[1:] if part in active), "")
