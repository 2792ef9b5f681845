"""Which blocks of a model bear int8: what each alone costs."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, INK, UNDECIDED, WARNING, WIDTH_INCH, labelled, shortened, wrapped
from perflib.results.compression import Sensitivity

_NAME_CHARACTERS = 34
# The names of the blocks take room from the title, which begins beside them.
_TITLE_CHARACTERS = 44


def plot_sensitivity(record: Sensitivity) -> tuple[Figure, Axes]:
    """Draw the rise of the loss when each block alone is quantized, the worst on top, with the answers that change."""
    ranked = record.ranked()
    names = [one.name for one in ranked] + list(record.unmeasured)
    # In thousandths: a block alone seldom costs more than a few.
    increases = [1000 * one.loss_increase_nat for one in ranked]
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.27 * len(names) + 1.3))
    # The worst is marked only where it is worse than no change.
    colours = [WARNING if place == 0 and rise > 0 else CANDIDATE for place, rise in enumerate(increases)]
    places = range(len(names))
    ax.barh(places[: len(ranked)], increases, color=colours)
    low, high = min(*increases, 0.0), max(*increases, 0.0)
    width = (high - low) or 1e-3
    for place, one in enumerate(ranked):
        text = f"{1000 * one.loss_increase_nat:+.2f} ({units.percent(one.flips_ratio)} of answers change)"
        _write(ax, text.replace("-", "−"), max(1000 * one.loss_increase_nat, 0.0), place, INK)
    for place in places[len(ranked) :]:
        _write(ax, "not measured", 0.0, place, BASELINE)
    ax.set_yticks(places, [shortened(name, _NAME_CHARACTERS) for name in names])
    for tick, _ in zip(ax.get_yticklabels()[len(ranked) :], record.unmeasured, strict=True):
        tick.set_color(BASELINE)
    ax.set_ylim(len(names) - 0.4, -0.6)  # also the rows without a bar have their height
    ax.axvline(0, color=UNDECIDED, lw=0.8)
    ax.set(
        xlabel="Rise of the loss on the tuning split [thousandths of a nat]",
        xlim=(low - 0.05 * width, high + 1.1 * width),
    )
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="x")
    ax.set_title(wrapped(_title(record), _TITLE_CHARACTERS))
    return labelled(fig, ax, _words(record))


def _title(record: Sensitivity) -> str:
    ranked = record.ranked()
    if ranked[0].loss_increase_nat <= 0:
        found = f"No block alone raises the loss in int8 ({len(ranked)} measured)"
    else:
        total_nat = sum(max(one.loss_increase_nat, 0.0) for one in ranked)
        share = ranked[0].loss_increase_nat / total_nat
        found = f"{shortened(ranked[0].name)} suffers most from int8: {units.percent(share, 0)} of what all lose alone"
    return found + ("" if record.is_complete else f"; {len(record.unmeasured)} not measured")


def _words(record: Sensitivity) -> str:
    listed = "; ".join(
        f"{one.name} {one.loss_increase_nat:+.2g} nats, {units.percent(one.flips_ratio)} of answers change"
        for one in record.ranked()
    )
    left_out = f" Not measured: {', '.join(record.unmeasured)}." if record.unmeasured else ""
    return (
        f"Bars of the rise of the loss when each {record.unit} of {record.name} alone is quantized, on "
        f"{record.example_count} tuning examples: {listed}.{left_out}"
    )


def _write(ax: Axes, text: str, value: float, place: int, colour: str) -> None:
    ax.annotate(text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, color=colour)
