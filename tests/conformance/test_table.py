"""The published table has every test and every host; the tests themselves check its cells."""

from __future__ import annotations

from tests.conformance import test_errors, test_pull, test_push, test_referrers, test_tags
from tests.conformance.requirements import (
    PUSHED,
    REQUIREMENTS,
    all_requirements,
    pushed_rows,
    read_pushed,
    read_table,
)
from tests.hosts import HOSTS

MODULES = (test_pull, test_tags, test_referrers, test_errors)


def test_the_table_has_every_requirement_as_its_test_says() -> None:
    rows, cells = read_table()
    assert rows == all_requirements()
    assert {host for row in cells.values() for host in row} == set(HOSTS)


def test_every_test_is_that_of_a_requirement() -> None:
    tests = {name for module in MODULES for name in vars(module) if name.startswith("test_")}
    assert tests == set(REQUIREMENTS)


def test_the_table_of_pushing_has_every_test() -> None:
    assert {name for name in vars(test_push) if name.startswith("test_")} == set(PUSHED)
    assert read_pushed() == pushed_rows()


def test_serve_and_nginx_meet_all_that_both_releases_agree_on() -> None:
    rows, cells = read_table()
    for host in ("builder serve", "builder serve -t nginx", "nginx"):
        failed = [row.test for row in rows if not cells[row.test][host]]
        assert failed == ["test_order_regardless_of_case"], host
