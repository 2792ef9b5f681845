"""One step of a model from left to right: modules above the operators that ran for them, and the gaps between."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from perflib import units
from perflib.plots.profile import KIND_COLOURS
from perflib.plots.style import INK, WIDTH_INCH, empty_figure, labelled, shortened, wrapped

# Name, kind (empty for a range around a module), depth, start and duration in seconds.
Row = tuple[str, str, int, float, float]
# Kind, start and end in seconds.
_Piece = tuple[str, float, float]
_RANGE_COLOUR = "#f4f4f4"
_DARK = frozenset({"matrix", "normalisation", "embedding", "quantization", "framework"})
# Of the figure's width; a letter of 6 points takes so much, and a longer name in a narrower box is left out.
_LETTER_RATIO = 0.0085
_LEAST_LETTERS = 7
_NAMED_COUNT = 5


def plot_timeline(rows: Iterable[Row], step_sec: float, *, name: str) -> tuple[Figure, Axes]:
    """
    Draw one step: boxes over time, each above what it called; at the bottom what ran at each moment, and the gaps.

    Args:
        rows: Of one thread: name, kind, depth, start since the step's start and duration; nested, in any order. Time
            of a range without a kind that no operator fills is Python's, and counts as ``framework``.
        step_sec: Duration of the step.
        name: Of the model.
    """
    ordered = sorted(rows, key=lambda row: (row[3], row[2]))
    if not ordered:
        return empty_figure(f"The trace holds no operator in this step of {name}.")
    pieces = _pieces(ordered, step_sec)
    shares = _shares(pieces, step_sec)
    depth_count = 1 + max(row[2] for row in ordered)
    fig, ax = plt.subplots(figsize=(WIDTH_INCH * 1.25, 0.26 * (depth_count + 1) + 1.5))
    _draw_boxes(ax, ordered, step_sec)
    for kind in shares:
        bars = [(1e3 * start, 1e3 * (end - start)) for one, start, end in pieces if one == kind]
        ax.broken_barh(bars, (depth_count + 0.2, 0.95), facecolors=KIND_COLOURS[kind], linewidth=0)
    ax.set(xlim=(0, 1e3 * step_sec), ylim=(depth_count + 1.25, 0), xlabel="Time since the step's start [ms]")
    ax.set_yticks([depth_count + 0.675], ["what ran"])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    handles = [Patch(color=KIND_COLOURS[kind], label=f"{kind} {_percent(shares[kind])}") for kind in shares]
    fig.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    first = next(iter(shares))
    idle = _percent(shares.get("idle", 0.0))
    ax.set_title(wrapped(f"{first} takes {_percent(shares[first])} of a step; nothing runs in {idle}"))
    told = ", ".join(f"{kind} {_percent(share)}" for kind, share in shares.items())
    return labelled(
        fig,
        ax,
        f"Timeline of one step of {name}, {units.duration(step_sec)}, in {depth_count} levels of calls. "
        f"Of its time: {told}. Longest operators: {_longest(ordered)}.",
    )


def _pieces(ordered: Sequence[Row], step_sec: float) -> list[_Piece]:
    """Cut the step where what runs innermost changes."""
    pieces: list[_Piece] = []
    open_rows: list[tuple[str, float]] = [("idle", step_sec)]
    at_sec = 0.0

    def go_on(to_sec: float) -> None:
        nonlocal at_sec
        if to_sec > at_sec:
            pieces.append((open_rows[-1][0], at_sec, to_sec))
            at_sec = to_sec

    for _, kind, _, start_sec, duration_sec in ordered:
        while len(open_rows) > 1 and open_rows[-1][1] <= start_sec:
            go_on(open_rows[-1][1])
            open_rows.pop()
        go_on(start_sec)
        # A child may end some nanoseconds after its parent: the profiler rounds.
        open_rows.append((kind or "framework", min(start_sec + duration_sec, open_rows[-1][1])))
    while open_rows:
        go_on(open_rows[-1][1])
        open_rows.pop()
    return pieces


def _shares(pieces: Iterable[_Piece], step_sec: float) -> dict[str, float]:
    """Return the share of each kind, the largest first and idle last."""
    found: dict[str, float] = defaultdict(float)
    for kind, start_sec, end_sec in pieces:
        found[kind] += (end_sec - start_sec) / step_sec
    return dict(sorted(found.items(), key=lambda entry: (entry[0] == "idle", -entry[1])))


def _percent(share: float) -> str:
    return units.percent(share, 0 if share >= 0.1 else 1)


def _draw_boxes(ax: Axes, ordered: Sequence[Row], step_sec: float) -> None:
    groups: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    parents: dict[int, str] = {}
    for full_name, kind, depth, start_sec, duration_sec in ordered:
        groups[depth, kind].append((1e3 * start_sec, 1e3 * duration_sec))
        parents[depth] = full_name
        letters_count = int(duration_sec / step_sec / _LETTER_RATIO)
        short_name = full_name.rpartition("::")[2].removeprefix(f"{parents.get(depth - 1, '')}.")
        if letters_count >= min(len(short_name), _LEAST_LETTERS):
            ax.text(
                1e3 * (start_sec + duration_sec / 2),
                depth + 0.5,
                shortened(short_name, letters_count),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if kind in _DARK else INK,
                clip_on=True,
            )
    for (depth, kind), bars in groups.items():
        is_range = not kind
        ax.broken_barh(
            bars,
            (depth + 0.04, 0.92),
            facecolors=_RANGE_COLOUR if is_range else KIND_COLOURS[kind],
            edgecolor="#c8c8c8" if is_range else "white",
            linewidth=0.4 if is_range else 0.15,
        )


def _longest(ordered: Iterable[Row]) -> str:
    totals: dict[str, float] = defaultdict(float)
    for full_name, kind, _, _, duration_sec in ordered:
        if kind not in ("", "framework"):
            totals[full_name.rpartition("::")[2]] += duration_sec
    ranked = sorted(totals.items(), key=lambda entry: -entry[1])[:_NAMED_COUNT]
    return ", ".join(f"{name} {units.duration(total_sec)}" for name, total_sec in ranked) or "none"
