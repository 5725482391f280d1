"""Dates as content writes them and as pages show them.

Front matter holds dates as text; here they become aware times, and times
become text again, in English and the same on every machine whatever its
locale and its C library's strftime.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from builder.errors import ContentError

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r" ?(?P<zone>[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_DIRECTIVE = re.compile(r"%(?P<flag>[-0^_]?)(?P<code>[A-Za-z%])")


@lru_cache(maxsize=16)
def zone(name: str) -> tzinfo:
    """Return the time zone `name` (`Europe/Berlin`); the empty name is UTC.

    Raises ContentError for a zone that the time zone database does not have.
    """
    if name in {"", "UTC"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ContentError.at(
            "_config.yml",
            f"the timezone {name!r} is unknown",
            "write one like Europe/Berlin or UTC",
        ) from None


def parse_date(text: str, timezone: str) -> datetime | None:
    """Return the time that `text` writes, in the zone `timezone`; None if it writes none.

    `2024-01-31`, `2024-01-31 10:00:00 +0200` and `2024-01-31T10:00:00Z` are
    dates; a time without an offset is local to `timezone`.
    """
    match = _ISO.fullmatch(text.strip()) if text.isascii() else None
    if match is None:
        return None
    local = zone(timezone)
    try:
        return datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            int(match["hour"] or 0),
            int(match["minute"] or 0),
            int(match["second"] or 0),
            int((match["fraction"] or "0")[:6].ljust(6, "0")),
            tzinfo=_offset(match["zone"]) or local,
        ).astimezone(local)
    except (ValueError, OverflowError):
        return None


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def to_datetime(value: object, timezone: str) -> datetime | None:
    """Return `value`, a time, a day or a text, as a time in `timezone`; None for all else."""
    if isinstance(value, datetime):
        local = zone(timezone)
        return value.replace(tzinfo=local) if value.tzinfo is None else value.astimezone(local)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=zone(timezone))
    return parse_date(value, timezone) if isinstance(value, str) else None


def format_date(when: datetime, pattern: str) -> str:
    """Return `when` by a strftime `pattern`, month and day names in English.

    Knows the flags `-` (no padding), `_` (spaces), `0` and `^` (upper case);
    an unknown directive stays as it is written.
    """

    def directive(match: re.Match[str]) -> str:
        value = _directive(when, match["code"])
        if value is None:
            return match[0]
        flag = match["flag"]
        if flag == "^":
            return value.upper()
        if flag in {"-", "_"} and value.lstrip(" ").isdigit():
            bare = value.lstrip(" 0") or "0"
            return bare if flag == "-" else bare.rjust(len(value))
        return value.replace(" ", "0") if flag == "0" else value

    return _DIRECTIVE.sub(directive, pattern)


def _directive(when: datetime, code: str) -> str | None:
    if code in _COMPOSED:
        return format_date(when, _COMPOSED[code])
    numbers = {
        "Y": (when.year, "04d"), "y": (when.year % 100, "02d"), "C": (when.year // 100, "02d"),
        "m": (when.month, "02d"), "d": (when.day, "02d"), "e": (when.day, "2d"),
        "H": (when.hour, "02d"), "k": (when.hour, "2d"), "M": (when.minute, "02d"),
        "I": ((when.hour + 11) % 12 + 1, "02d"), "l": ((when.hour + 11) % 12 + 1, "2d"),
        "S": (when.second, "02d"), "L": (when.microsecond // 1000, "03d"),
        "j": (when.timetuple().tm_yday, "03d"), "u": (when.isoweekday(), "d"),
        "w": (when.isoweekday() % 7, "d"), "V": (when.isocalendar().week, "02d"),
        "G": (when.isocalendar().year, "04d"), "s": (int(when.timestamp()), "d"),
    }  # fmt: skip
    if code in numbers:
        number, form = numbers[code]
        return format(number, form)
    words = {
        "B": _MONTHS[when.month - 1], "b": _MONTHS[when.month - 1][:3],
        "h": _MONTHS[when.month - 1][:3],
        "A": _DAYS[when.weekday()], "a": _DAYS[when.weekday()][:3],
        "p": "PM" if when.hour >= 12 else "AM", "P": "pm" if when.hour >= 12 else "am",
        "Z": when.tzname() or "", "z": _numeric_offset(when), "%": "%",
    }  # fmt: skip
    return words.get(code)


_COMPOSED = {
    "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "X": "%H:%M:%S",
    "x": "%m/%d/%y", "r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y",
}  # fmt: skip


def _numeric_offset(when: datetime) -> str:
    minutes = int((when.utcoffset() or timedelta()).total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def xmlschema(when: datetime) -> str:
    """Return `2024-01-31T10:00:00+02:00`, as feeds and `<time datetime>` want it."""
    offset = _numeric_offset(when)
    return f"{format_date(when, '%Y-%m-%dT%H:%M:%S')}{offset[:3]}:{offset[3:]}"


def rfc822(when: datetime) -> str:
    """Return `Wed, 31 Jan 2024 10:00:00 +0200`."""
    return format_date(when, "%a, %d %b %Y %H:%M:%S %z")
