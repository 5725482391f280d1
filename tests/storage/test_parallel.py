from __future__ import annotations

import threading

import pytest

from builder.errors import LocalError
from builder.storage.parallel import Stopped, run_growing, run_parallel


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


def test_what_an_item_leads_to_is_worked_on_before_what_waits() -> None:
    order: list[str] = []

    def work(item: str) -> list[str]:
        order.append(item)
        return [f"{item}{number}" for number in range(2)] if len(item) < 3 else []

    run_growing(["a", "b"], work, threads=1, stop=threading.Event())
    assert order == [
        "a",
        "a0",
        "a00",
        "a01",
        "a1",
        "a10",
        "a11",
        "b",
        "b0",
        "b00",
        "b01",
        "b1",
        "b10",
        "b11",
    ]


def test_many_threads_end_when_all_that_grew_is_done() -> None:
    done: list[int] = []

    def work(item: int) -> range:
        done.append(item)
        return range(10 * item + 1, 10 * item + 4) if item < 100 else range(0)

    run_growing([1], work, threads=8, stop=threading.Event())
    assert len(done) == 1 + 3 + 9


def test_a_failure_wakes_those_that_wait_for_more() -> None:
    def work(item: int) -> list[int]:
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"):
        run_growing([7], work, threads=8, stop=threading.Event())


def test_a_failure_ends_every_thread_that_works_or_waits() -> None:
    stop, before = threading.Event(), set(threading.enumerate())

    def work(item: int) -> list[int]:
        if item == 0:
            raise ValueError(item)
        stop.wait(30)  # at work until all is to end
        return [item + 10]

    with pytest.raises(ValueError, match="0"):
        run_growing([1, 2, 0], work, threads=6, stop=stop)
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_threads_cannot_be_started(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def limited(self: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    done: list[int] = []
    if allowed:
        run_parallel(range(20), done.append, threads=4, stop=threading.Event())
        assert sorted(done) == list(range(20))
    else:
        with pytest.raises(LocalError, match="no thread"):
            run_parallel(range(20), done.append, threads=4, stop=threading.Event())
