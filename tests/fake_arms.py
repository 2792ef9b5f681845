"""Arms and a machine without processes: fake clocks and any noise one likes, behind the real timing code."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perflib.benchmarking.arm import ArmError, ArmName
from perflib.benchmarking.conditions import Snapshot, Watch
from perflib.benchmarking.protocol import Slot
from perflib.benchmarking.scenarios import SCENARIOS
from perflib.benchmarking.timers import CpuTimer
from perflib.results import Readings

BASE_SEC = 0.01
SLOTS_COUNT = 4

# What a machine can do to a unit, by name; see `FakeWatch`.
STEAL = {"steal_ratio": 0.05}
PRESSURE = {"psi_cpu_ratio": 0.6}
THROTTLE = {"throttle_count": 2}
GPU_THROTTLE = {"gpu_throttle_bits": 0x40}
OTHER_LOAD = {"other_load_core_count": 1.5}

Reply = dict[str, Any]


def _dies(reply: Reply) -> Reply:
    raise ArmError("the fake arm died; see its last output: it printed nothing", arm="fake", trouble="died")


def _interrupts(reply: Reply) -> Reply:
    raise KeyboardInterrupt


def _times(samples: list[Any]) -> Callable[[Reply], Reply]:
    return lambda reply: reply | {"samples_sec": samples}


# Named ways in which a reply can go wrong; see `FakeHost.break_arm`.
TROUBLES: Mapping[str, Callable[[Reply], Reply]] = {
    "dies": _dies,
    "ctrl-c": _interrupts,
    "other shape": lambda reply: reply | {"answer_shape": [1, 7]},
    "rubbish shape": lambda reply: reply | {"answer_shape": "wide"},
    "rubbish": lambda reply: {"hello": "world"},
    "no times": _times([]),
    "negative time": _times([0.01, -0.02]),
    "zero time": _times([0.01, 0.0]),
    "nan time": _times([0.01, math.nan]),
    "infinite time": _times([0.01, math.inf]),
    "huge time": _times([0.01, 10**400]),
    "text for a time": _times([0.01, "soon"]),
    "truth for a time": _times([True]),
    "negative processor time": lambda reply: reply | {"cpu_sec": -1.0},
    "negative energy": lambda reply: reply | {"energy_joule": -5.0},
    "negative load time": lambda reply: reply | {"load_sec": -0.5},
    "nan load time": lambda reply: reply | {"load_sec": math.nan},
    "negative memory": lambda reply: reply | {"peak_rss_bytes": -1},
    "text for memory": lambda reply: reply | {"peak_rss_bytes": "much"},
}


class FakeHost:
    """
    One machine that starts arms: a clock, slot noise, the luck of each process, and what its arms were asked.

    ``noise`` gives the log of the next slot's slowness, whoever runs; ``luck`` the log of a process's, by its position
    in the life (0 started first); ``cost_log`` what the candidate really costs more than the baseline.
    """

    def __init__(
        self,
        *,
        cost_log: float = 0.0,
        noise: Callable[[], float] = lambda: 0.0,
        luck: Callable[[int], float] = lambda position: 0.0,
        calls_count: int = 1,
    ) -> None:
        self.cost_log, self.noise, self.luck, self.calls_count = cost_log, noise, luck, calls_count
        self.now_ns = 0
        self.arms: list[FakeArm] = []
        self.asked: list[tuple[str, str]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._changes: dict[tuple[str, str], list[tuple[int | None, Callable[[Reply], Reply]]]] = {}

    def __call__(self, label: ArmName, *, hash_seed: int, padding_bytes: int) -> "FakeArm":
        """Start an arm, as a `Launcher` does."""
        life = 1 + sum(arm.label == label for arm in self.arms)
        arm = FakeArm(label, self, life=life, hash_seed=hash_seed, padding_bytes=padding_bytes)
        self.arms.append(arm)
        return arm

    def command(self, label: ArmName) -> tuple[str, ...]:
        """Return the arm's command line."""
        return ("fake", label)

    def clock(self) -> float:
        """Return the host's seconds, which only calls move."""
        return self.now_ns / 1e9

    def change(self, label: ArmName, op: str, how: Callable[[Reply], Reply], *, life: int | None = None) -> None:
        """Let an arm answer ``op`` otherwise, in one life (counted from 1) or in all of them."""
        self._changes.setdefault((label, op), []).append((life, how))

    def break_arm(self, label: ArmName, op: str, trouble: str, *, life: int = 1) -> None:
        """Let an arm go wrong in one of the `TROUBLES`."""
        self.change(label, op, TROUBLES[trouble], life=life)

    def changed(self, label: str, op: str, life: int, reply: Reply) -> Reply:
        """Return what the arm answers in the end."""
        for when, how in self._changes.get((label, op), []):
            if when in (None, life):
                reply = how(reply)
        return reply

    def slots(self) -> str:
        """Return the order in which timed slots were asked for, A for the baseline."""
        return "".join("A" if label == "baseline" else "B" for label, op in self.asked if op == "slot")


