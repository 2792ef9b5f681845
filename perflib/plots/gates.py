"""
Every guardrail on one board: what was measured, as a share of what is allowed.

Gates measure in points, percent, nat and counts, and for some more is better. On the board 0 is no change and 1 is the
limit, whatever the gate; the numbers in their own units stand beside the lines.
"""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perflib import units
from perflib.gate_words import limit_words, measured_words, scale_of
from perflib.plots.style import (
    BASELINE,
    HARMLESS,
    INK,
    UNDECIDED,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    shortened,
    wrapped,
)
from perflib.results import Gate, GateVerdict, Validation

# Between harmless and a warning, of the same palette.
_DOUBT = "#E69F00"
# Colour, marker, and the colour of words.
_LOOKS: dict[GateVerdict, tuple[str, str, str]] = {
    "PASS": (HARMLESS, "o", HARMLESS),
    "WARN": (_DOUBT, "^", INK),
    "FAIL": (WARNING, "X", WARNING),
    "INCONCLUSIVE": (UNDECIDED, "D", INK),
}
_LEAST_PLACE, _MOST_PLACE = -1.0, 2.5
_ROW_INCH = 0.215
_NAMED_COUNT = 3
# Where the words beside the board begin.
_COLUMNS = ((0.0, "measured"), (0.28, "allowed"), (0.54, "verdict"))


def plot_gate_board(validation: Validation) -> tuple[Figure, Axes]:
    """Draw every gate's number, with its bounds, against its limit; what lies beyond 2.5 limits gets an arrow."""
    gates = sorted(validation.gates, key=lambda gate: _number_of(gate.id))
    if not gates:
        return empty_figure(f"No gate was checked for {validation.name}, so there is nothing to draw.")
    fig, (ax, words) = plt.subplots(
        1, 2, figsize=(1.25 * WIDTH_INCH, _ROW_INCH * len(gates) + 1.9), sharey=True, width_ratios=(5, 6)
    )
    for row, gate in enumerate(gates):
        _gate_line(ax, gate, row)
        _gate_words(words, gate, row)
    _board_axes(ax, gates)
    _words_axes(words, gates)
    _board_legend(ax, gates)
    ax.set_title(wrapped(_finding(gates), 54), pad=38)
    told = "; ".join(_told(gate) for gate in gates)
    return labelled(fig, ax, f"Gates of {validation.name} against their limits: {told}.")


def _number_of(gate_id: str) -> int:
    """Return 12 for `A12-finite`; gates of our own making come last."""
    digits = gate_id.partition("-")[0].removeprefix("A")
    return int(digits) if digits.isdecimal() else 10_000


def _gate_line(ax: Axes, gate: Gate, row: int) -> None:
    if gate.measured is None:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(0.08, row, "not measured", va="center", fontsize=8, style="italic", color=BASELINE, bbox=box)
        return
    colour, marker, _ = _LOOKS[gate.verdict]
    scale = scale_of(gate)
    place = scale.place(gate.measured, gate.limit)
    bounds = [scale.place(bound, gate.limit) for bound in (gate.low, gate.high) if bound is not None]
    ends = [_clipped(end) for end in (place, *bounds)]
    ax.hlines(row, min(ends), max(ends), color=INK, lw=1)
    for bound in filter(_is_within, bounds):
        ax.plot(bound, row, "|", color=INK, ms=6, mew=1)
    if gate.warn_limit is not None and _is_within(warned := scale.place(gate.warn_limit, gate.limit)):
        ax.plot(warned, row, "|", color=_DOUBT, ms=9, mew=2, zorder=2.1)
    ax.plot(ends[0], row, marker, color=colour, ms=7, mec=INK, mew=0.6, zorder=3)
    if not _is_within(place):
        outward, arrow = (0.17, ">") if place > 0 else (-0.17, "<")
        ax.plot(ends[0] + outward, row, arrow, color=INK, ms=5, mec="none", zorder=3)


def _clipped(place: float) -> float:
    return min(max(place, _LEAST_PLACE), _MOST_PLACE)


def _is_within(place: float) -> bool:
    return _LEAST_PLACE <= place <= _MOST_PLACE


