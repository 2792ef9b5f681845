"""
The ranges of activations in a quantized OpenVINO model: read, measured, and clipped where that loses less.

Every activation that is rounded to 256 levels has a range: what lies outside is cut off, what lies inside is rounded to
steps of a 255th. A wide range rounds coarsely and a narrow one cuts much; which of the two costs more is seen in the
histogram of the values that calibration examples give.

The ranges lie beside the model in `ranges.json`:

    {"calibrator": "mse", "ranges": [{"name": …, "low": -1.2, "high": 3.1, "levels": 256, "error_ratio": 0.0001}, …]}
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.compression.quantizers.openvino_graph import watch
from perflib.encoded import Encoded
from perflib.records import write_json

RANGES_FILE = "ranges.json"
BINS_COUNT = 8192
# Shares of the full range that are tried; below a third, cutting always costs more than coarse steps.
CLIPS_RATIO = tuple(np.linspace(1.0, 0.3, 71).tolist())
_BATCH_EXAMPLE_COUNT = 16


@dataclasses.dataclass(frozen=True)
class Range:
    """
    What one activation may be: ``levels`` evenly spaced values from ``low`` to ``high``.

    Lists with one number a channel where the engine takes such. ``error_ratio`` is the mean square of what rounding and
    cutting change, divided by the mean square of the values; None where it was not measured.
    """

    name: str
    low: float | list[float]
    high: float | list[float]
    levels: int
    error_ratio: float | None = None


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How often which values occurred: ``counts``, shape (bins,), over equal bins from ``low`` to ``high``."""

    low: float
    high: float
    counts: NDArray[np.int64]

    def centres(self) -> NDArray[np.float64]:
        """Return the middle of every bin, shape (bins,)."""
        width = (self.high - self.low) / len(self.counts)
        return np.float64(self.low) + (np.arange(len(self.counts), dtype=np.float64) + 0.5) * np.float64(width)

    def error_ratio(self, low: float, high: float, levels: int) -> float:
        """Return the mean square of what quantization to a range changes, divided by the mean square of the values."""
        values = self.centres()
        error = float(self.counts @ (fake_quantize(values, low, high, levels) - values) ** 2)
        power = float(self.counts @ values**2)
        return error / power if power else 0.0

    def best_range(self, low: float, high: float, levels: int) -> tuple[float, float]:
        """Return the range, of this one and shares of it, that changes the values least; zero keeps its level."""
        best = min(CLIPS_RATIO, key=lambda clip: self.error_ratio(low * clip, high * clip, levels))
        return low * best, high * best