class FakeArm:
    """An arm whose calls move the host's clock; no process is started."""

    def __init__(self, label: ArmName, host: FakeHost, *, life: int, hash_seed: int, padding_bytes: int) -> None:
        self.label, self.host, self.life, self.is_closed = label, host, life, False
        self.hash_seed, self.padding_bytes = hash_seed, padding_bytes
        self.luck_log = host.luck(len(host.arms) % 2)
        self.cost_log = host.cost_log if label == "candidate" else 0.0
        self._timer = CpuTimer(lambda: host.now_ns)
        self._waiting: dict[str, Any] = {}

    def send(self, request: dict[str, Any]) -> None:
        """Take a request."""
        self._waiting = request
        self.host.requests.append((self.label, request))

    def receive(self) -> Reply:
        """Answer the request taken."""
        op = self._waiting["op"]
        self.host.asked.append((self.label, op))
        return self.host.changed(self.label, op, self.life, self._answer(op))

    def close(self) -> None:
        """Remember that the arm was ended."""
        self.is_closed = True

    def _answer(self, op: str) -> Reply:
        if op == "load":
            return {"load_sec": 0.8, "answer_shape": [1, 3], "python": "3.11.7", "versions": {"torch": "2.13.0"}}
        if op == "stop":
            return {"peak_rss_bytes": 1000, "peak_device_bytes": None}
        samples_sec = self._time(self._waiting["scenario"], self._waiting["passes"])
        if op == "warm":
            return {"samples_sec": samples_sec}
        return {
            "samples_sec": samples_sec,
            "cpu_sec": sum(samples_sec),
            "involuntary_switch_count": 3,
            "energy_joule": None,
        }

    def _time(self, name: str, passes_count: int) -> list[float]:
        scenario = SCENARIOS[name]
        step_ns = round(1e9 * BASE_SEC * math.exp(self.cost_log + self.luck_log + self.host.noise()))
        # All at once is one call a pass; a server slot is one number, seconds per request at the largest rate.
        count = passes_count * (self.host.calls_count if scenario.statistic == "p50" else 1)
        return [self._timer.time(lambda: self._run(step_ns)) for _ in range(count)]

    def _run(self, step_ns: int) -> None:
        self.host.now_ns += step_ns


class FakeWatch(Watch):
    """
    A machine whose readings a test scripts, unit by unit; nothing of the real one is read.

    ``script`` returns what is unusual about the unit with this number (from 0, over all scenarios and lives);
    ``before_core_count`` is what others use of the machine before the first life.
    """

    def __init__(
        self,
        script: Callable[[int], Mapping[str, Any]] | Sequence[Mapping[str, Any]] = (),
        *,
        before_core_count: float = 0.0,
    ) -> None:
        super().__init__(pause=lambda wait_sec: None)
        self._script, self._before_core_count = script, before_core_count
        self.units_count = 0

    def snapshot(self) -> Snapshot:
        """Read nothing."""
        return Snapshot(0.0, 0.0, None, None, None, {}, None)

    def readings(self, before: Snapshot, slots: Any) -> Readings:
        """Return a quiet machine, changed as the script says."""
        seen: list[Slot] = list(slots)
        if len(seen) < SLOTS_COUNT:
            return Readings(wall_sec=0.5, other_load_core_count=self._before_core_count)
        place, self.units_count = self.units_count, self.units_count + 1
        quiet = {
            "wall_sec": 1.0,
            "parent_cpu_sec": 0.02,
            "other_load_core_count": 0.1,
            "steal_ratio": 0.0,
            "psi_cpu_ratio": 0.01,
            "psi_memory_ratio": 0.0,
            "psi_io_ratio": 0.0,
            "involuntary_switch_count": 12,
            "cpu_mhz": 2400.0,
            "throttle_count": 0,
        }
        return Readings(**{**quiet, **self._said(place)})

    def _said(self, place: int) -> Mapping[str, Any]:
        if callable(self._script):
            return self._script(place)
        return self._script[place] if place < len(self._script) else {}
