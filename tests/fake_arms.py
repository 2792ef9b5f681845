"""Arms without processes: a host with a fake clock and any noise one likes, behind the real timing code."""

from collections.abc import Callable
from typing import Any

from perflib.benchmarking.scenarios import SCENARIOS, time_calls

BASE_SEC = 0.01


class FakeHost:
    """
    One machine: a clock, a stream of slot noise, the luck of each process, and what its arms were asked.

    ``noise`` gives the log of the next slot's slowness, whoever runs; ``luck`` the log of a process's, by its position
    in the life (0 started first); ``cost_log`` what an arm really costs more than the baseline.
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
        self.broken: tuple[str, str] | None = None

    def start(self, label: str) -> "FakeArm":
        """Start an arm, as `Arm` does."""
        arm = FakeArm(label, self)
        self.arms.append(arm)
        return arm

    def slots(self) -> str:
        """Return the order in which timed slots were asked for, A for the baseline."""
        return "".join("A" if label == "baseline" else "B" for label, op in self.asked if op == "slot")


class FakeArm:
    """An arm whose calls move the host's clock; no process is started."""

    def __init__(self, label: str, host: FakeHost) -> None:
        self.label, self.host, self.is_closed = label, host, False
        self.luck_log = host.luck(len(host.arms) % 2)
        self.cost_log = host.cost_log if label == "candidate" else 0.0
        self._waiting: dict[str, Any] = {}

    def send(self, request: dict[str, Any]) -> None:
        """Take a request."""
        self._waiting = request

    def receive(self) -> dict[str, Any]:
        """Answer the request taken."""
        op = self._waiting["op"]
        self.host.asked.append((self.label, op))
        if self.host.broken == (self.label, op):
            raise RuntimeError("the fake arm broke")
        if op == "stop":
            return {"peak_rss_bytes": 1000 if self.label == "baseline" else 800, "peak_device_bytes": None}
        if op == "slot":
            return {"samples_sec": self._time(self._waiting["scenario"], self._waiting["passes"])}
        return {}

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request."""
        self.send(request)
        return self.receive()

    def close(self) -> None:
        """Remember that the arm was ended."""
        self.is_closed = True

    def _time(self, scenario: str, passes_count: int) -> list[float]:
        slot_log = self.cost_log + self.luck_log + self.host.noise()
        step_ns = round(1e9 * BASE_SEC * 2.718281828459045**slot_log)
        count = self.host.calls_count if SCENARIOS[scenario].is_one_by_one else 1

        def predict(call: Any) -> None:
            self.host.now_ns += step_ns

        return time_calls(predict, [None] * count, passes_count=passes_count, clock_ns=lambda: self.host.now_ns)  # type: ignore[list-item]
