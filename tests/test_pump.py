"""The pump and the clock: one item at a time, virtual time that jumps, threads that get their turn."""

from __future__ import annotations

import threading

import pytest

from k8snb.clock import RealClock, VirtualClock
from k8snb.executor import ClockExecutor, ThreadExecutor
from k8snb.pump import SYNC, Item, Pump


def virtual() -> tuple[Pump, VirtualClock]:
    clock = VirtualClock(start=1000.0)
    return Pump(clock), clock


def test_items_run_in_the_order_in_which_they_came() -> None:
    pump, _ = virtual()
    ran: list[str] = []
    for name in "abc":
        pump.add(Item(name, SYNC, lambda name=name: ran.append(name)))  # type: ignore[misc]
    steps = [pump.step(), pump.step(), pump.step(), pump.step()]
    assert ran == ["a", "b", "c"]
    assert [step.component for step in steps if step] == ["a", "b", "c"]


def test_settling_jumps_from_timer_to_timer() -> None:
    pump, clock = virtual()
    moments: list[float] = []
    clock.after(5, lambda: moments.append(clock.now()))
    clock.after(3600, lambda: moments.append(clock.now()))
    assert pump.settle(limit=4000)
    assert moments == [1005.0, 4600.0]


def test_nobody_waits_for_a_background_timer() -> None:
    pump, clock = virtual()
    ran: list[str] = []

    def heartbeat() -> None:
        ran.append("beat")
        clock.after(10, heartbeat, background=True)

    heartbeat()
    clock.after(25, lambda: ran.append("done"))
    assert pump.settle()
    assert ran == ["beat", "beat", "beat", "done"]
    assert clock.now() == 1025.0


def test_settling_gives_up_at_its_limit() -> None:
    pump, clock = virtual()

    def again() -> None:
        clock.after(10, again)

    again()
    assert not pump.settle(limit=100)
    assert clock.now() == 1100.0


def test_a_cancelled_timer_does_not_fire() -> None:
    pump, clock = virtual()
    timer = clock.after(1, lambda: pytest.fail("it fired"))
    timer.cancel()
    assert pump.settle()
    assert clock.now() == 1000.0


def test_a_failing_item_is_reported_and_the_next_one_runs() -> None:
    pump, _ = virtual()
    failures: list[tuple[str, str]] = []
    ran: list[str] = []
    pump.on_failure = lambda component, details: failures.append((component, details))

    def broken() -> None:
        raise ValueError("no such luck")

    pump.add(Item("one", SYNC, broken))
    pump.add(Item("two", SYNC, lambda: ran.append("two")))
    pump.settle()
    assert ran == ["two"]
    assert failures[0][0] == "one"
    assert "no such luck" in failures[0][1]


def test_work_on_the_clock_takes_the_time_it_says() -> None:
    pump, clock = virtual()
    answers: list[tuple[float, object]] = []
    executor = ClockExecutor(clock, take_elapsed=lambda: 2.5)
    executor.submit(lambda: "pulled", lambda result, error: answers.append((clock.now(), result)))
    executor.submit(lambda: 1 / 0, lambda result, error: answers.append((clock.now(), type(error))))
    pump.settle()
    assert answers == [(1002.5, "pulled"), (1002.5, ZeroDivisionError)]


def test_answers_of_threads_arrive_in_the_pump() -> None:
    pump = Pump(RealClock())
    executor = ThreadExecutor(pump.post, workers=2)
    arrived: list[str] = []
    pump.start()
    try:
        executor.submit(lambda: threading.current_thread().name, lambda result, error: arrived.append(result))
        executor.submit(lambda: None, lambda result, error: arrived.append(threading.current_thread().name))
        assert pump.wait(lambda: len(arrived) == 2, 5)
    finally:
        executor.close()
        pump.stop()
    assert "k8snb-pump" in arrived
    assert any(name.startswith("k8snb-work") for name in arrived)


