"""The figure of the break-even map: two panels, one scale, and words for those who cannot see it."""

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from perflib import plots
from perflib.plots.breakeven import plot_breakeven
from perflib.results import Breakeven, BreakevenCell, Interval

mpl.use("Agg")

LENGTHS, BATCHES = (8, 16, 32, 64), (1, 4, 16)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    plots.use_house_style()
    yield
    plt.close("all")


def a_map(*, is_measured: bool = True, lengths: tuple[int, ...] = LENGTHS) -> Breakeven:
    """Return a map with both signs, one open cell and one wrong sign."""
    cells = []
    for batch in BATCHES:
        for length in lengths:
            predicted = (4 + 0.2 * batch + 0.1 * batch * length) / (1 + 3.5 * batch)
            ratio, word = 1.03 * predicted, "IMPROVEMENT" if predicted > 1 else "REGRESSION"
            if (batch, length) == (4, 16):
                ratio, word = 1.15, "IMPROVEMENT"
            if (batch, length) == (16, lengths[-1]):
                word = "INCONCLUSIVE"
            seen = (Interval(ratio, 0.9 * ratio, 1.1 * ratio, 0.9), word, 5) if is_measured else (None, "", 0)
            cells.append(BreakevenCell(batch, length, predicted, *seen))
    return Breakeven("fixed-64", "a", "b", (), "2026-01-01", "2026-01-02" if is_measured else None, tuple(cells))


def drawn(found: Breakeven) -> tuple[Any, Any, str]:
    """Return figure, axes and text alternative, after a rendering that would raise."""
    fig, axes = plot_breakeven(found)
    fig.canvas.draw()
    return fig, axes, str(fig.get_label())


def test_both_panels_have_every_cell_in_one_scale() -> None:
    """Colours mean the same on both sides, and 1 lies in the middle."""
    _, axes, _ = drawn(a_map())
    images = [ax.images[0] for ax in axes]

    assert [ax.get_title(loc="left") for ax in axes] == ["predicted", "measured afterwards"]
    assert [len(ax.texts) for ax in axes] == [12, 12]
    assert images[0].norm is images[1].norm
    assert images[0].norm(0.0) == 0.5
    assert images[0].norm.vmax == -images[0].norm.vmin
    assert images[0].get_array()[0, 0] == pytest.approx(0.0, abs=0.2)
    assert images[1].get_array().shape == (3, 4)


def test_wrong_signs_are_framed_and_open_cells_hatched() -> None:
    """In the measured panel only; everything else has no mark."""
    _, (predicted, measured), _ = drawn(a_map())
    frames = [(patch.get_x() + 0.46, patch.get_y() + 0.46) for patch in measured.patches if not patch.get_hatch()]
    hatches = [(patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in measured.patches if patch.get_hatch()]

    assert not predicted.patches
    assert frames == [pytest.approx((1, 1))]
    assert hatches == [pytest.approx((3, 2))]


def test_every_cell_is_told_in_words() -> None:
    """With what was predicted, measured and whether the sign came true."""
    fig, _, told = drawn(a_map())

    assert "4 of 16 tokens: predicted 0.747×, measured 1.15×, predicted wrongly" in told
    assert "16 of 64 tokens: predicted 1.92×, measured 1.98×, not decided" in told
    assert told.count("as predicted") == 10
    assert fig.get_suptitle().replace("\n", " ").startswith("fixed-64: 10 of 11 decided signs were predicted; ")


def test_a_map_that_was_not_measured_says_so() -> None:
    """The prediction stands alone."""
    fig, axes, told = drawn(a_map(is_measured=False))

    assert axes[1].get_title(loc="left") == "not measured yet"
    assert not axes[1].texts
    assert "not measured yet" in fig.get_suptitle()
    assert "has not been measured" in told


def test_without_lengths_the_map_is_one_row_over_the_batch() -> None:
    """No length is shown or told."""
    _, axes, told = drawn(a_map(lengths=(1,)))

    assert axes[0].images[0].get_array().shape == (1, 3)
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["1", "4", "16"]
    assert axes[0].get_xlabel() == "Examples of a call"
    assert "tokens" not in told


def test_an_empty_map_says_so() -> None:
    """No figure without cells."""
    _, _, told = drawn(Breakeven("any", "a", "b", (), "2026-01-01", None, ()))

    assert told.startswith("The map has no cells")
