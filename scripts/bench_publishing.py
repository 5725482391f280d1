"""What publishing costs, to a folder and to a bucket, and what it sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from generate import name_of
from measure import BUILDER, Cost, Row, Rows, measured, need, row
from plan import Plan, edit, put_aside
from servers import S3_LOGIN, s3

_IN_BUCKET = 300  # collections at most: the server, not the builder, takes most of the time


def to_folder(plan: Plan) -> Rows:
    """Publish to a folder for nginx; files are those that the release did not have before."""
    place = plan.fresh("published")
    stored = place / "blobs"
    seen = 0

    def sent() -> Row:
        nonlocal seen
        before, seen = seen, sum(1 for path in stored.rglob("*") if path.is_file())
        return {"uploads": seen - before}

    return _rows(plan, plan.small, ["-t", "nginx", str(place)], {}, sent)


def to_bucket(plan: Plan) -> Rows:
    """Publish to a bucket of a real S3 server, whose log tells the requests."""
    need(package="moto")
    with s3(plan.work) as (endpoint, log), log.open() as lines:
        login = {**S3_LOGIN, "AWS_ENDPOINT_URL": endpoint}
        count = min(_IN_BUCKET, plan.small)
        return _rows(plan, count, ["-t", "s3", "s3://bench"], login, lambda: _requests(lines))


def _requests(lines: Iterable[str]) -> Row:
    """Return how many requests of each kind the next lines of a server's log tell of."""
    found = Counter(map(_kind, lines))
    return {name: found[name] for name in ("uploads", "listings", "other requests")}


def _kind(line: str) -> str:
    method, _, path = line.partition('"')[2].partition(" ")
    if method == "GET" and "list-type=2" in path:
        return "listings"
    if method == "PUT":
        return "uploads"
    return "other requests" if method.isupper() else "no request"


def _rows(
    plan: Plan, count: int, flags: list[str], login: dict[str, str], sent: Callable[[], Row]
) -> Rows:
    sent()  # what was there before
    return {
        f"{count:,}: {what}": row(cost) | sent()
        for what, cost in _publishes(plan.registry(count), plan.fresh("to-publish"), flags, login)
    }


def _publishes(
    source: Path, site: Path, flags: list[str], login: dict[str, str]
) -> Iterator[tuple[str, Cost]]:
    """Publish what was built before, then nothing new, then with the build of an edit."""
    put_aside(source / ".builder-cache")
    common = ["-q", "-s", str(source), "-d", str(site)]
    publish = [*BUILDER, "publish", *common, *flags]
    measured([*BUILDER, "build", *common, *flags[:2]])
    yield "whole", measured(publish, login)
    yield "nothing changed", measured(publish, login)
    edit(source / "collections" / name_of(7) / "README.md", "One more line, published.")
    yield "one README", measured(publish, login)