def test_a_busy_pump_lets_an_outside_thread_in() -> None:
    pump = Pump(RealClock())
    turns = [0]

    def spin() -> None:
        turns[0] += 1
        pump.add(Item("spinner", SYNC, spin))

    pump.add(Item("spinner", SYNC, spin))
    pump.start()
    try:
        for _ in range(20):
            with pump.lock:
                before = turns[0]
                assert turns[0] == before
    finally:
        pump.stop()
    assert not pump.running


def test_a_paused_pump_moves_by_steps_only() -> None:
    pump = Pump(RealClock())
    ran: list[str] = []
    pump.paused = True
    pump.start()
    try:
        with pump.lock:
            pump.add(Item("one", SYNC, lambda: ran.append("one")))
            pump.add(Item("two", SYNC, lambda: ran.append("two")))
        with pump.lock:
            pump.step()
            assert ran == ["one"]
            pump.paused = False
        assert pump.wait(lambda: ran == ["one", "two"], 5)
    finally:
        pump.stop()


def test_the_death_of_the_pump_is_not_silent() -> None:
    pump = Pump(RealClock())
    told: list[str] = []
    pump.on_failure = lambda component, details: told.append(component)

    def fatal() -> None:
        raise SystemExit("the end")

    pump.add(Item("killer", SYNC, fatal))
    pump.start()
    assert not pump.wait(lambda: False, 2)
    assert told == ["pump"]
    assert pump.failure is not None
    assert "the end" in pump.failure
    pump.stop()


def test_waiting_for_what_does_not_come_costs_nothing() -> None:
    pump = Pump(RealClock())
    asked = [0]

    def until() -> bool:
        asked[0] += 1
        with pump.lock:  # a condition reads the cluster, under the lock
            return False

    pump.start()
    try:
        assert not pump.wait(until, 1.2)
    finally:
        pump.stop()
    assert asked[0] < 10


def test_a_timer_set_from_outside_wakes_the_pump() -> None:
    pump = Pump(RealClock())
    rang: list[str] = []
    pump.start()
    try:
        pump.wait(lambda: False, 0.05)
        with pump.lock:
            pump.clock.after(0.05, lambda: rang.append("bell"))
        assert pump.wait(lambda: bool(rang), 5)
    finally:
        pump.stop()


def test_work_that_breaks_its_thread_still_answers() -> None:
    pump = Pump(RealClock())
    executor = ThreadExecutor(pump.post)
    errors: list[BaseException | None] = []

    def leave() -> None:
        raise SystemExit(1)

    pump.start()
    executor.submit(leave, lambda result, error: errors.append(error))
    assert pump.wait(lambda: bool(errors), 5)
    assert isinstance(errors[0], SystemExit)
    executor.close()
    pump.stop()


def test_closing_waits_once_for_all_work_that_hangs() -> None:
    executor = ThreadExecutor(lambda callback: None)
    release = threading.Event()
    for _ in range(8):
        executor.submit(release.wait, lambda result, error: None)
    clock = RealClock()
    began = clock.monotonic()
    executor.close(timeout=0.2)
    assert clock.monotonic() - began < 1.0
    release.set()


def test_a_pump_that_is_started_again_has_not_failed() -> None:
    pump = Pump(RealClock())
    pump.failure = "of the time before"
    pump.start()
    assert pump.failure is None
    pump.stop()


def test_work_is_not_held_up_by_work_that_waits() -> None:
    pump = Pump(RealClock())
    executor = ThreadExecutor(pump.post, workers=1)
    release, done = threading.Event(), []
    pump.start()
    for _ in range(5):
        executor.submit(release.wait, lambda result, error: done.append("waited"), waits=True)
    executor.submit(lambda: None, lambda result, error: done.append("worked"))
    assert pump.wait(lambda: done == ["worked"], 5)
    release.set()
    assert pump.wait(lambda: len(done) == 6, 5)
    executor.close()
    pump.stop()