def fake_quantize(values: NDArray[np.float64], low: float, high: float, levels: int) -> NDArray[np.float64]:
    """
    Round values to the nearest of ``levels`` numbers from ``low`` to ``high``; the same shape comes back.

    >>> fake_quantize(np.array([-1.0, 0.3, 0.8, 9.0]), 0.0, 1.0, 3).tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    if high <= low:
        return np.full_like(values, low)
    step = (high - low) / (levels - 1)
    rounded: NDArray[np.float64] = np.rint((np.clip(values, low, high) - low) / step) * step + low
    return rounded


def read_ranges(model: Any, histograms: Mapping[str, Histogram] | None = None) -> list[Range]:
    """
    List the ranges of a quantized model, in the order of its operations.

    Args:
        model: An OpenVINO model with `FakeQuantize` operations, whose weights are stored in int8 already.
        histograms: From `record_values`, to measure the ranges with.
    """
    found = []
    for node in _fake_quantizes(model):
        name, levels = node.get_friendly_name(), int(node.get_attributes()["levels"])
        low, high = (_plain(_constant(node, place).data) for place in (1, 2))
        values = (histograms or {}).get(name)
        error_ratio = None
        if values is not None and isinstance(low, float) and isinstance(high, float):
            error_ratio = values.error_ratio(low, high, levels)
        found.append(Range(name, low, high, levels, error_ratio))
    return found


def record_values(model: Any, sample: Encoded) -> dict[str, Histogram]:
    """
    Run a sample through a quantized model without rounding its activations, and count the values to be rounded.

    Args:
        model: As for `read_ranges`; it is left as it was.
        sample: Calibration inputs. Only texts of one length share a batch, so that padding is not counted.

    Returns:
        A histogram over all values of each activation, by the operation's name.
    """
    from perflib.engines import openvino_engine

    bare = model.clone()
    sources = {node.get_friendly_name(): _bypass(node) for node in _fake_quantizes(bare)}
    places = dict(zip(sources, watch(bare, list(sources.values())), strict=True))
    compiled = openvino_engine.compile_model(bare, precision="fp32")

    def run() -> Iterator[tuple[str, NDArray[Any]]]:
        for batch in _equally_long(sample):
            outputs = compiled(dict(batch.arrays))
            yield from ((name, outputs[at]) for name, at in places.items())

    lows, highs = dict.fromkeys(sources, np.inf), dict.fromkeys(sources, -np.inf)
    for name, values in run():
        lows[name] = min(lows[name], float(values.min()))
        highs[name] = max(highs[name], float(values.max()))
    counts = {name: np.zeros(BINS_COUNT, np.int64) for name in sources}
    for name, values in run():
        counts[name] += _count(values, lows[name], highs[name])
    return {name: Histogram(lows[name], highs[name], counts[name]) for name in sources}


def clip_ranges(model: Any, histograms: Mapping[str, Histogram]) -> None:
    """
    Give every activation of a quantized model, in place, the range that changes the recorded values least.

    Ranges with one number a channel stay as they are: a histogram over all channels says nothing about them.
    """
    for node in _fake_quantizes(model):
        levels = int(node.get_attributes()["levels"])
        low, high = (_plain(_constant(node, place).data) for place in (1, 2))
        if isinstance(low, float) and isinstance(high, float):
            best = histograms[node.get_friendly_name()].best_range(low, high, levels)
            # Inputs 1 and 2 are what comes in, 3 and 4 what those become.
            for place, value in zip((1, 2, 3, 4), best * 2, strict=True):
                _set_constant(node, place, value)


def write_ranges(ranges: list[Range], folder: Path, *, calibrator: str) -> None:
    """Write `ranges.json`."""
    write_json(
        folder / RANGES_FILE, {"calibrator": calibrator, "ranges": [dataclasses.asdict(found) for found in ranges]}
    )


def mean_error_ratio(ranges: list[Range]) -> float | None:
    """Return the mean of the error ratios over the activations that were measured; None where none was."""
    errors = [found.error_ratio for found in ranges if found.error_ratio is not None]
    return float(np.mean(errors)) if errors else None


def _fake_quantizes(model: Any) -> list[Any]:
    return [node for node in model.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]


def _constant(node: Any, place: int) -> Any:
    return node.input(place).get_source_output().get_node()


def _set_constant(node: Any, place: int, value: float) -> None:
    old = _constant(node, place)
    # A constant is read-only, and may serve another operation too; so a new one of its class takes its place.
    new = type(old)(np.full_like(old.data, value))
    new.set_friendly_name(f"{node.get_friendly_name()}/{place}")
    node.input(place).replace_source_output(new.output(0))


def _bypass(node: Any) -> Any:
    """Hand what comes into an operation to those behind it, and return where it comes from."""
    source = node.input(0).get_source_output()
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(source)
    return source


def _equally_long(sample: Encoded) -> Iterator[Encoded]:
    lengths = sample.lengths()
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for start in range(0, len(rows), _BATCH_EXAMPLE_COUNT):
            yield sample.take(rows[start : start + _BATCH_EXAMPLE_COUNT])


def _count(values: NDArray[Any], low: float, high: float) -> NDArray[np.int64]:
    scale = BINS_COUNT / (high - low) if high > low else 0.0
    places = ((values.ravel() - low) * scale).astype(np.int64)
    return np.bincount(places.clip(0, BINS_COUNT - 1), minlength=BINS_COUNT).astype(np.int64)


def _plain(values: NDArray[Any]) -> float | list[float]:
    return float(values.ravel()[0]) if values.size == 1 else [float(value) for value in values.ravel()]
