"""The break-even map in numbers, and the timings that its prediction was made from."""

from collections.abc import Sequence

from perflib import units
from perflib.results import Breakeven, BreakevenCell
from perflib.tables.cells import interval
from perflib.tables.markup import table

_VERDICTS = {
    "IMPROVEMENT": "faster",
    "REGRESSION": "slower",
    "PASS": "no regression",
    "INCONCLUSIVE": "not decided",
    "": "not measured",
}


def breakeven_table(found: Breakeven) -> str:
    """Return every cell: what was predicted, what was measured, and whether the sign came true."""
    rows = [
        (
            _shape(one.batch_example_count, one.length_token_count),
            units.speedup(one.predicted_ratio),
            units.UNKNOWN if one.measured_ratio is None else interval(one.measured_ratio),
            _VERDICTS[one.verdict],
            _sign(one),
            str(one.lives_count),
        )
        for one in found.cells
    ]
    caption = (
        f"{found.name} over the baseline, call by call; predicted at {found.predicted_at}, "
        f"measured from {found.measured_at or 'never'} on; intervals at 90 %."
    )
    return table(caption, ("call", "predicted", "measured", "verdict", "sign", "lives"), rows)


def forecast_table(found: Breakeven) -> str:
    """Return the timings that the prediction was made from."""
    rows: list[Sequence[str]] = [
        (
            _shape(batch, length),
            units.duration(baseline_sec),
            units.duration(candidate_sec),
            units.speedup(baseline_sec / candidate_sec),
        )
        for batch, length, baseline_sec, candidate_sec in found.probes_sec
    ]
    caption = "Probes: medians over pairs of processes, in turns; no cell of the map is among them."
    return table(caption, ("call", "baseline", "candidate", "ratio"), rows)


def _shape(batch: int, length: int) -> str:
    return f"{batch}" if length == 1 else f"{batch} × {length} tokens"


def _sign(one: BreakevenCell) -> str:
    return {True: "right", False: "wrong", None: units.UNKNOWN}[one.is_right]
