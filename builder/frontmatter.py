"""Front matter and YAML, read strictly and with line numbers.

Content comes from strangers: no anchors, aliases, merge keys or tags (a bomb
of 774 bytes keeps PyYAML busy for 17 s), no duplicate keys, no surprises of
YAML 1.1 (`no` stays `no`, 1.10 stays 1.10). libyaml parses the events; the
values are built here, because only here are the lines known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import frontmatter
import yaml
from frontmatter.default_handlers import YAMLHandler

from builder.errors import ContentError

MAX_FRONT_MATTER = 64 << 10
MAX_DEPTH = 64

KeyPath = tuple[str | int, ...]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_CONSTANTS: Mapping[str, bool | None] = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip


class Yaml(NamedTuple):
    """A YAML value and the line, counted from 1, of every key and item in it."""

    value: Any
    lines: dict[KeyPath, int]


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """A file split into its front matter and its text.

    `keys` is empty and `present` false where there is none; `body_line` is
    the line the text starts at.
    """

    path: str
    keys: dict[str, Any]
    body: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    body_line: int = 1
    present: bool = False

    def line(self, *key: str | int) -> int:
        """Return the line of a key, or of its nearest parent that has one."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key[:-1]
        return 1


class _StrictHandler(YAMLHandler):
    """python-frontmatter's YAML handler with our loader behind it."""

    def __init__(self, path: str, first_line: int) -> None:
        super().__init__()
        self._path = path
        self._first_line = first_line

    def load(self, fm: str, **_: object) -> Any:
        """Return a mapping with the `Yaml` under a key that no YAML can spell."""
        return {"": load_yaml(fm, self._path, first_line=self._first_line)}


_BOUNDARY = YAMLHandler.FM_BOUNDARY


def parse(raw: bytes, path: str) -> FrontMatter:
    """Split and read `raw`, the bytes of the file `path`.

    Raises ContentError with path and line: not UTF-8, a front matter that is
    not closed, not a mapping, over 64 KiB, or not strict YAML.
    """
    text = decode(raw, path)
    if not _opens(text):
        return FrontMatter(path, {}, text)
    parts = _BOUNDARY.split(text, 2)
    if len(parts) < 3:
        raise ContentError.at(
            path,
            "the front matter opened by '---' is never closed",
            "end it with a line that holds only '---'",
            line=1,
        )
    head = parts[1]
    if len(head) > MAX_FRONT_MATTER:
        message = f"the front matter is too large: the limit is {MAX_FRONT_MATTER} characters"
        raise ContentError.at(path, message, "move text below the front matter", line=1)
    first_line = text.count("\n", 0, text.index(head, 3)) + 1
    metadata: Any
    metadata, body = frontmatter.parse(text, handler=_StrictHandler(path, first_line))
    document: Yaml = metadata[""]
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ContentError.at(
            path,
            f"the front matter must be a mapping of keys to values, not {_kind(value)}",
            "write 'key: value' lines",
            line=2,
        )
    return FrontMatter(path, value, body, document.lines, _body_line(text, body), present=True)


