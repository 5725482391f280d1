from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from builder.documents import dates
from builder.errors import ContentError

READ = [
    ("2024-01-31", "UTC", "2024-01-31T00:00:00+00:00"),
    ("2024-01-31", "Europe/Berlin", "2024-01-31T00:00:00+01:00"),
    ("2024-07-31 10:00", "Europe/Berlin", "2024-07-31T10:00:00+02:00"),
    ("2024-01-31 10:00:00 +0200", "UTC", "2024-01-31T08:00:00+00:00"),
    ("2024-01-31T10:00:00Z", "America/New_York", "2024-01-31T05:00:00-05:00"),
    ("2024-01-31T10:00:00.123456789Z", "UTC", "2024-01-31T10:00:00+00:00"),
    ("2024-01-31T10:00:00-05:30", "UTC", "2024-01-31T15:30:00+00:00"),
]


@pytest.mark.parametrize(("text", "zone", "shown"), READ)
def test_dates_are_read(text: str, zone: str, shown: str) -> None:
    when = dates.parse_date(text, zone)
    assert when is not None
    assert dates.xmlschema(when) == shown


NOT_DATES = [
    "", "soon", "2024", "2024-99-99", "2024-02-30", "2024-1-1", "31.01.2024",
    "2024-01-31T25:00:00Z",
    "2024-01-31 10:00:00 CEST", "0001-01-01T00:00:00+2359", "9999-12-31T23:59:59-2359",
    "2024-01-31T10:00:00+9999", "\uff12024-01-31", "2024-01-31\n2024-01-31", "0000-01-01",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_DATES)
def test_other_texts_are_no_dates(text: str) -> None:
    assert dates.parse_date(text, "Asia/Tokyo") is None


FORMATS = [
    ("%Y-%m-%d %H:%M:%S", "2024-02-03 16:05:06"),
    ("%-d %B %Y, %A %^b %j", "3 February 2024, Saturday FEB 034"),
    ("%e|%_m|%y|%I %p|%l %P|%b", " 3| 2|24|04 PM| 4 pm|Feb"),
    ("%F %T %z %Z %s %% %u %w %V %G", "2024-02-03 16:05:06 +0000 UTC 1706976306 % 6 6 05 2024"),
    ("%c %x %X %D %R %r", "Sat Feb  3 16:05:06 2024 02/03/24 16:05:06 02/03/24 16:05 04:05:06 PM"),
    ("%Q %", "%Q %"),
]


@pytest.mark.parametrize(("pattern", "shown"), FORMATS)
def test_dates_are_shown_the_same_everywhere(pattern: str, shown: str) -> None:
    assert dates.format_date(datetime(2024, 2, 3, 16, 5, 6, tzinfo=UTC), pattern) == shown


def test_days_and_times_without_a_zone_are_local() -> None:
    berlin = dates.zone("Europe/Berlin")
    assert dates.to_datetime(date(2024, 1, 1), "Europe/Berlin") == datetime(
        2024, 1, 1, tzinfo=berlin
    )
    naive = datetime(2024, 1, 1, 5)  # noqa: DTZ001
    assert dates.to_datetime(naive, "Europe/Berlin") == datetime(2024, 1, 1, 5, tzinfo=berlin)
    assert dates.to_datetime(20240101, "UTC") is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\0b"])
def test_an_unknown_zone_is_a_problem_of_the_configuration(name: str) -> None:
    with pytest.raises(ContentError, match=r"_config.yml: the timezone"):
        dates.zone(name)
