"""The command line in a process of its own, where the workload `probe` is known: comparisons that take seconds."""

from types import SimpleNamespace
from typing import Any

from perflib import cli, comparing
from perflib.benchmarking.probe import probe_inputs


class ProbeWorkload:
    """As much of a workload as a comparison asks for."""

    def prepare(self) -> None:
        """Do nothing: a probe is made where it is needed."""

    def splits(self) -> Any:
        """Return a test split without texts."""
        return SimpleNamespace(test=SimpleNamespace(inputs=()))

    def encode(self, inputs: Any) -> Any:
        """Return the inputs of every probe."""
        return probe_inputs()


def know_probes() -> None:
    """Let `perflib compare` find the workload that probes name."""
    comparing.get_workload = lambda name: ProbeWorkload()  # type: ignore[assignment, return-value]


if __name__ == "__main__":
    know_probes()
    cli.main()
