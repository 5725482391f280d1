from __future__ import annotations

import threading

import pytest

from builder.storage.parallel import Stopped, run_parallel


def test_every_item_is_worked_on_once() -> None:
    done: list[int] = []
    run_parallel(range(50), done.append, threads=4, stop=threading.Event())
    assert sorted(done) == list(range(50))


def test_the_first_failure_is_raised_and_stops_the_others() -> None:
    stop = threading.Event()
    ended: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise ValueError(item)
        assert stop.wait(30), "nobody said stop"
        ended.append(item)
        raise Stopped

    with pytest.raises(ValueError, match="0"):
        run_parallel(range(20), work, threads=3, stop=stop)
    assert len(ended) == 2  # what was under way; nothing was begun after that


def test_nothing_to_do() -> None:
    run_parallel([], pytest.fail, threads=4, stop=threading.Event())