def _gate_words(words: Axes, gate: Gate, row: int) -> None:
    waived = ", waived" if gate.waiver else ""
    texts = (
        units.UNKNOWN if gate.measured is None else scale_of(gate).words(gate.measured),
        limit_words(gate),
        f"{gate.verdict}{waived}",
    )
    for (place, _), text in zip(_COLUMNS, texts, strict=True):
        words.text(place, row, text, va="center", fontsize=8, color=INK)
    words.texts[-1].set(color=_LOOKS[gate.verdict][2], weight="bold" if gate.verdict == "FAIL" else "normal")


def _board_axes(ax: Axes, gates: Sequence[Gate]) -> None:
    ax.set_yticks(range(len(gates)), [_row_name(gate) for gate in gates], fontsize=8)
    ax.set(xlim=(_LEAST_PLACE - 0.3, _MOST_PLACE + 0.3), ylim=(len(gates) - 0.4, -0.7))
    ax.set_xticks([-1, 0, 1, 2], ["−1", "0", "1", "2"])
    ax.set_xlabel(f"Harm [× its limit] (axis cut at {_MOST_PLACE:g})")
    ax.axvline(0, color=BASELINE, lw=1.5, zorder=1)
    ax.axvline(1, color=WARNING, lw=1.5, ls="--", zorder=1)
    for place, word in ((0, "no change"), (1, "limit")):
        ax.text(place, 1.0, word, transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=8)
    ax.tick_params(axis="y", length=0)
    _family_lines(ax, gates)


def _words_axes(words: Axes, gates: Sequence[Gate]) -> None:
    words.axis("off")
    words.set_xlim(0, 1)
    for place, name in _COLUMNS:
        words.text(place, 1.0, name, transform=words.get_xaxis_transform(), va="bottom", fontsize=8, color=BASELINE)
    _family_lines(words, gates)


def _family_lines(ax: Axes, gates: Sequence[Gate]) -> None:
    numbers = [_number_of(gate.id) for gate in gates]
    borders = [row - 0.5 for row in range(1, len(gates)) if numbers[row] != numbers[row - 1]]
    ax.hlines(borders, 0, 1, color="#e6e6e6", lw=0.8, transform=ax.get_yaxis_transform(), zorder=0.5)


def _row_name(gate: Gate) -> str:
    return f"{gate.id.partition('-')[0]}  {shortened(gate.name, 36)}"


def _board_legend(ax: Axes, gates: Sequence[Gate]) -> None:
    verdicts = {gate.verdict for gate in gates}
    handles = [
        Line2D([], [], color=colour, marker=marker, ls="", ms=7, mec=INK, mew=0.6, label=verdict)
        for verdict, (colour, marker, _) in _LOOKS.items()
        if verdict in verdicts
    ]
    if any(gate.low is not None or gate.high is not None for gate in gates):
        handles.append(Line2D([], [], color=INK, marker="|", ms=6, lw=1, label="bounds"))
    if any(gate.warn_limit is not None for gate in gates):
        handles.append(Line2D([], [], color=_DOUBT, marker="|", ls="", ms=9, mew=2, label="warns up to"))
    legend = ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=1.6,
    )
    # It is wider than the board, which must not become narrow for it; the title keeps its place free.
    legend.set_in_layout(False)


def _finding(gates: Sequence[Gate]) -> str:
    """Name what failed, or where nothing did what is not decided or warned, and count the rest."""
    found = {
        word: [gate for gate in gates if gate.verdict == verdict]
        for verdict, word in (("FAIL", "failed"), ("INCONCLUSIVE", "not decided"), ("WARN", "warned"))
    }
    parts = [(word, some) for word, some in found.items() if some]
    if not parts:
        return f"{len(gates)} of {len(gates)} gates passed"
    word, some = parts[0]
    others = "".join(f", {len(rest)} {other}" for other, rest in parts[1:])
    return f"{len(some)} of {len(gates)} gates {word}: {_listed(some)}{others}"


def _listed(gates: Sequence[Gate]) -> str:
    named = [f"{gate.id}{' (waived)' if gate.waiver else ''}" for gate in gates[:_NAMED_COUNT]]
    more_count = len(gates) - len(named)
    more = f" and {more_count} {'other' if more_count == 1 else 'others'}" if more_count else ""
    return f"{', '.join(named)}{more}"


def _told(gate: Gate) -> str:
    waived = ", waived" if gate.waiver else ""
    return f"{gate.id} {gate.name} {gate.verdict}{waived}, {measured_words(gate)}, {limit_words(gate)} is allowed"
