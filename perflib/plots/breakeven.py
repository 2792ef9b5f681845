"""The break-even map: what was predicted beside what was measured, in one scale of colours around 1."""

import math
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from perflib import units
from perflib.plots.style import CANDIDATE, INK, UNDECIDED, WARNING, WIDTH_INCH, empty_figure, labelled, wrapped
from perflib.results import Breakeven, BreakevenCell
from perflib.sentences.breakeven import breakeven_sentence, score

_COLOURS = LinearSegmentedColormap.from_list("slower-faster", [WARNING, "#f7f7f7", CANDIDATE])
# The scale ends at least here, so that a map of little differences does not shout.
_LEAST_REACH_LOG2 = 1.0
_DARK_SHARE_RATIO = 0.62


def plot_breakeven(found: Breakeven) -> tuple[Figure, Any]:
    """
    Draw two heat maps of batch size over length: predicted, and measured afterwards.

    Blue is faster than the baseline, orange slower, on a logarithmic scale. Cells that were not decided are hatched,
    and cells whose sign was predicted wrongly have a thick frame.
    """
    if not found.cells:
        return empty_figure("The map has no cells, so there is nothing to draw.")
    reach = max(_LEAST_REACH_LOG2, *(abs(math.log2(ratio)) for one in found.cells for ratio in _ratios(one)))
    rows_count = len({one.batch_example_count for one in found.cells}) if _has_lengths(found) else 1
    fig, axes = plt.subplots(1, 2, figsize=(1.35 * WIDTH_INCH, 0.42 * rows_count + 1.7), sharey=True)
    norm = TwoSlopeNorm(0.0, -reach, reach)
    image = _panel(axes[0], found, norm, is_measured=False)
    _panel(axes[1], found, norm, is_measured=True)
    bar = fig.colorbar(image, ax=list(axes), shrink=0.9, pad=0.02)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{2**value:.3g}×"))
    bar.set_label("Speed [× baseline]")
    fig.suptitle(wrapped(_title(found), 95), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return labelled(fig, tuple(axes), f"{breakeven_sentence(found)} {_told(found)}")


def _panel(ax: Axes, found: Breakeven, norm: TwoSlopeNorm, *, is_measured: bool) -> Any:
    columns, rows, places = _grid(found)
    values = np.full((len(rows), len(columns)), np.nan)
    for one, (row, column) in zip(found.cells, places, strict=True):
        ratio = _ratio(one, is_measured=is_measured)
        if ratio is None:
            continue
        values[row, column] = math.log2(ratio)
        share = abs(math.log2(ratio)) / norm.vmax if norm.vmax else 0.0
        is_open = is_measured and one.is_right is None
        colour = "white" if share > _DARK_SHARE_RATIO and not is_open else INK
        # A box behind the number, because nobody reads through a hatch.
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0} if is_open else None
        ax.text(column, row, units.speedup(ratio), ha="center", va="center", fontsize=8, color=colour, bbox=box)
        if is_measured:
            _mark(ax, one, row, column)
    ax.set_facecolor(UNDECIDED)
    image = ax.imshow(values, cmap=_COLOURS, norm=norm, aspect="auto")
    ax.set_xticks(range(len(columns)), [str(value) for value in columns])
    ax.set_yticks(range(len(rows)), [str(value) for value in rows])
    ax.tick_params(length=0)
    ax.set_xlabel("Tokens of every example" if _has_lengths(found) else "Examples of a call")
    if not is_measured and _has_lengths(found):
        ax.set_ylabel("Examples of a call")
    is_missing = is_measured and found.measured_at is None
    ax.set_title("not measured yet" if is_missing else "measured afterwards" if is_measured else "predicted")
    return image


def _mark(ax: Axes, one: BreakevenCell, row: int, column: int) -> None:
    right = one.is_right
    if right is None:
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#9a9a9a", lw=0))
    elif not right:
        ax.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=INK, lw=2.4))


def _title(found: Breakeven) -> str:
    if found.measured_at is None:
        return f"{found.name}: predicted, and not measured yet"
    said = score(found)
    if not said.decided_count:
        return f"{found.name}: no cell was decided"
    return (
        f"{found.name}: {said.right_count} of {said.decided_count} decided signs were predicted; "
        f"the commoner sign alone gets {said.commoner_count}"
    )


def _told(found: Breakeven) -> str:
    words = {True: "as predicted", False: "predicted wrongly", None: "not decided"}
    parts = []
    for one in found.cells:
        call = f"{one.batch_example_count}"
        if _has_lengths(found):
            call += f" of {one.length_token_count} tokens"
        measured = _ratio(one, is_measured=True)
        seen = "" if measured is None else f", measured {units.speedup(measured)}, {words[one.is_right]}"
        parts.append(f"{call}: predicted {units.speedup(one.predicted_ratio)}{seen}")
    return f"Every call: {'; '.join(parts)}."


def _grid(found: Breakeven) -> tuple[list[int], list[str], list[tuple[int, int]]]:
    """Return the columns, the rows, and the row and column of every cell; without lengths there is one row."""
    batches = sorted({one.batch_example_count for one in found.cells})
    if not _has_lengths(found):
        return batches, [""], [(0, batches.index(one.batch_example_count)) for one in found.cells]
    lengths = sorted({one.length_token_count for one in found.cells})
    places = [(batches.index(one.batch_example_count), lengths.index(one.length_token_count)) for one in found.cells]
    return lengths, [str(batch) for batch in batches], places


def _has_lengths(found: Breakeven) -> bool:
    return any(one.length_token_count > 1 for one in found.cells)


def _ratio(one: BreakevenCell, *, is_measured: bool) -> float | None:
    if not is_measured:
        return one.predicted_ratio
    return None if one.measured_ratio is None else one.measured_ratio.estimate


def _ratios(one: BreakevenCell) -> list[float]:
    return [ratio for ratio in (one.predicted_ratio, _ratio(one, is_measured=True)) if ratio is not None]
