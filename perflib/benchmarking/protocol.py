"""
What a worker and its parent say to each other: one JSON object a line, checked on arrival.

Any program that answers these requests can be an arm, in another environment or another language; whatever it prints
besides belongs on standard error.

    {"op": "load", "artifact": "…", "inputs": "….npz", "scenarios": ["single"], "cpus": [1, 0]}
        -> {"load_sec": 0.8, "answer_shape": [1, 2], "python": "3.11.7", "versions": {"torch": "2.13.0"}}
    {"op": "warm", "scenario": "single", "passes": 1}             -> {"samples_sec": [0.0123, …]}
    {"op": "slot", "scenario": "single", "passes": 1, "target_sec": null, "start_rate_per_sec": null}
        -> {"samples_sec": [0.0123, …], "cpu_sec": 0.4, "involuntary_switch_count": 3, "energy_joule": null, …}
    {"op": "stop"}                                                -> {"peak_rss_bytes": …, "peak_device_bytes": null}

A scenario may also be a cell of a map, such as ``4x16``: calls of four texts of 16 tokens each, made as
`perflib.benchmarking.grid` says.

A reply ``{"error": "…"}`` refuses a request in one sentence. Of a slot only ``samples_sec`` is required; the fields of
`Slot` name the rest.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

MAX_LINE_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Loaded:
    """An arm is ready; ``answer_shape`` is that of one example's answer."""

    load_sec: float
    answer_shape: tuple[int, ...]
    python: str
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One timed block: every call's seconds, and what the arm's process used meanwhile, where it knows."""

    samples_sec: tuple[float, ...]
    cpu_sec: float | None = None
    involuntary_switch_count: int | None = None
    energy_joule: float | None = None
    gpu_sm_clock_mhz: float | None = None
    gpu_throttle_bits: int | None = None
    gpu_temperature_celsius: float | None = None
    gpu_process_count: int | None = None


@dataclasses.dataclass(frozen=True)
class Stopped:
    """The most memory that the arm has held."""

    peak_rss_bytes: int | None
    peak_device_bytes: int | None


class ReplyError(ValueError):
    """A line that is no reply; the message says what is wrong with it."""


def decode(line: bytes) -> dict[str, Any]:
    """Read one line as a JSON object; `ReplyError` for anything else."""
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        raise ReplyError(f"wrote {line[:80]!r}, which is no JSON") from None
    if not isinstance(reply, dict):
        raise ReplyError(f"wrote {line[:80]!r}, which is no JSON object")
    return reply


def loaded(reply: Mapping[str, Any]) -> Loaded:
    """Check the answer to ``load``."""
    shape = reply.get("answer_shape")
    if not isinstance(shape, list) or not all(type(length) is int and length > 0 for length in shape):
        raise ReplyError(f"answered `load` with answer_shape {shape!r:.80}, which is no list of lengths")
    versions = reply.get("versions", {})
    if not isinstance(versions, dict):
        raise ReplyError(f"answered `load` with versions {versions!r:.80}, which is no mapping")
    return Loaded(
        load_sec=_seconds(reply, "load_sec"),
        answer_shape=tuple(shape),
        python=str(reply.get("python", "unknown")),
        versions={str(name): str(version) for name, version in versions.items()},
    )


def slot(reply: Mapping[str, Any]) -> Slot:
    """Check the answer to ``slot`` or ``warm``; a time that is not above zero is a clock that went backwards."""
    samples = reply.get("samples_sec")
    if not isinstance(samples, list) or not samples:
        raise ReplyError(f"answered a slot with samples_sec {samples!r:.80}, which is no list of times")
    for value in samples:
        if not _is_number(value):
            raise ReplyError(f"answered a slot with the time {value!r:.80}, which is no number")
        if value <= 0:
            raise ReplyError(f"timed a call at {value!r} s: its clock stood still or went backwards")
    return Slot(
        samples_sec=tuple(float(value) for value in samples),
        cpu_sec=_optional(reply, "cpu_sec"),
        involuntary_switch_count=_count(reply, "involuntary_switch_count"),
        energy_joule=_optional(reply, "energy_joule"),
        gpu_sm_clock_mhz=_optional(reply, "gpu_sm_clock_mhz"),
        gpu_throttle_bits=_count(reply, "gpu_throttle_bits"),
        gpu_temperature_celsius=_optional(reply, "gpu_temperature_celsius"),
        gpu_process_count=_count(reply, "gpu_process_count"),
    )


def stopped(reply: Mapping[str, Any]) -> Stopped:
    """Check the answer to ``stop``."""
    return Stopped(_count(reply, "peak_rss_bytes"), _count(reply, "peak_device_bytes"))


def _seconds(reply: Mapping[str, Any], key: str) -> float:
    value = reply.get(key)
    if not _is_number(value) or value < 0:  # type: ignore[operator]
        raise ReplyError(f"answered with {key} {value!r:.80}, which is no duration")
    return float(value)  # type: ignore[arg-type]


def _optional(reply: Mapping[str, Any], key: str) -> float | None:
    value = reply.get(key)
    if value is not None and not (_is_number(value) and (value >= 0 or key == "gpu_temperature_celsius")):
        raise ReplyError(f"answered with {key} {value!r:.80}, which is no number")
    return None if value is None else float(value)


def _count(reply: Mapping[str, Any], key: str) -> int | None:
    value = _optional(reply, key)
    return None if value is None else int(value)


def _is_number(value: object) -> bool:
    # A whole number may be too large for a float; then it is no measurement either.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