def decode(raw: bytes, path: str) -> str:
    """Return `raw` as text: UTF-8, without a byte order mark, LF line ends.

    Raises ContentError for another encoding or a NUL character.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ContentError.at(path, "is not UTF-8 text", "save it as UTF-8", line=line) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ContentError.at(path, "holds a NUL character", "remove it", line=line)
    return text.replace("\r\n", "\n") if "\r" in text else text


def _opens(text: str) -> bool:
    return text.startswith("---") and text[3:].partition("\n")[0].strip() == ""


def _body_line(text: str, body: str) -> int:
    start = text.rfind(body) if body else len(text)
    return text.count("\n", 0, start) + 1


def load_yaml(text: str, path: str, *, first_line: int = 1) -> Yaml:
    """Return the value of a YAML document, by YAML 1.2's core schema.

    `true`, `false`, `null` and integers are typed; all else is text. Raises
    ContentError with `path` and the line (the first being `first_line`).
    """
    builder = _Builder(path, first_line)
    try:
        return builder.build(yaml.parse(text, Loader=yaml.CLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        message = _explain(text, line, error.problem or error.context or "cannot be read")
        raise ContentError.at(path, message, line=first_line + line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        message = f"holds the character #x{error.character:04x}, which YAML does not allow"
        raise ContentError.at(path, message, line=first_line + line) from None


def _explain(text: str, line: int, problem: str) -> str:
    lines = text.split("\n")
    if line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return "YAML cannot be indented with a tab; use spaces"
    return f"is not valid YAML: {problem}"


class _Builder:
    """Builds one value from libyaml's events, with a stack of its own."""

    def __init__(self, path: str, first_line: int) -> None:
        self._path = path
        self._first_line = first_line
        self._lines: dict[KeyPath, int] = {}

    def build(self, events: Iterator[Any]) -> Yaml:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refusal(event, "holds more than one YAML document")
            elif isinstance(event, yaml.NodeEvent):
                value = self._node(event, events, ())
        return Yaml(value, self._lines)

    def _node(self, event: Any, events: Iterator[Any], at: KeyPath) -> Any:
        self._check(event, at)
        if isinstance(event, yaml.ScalarEvent):
            if _CONTROL.search(event.value):
                raise self._refusal(event, f"{_named(at)} holds a control character")
            return _scalar(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, at)
        return self._sequence(events, at)

    def _mapping(self, events: Iterator[Any], at: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        event: Any
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if type(event) is not yaml.ScalarEvent:
                raise self._refusal(event, "a key must be plain text")
            self._check(event, at)
            key, line = event.value, self._line(event)
            if key == "<<":
                raise self._refusal(event, "merge keys ('<<') are not allowed here")
            if key in result:
                raise self._refusal(event, f"the key {key!r} stands here twice")
            self._lines[(*at, key)] = line
            result[key] = self._node(next(events), events, (*at, key))
        return result

    def _sequence(self, events: Iterator[Any], at: KeyPath) -> list[Any]:
        result: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            place = (*at, len(result))
            self._lines[place] = self._line(event)
            result.append(self._node(event, events, place))
        return result

    def _check(self, event: Any, at: KeyPath) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._refusal(event, f"aliases ('*{event.anchor}') are not allowed here")
        if event.anchor is not None:
            raise self._refusal(event, f"anchors ('&{event.anchor}') are not allowed here")
        if event.tag is not None and event.tag != "!":
            raise self._refusal(
                event, f"{_named(at)} has the tag {event.tag!r}; tags are not allowed here"
            )
        if len(at) > MAX_DEPTH:
            raise self._refusal(event, f"is nested deeper than {MAX_DEPTH} levels")

    def _refusal(self, event: Any, message: str) -> ContentError:
        hint = "write plain keys and values"
        return ContentError.at(self._path, message, hint, line=self._line(event))

    def _line(self, event: Any) -> int:
        return int(event.start_mark.line) + self._first_line


def _named(at: KeyPath) -> str:
    return f"the value of {at[-1]!r}" if at else "this value"


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if not event.implicit[0]:  # quoted or a block: always text
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", int: "a number", bool: "a truth value"}.get(
        type(value), "this"
    )


def set_key(text: str, key: str, value: str) -> str:
    """Return `text` with the top-level front matter `key` set to the plain `value`.

    All else keeps its bytes; a file without front matter gains one.
    """
    line = f"{key}: {value}\n"
    if not _opens(text):
        return f"---\n{line}---\n{text}"
    head, rest = text.split("\n", 1)
    existing = re.compile(rf"^{re.escape(key)}:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)
    end = re.search(r"^---[ \t]*$", rest, re.MULTILINE)
    front, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if existing.search(front):
        return f"{head}\n{existing.sub(lambda _: line, front, count=1)}{tail}"
    return f"{head}\n{front}{line}{tail}"


def drop_key(text: str, key: str) -> str:
    """Return `text` without the top-level front matter `key`; all else keeps its bytes."""
    if not _opens(text):
        return text
    head, rest = text.split("\n", 1)
    end = re.search(r"^---[ \t]*$", rest, re.MULTILINE)
    front, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    existing = re.compile(rf"^{re.escape(key)}[ \t]*:.*\n(?:[ \t-]+.*\n)*", re.MULTILINE)
    return f"{head}\n{existing.sub('', front, count=1)}{tail}"
