"""
The router between users and two servers: a seeded coin says who answers, a second one whether both do.

The way back is one assignment: the share becomes 0. What is in flight is waited for and counted; nothing is lost.
"""

import dataclasses
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perflib.rehearsing.arms import Answer, Arm, ArmName

USER_COUNT = 4
# Between an answer and the next question; without it a rehearsal would take the whole machine.
THINKING_SEC = 0.01


@dataclasses.dataclass(frozen=True)
class Event:
    """One answer: when it came, and of which arm; ``other`` is what the user got, where this one is mirrored."""

    at_sec: float
    arm: ArmName
    answer: Answer
    other: Answer | None = None

    @property
    def is_served(self) -> bool:
        """Whether a user got it."""
        return self.other is None


class Router:
    """
    Splits requests between two arms.

    Args:
        arms: Who answers.
        seed: Of the coins; request number and seed alone decide a request's draws.
        clock: Monotonic seconds.
    """

    def __init__(self, arms: Mapping[ArmName, Arm], *, seed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._arms, self._seed, self._clock = arms, seed, clock
        self._traffic_ratio = self._mirror_ratio = 0.0
        self._in_flight_count = self._issued_count = 0
        self._events: list[Event] = []
        self._changed = threading.Condition()

    def route(self, *, traffic_ratio: float, mirror_ratio: float) -> None:
        """Send a share of the requests to the candidate, and let a share be answered by both."""
        with self._changed:
            self._traffic_ratio, self._mirror_ratio = traffic_ratio, mirror_ratio

    def roll_back(self, *, timeout_sec: float) -> int:
        """
        Send everything to the baseline, and wait for what the candidate still owes users.

        Args:
            timeout_sec: How long to wait at most.

        Returns:
            How many requests were in flight at the candidate.
        """
        with self._changed:
            self._traffic_ratio = self._mirror_ratio = 0.0
            in_flight_count = self._in_flight_count
            self._changed.wait_for(lambda: self._in_flight_count == 0, timeout=timeout_sec)
            return in_flight_count

    def handle(self, index: int, given: Any) -> None:
        """Answer one user, and then let the other arm answer too where the second coin says so."""
        dice = random.Random(f"{self._seed}-{index}")
        serve, mirror = dice.random(), dice.random()
        with self._changed:
            name: ArmName = "candidate" if serve < self._traffic_ratio else "baseline"
            self._issued_count += 1
            self._in_flight_count += name == "candidate"
        answer = self._arms[name].ask(given)
        with self._changed:
            self._events.append(Event(self._clock(), name, answer))
            self._in_flight_count -= name == "candidate"
            self._changed.notify_all()
            is_mirrored = mirror < self._mirror_ratio
        if is_mirrored:
            other: ArmName = "baseline" if name == "candidate" else "candidate"
            second = self._arms[other].ask(given)
            with self._changed:
                self._events.append(Event(self._clock(), other, second, other=answer))

    def events(self) -> list[Event]:
        """Return all answers so far, in the order in which they came."""
        with self._changed:
            return list(self._events)

    def lost_count(self) -> int:
        """Return how many requests of users have no answer; 0 once the users have stopped."""
        with self._changed:
            return self._issued_count - sum(event.is_served for event in self._events)


class Users:
    """
    A few users who ask one thing after the other; use it as a context manager.

    Args:
        router: Whom they ask.
        inputs: What they ask, in this order and over again.
    """

    def __init__(self, router: Router, inputs: Sequence[Any]) -> None:
        self._router, self._inputs = router, inputs
        self._numbers, self._stopping = itertools.count(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(USER_COUNT)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stopping.is_set():
            index = next(self._numbers)
            self._router.handle(index, self._inputs[index % len(self._inputs)])
            self._stopping.wait(THINKING_SEC)
