"""The timeline of a step: what runs at each moment, from plain rows, drawn with words for those who cannot see it."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from perflib.errors import ParameterError
from perflib.plots import timeline
from perflib.plots.timeline import Row, plot_timeline
from perflib.profiling.timeline import step_rows
from perflib.profiling.trace import read_trace
from tests.small_traces import event, opened, step, write

mpl.use("Agg")

# A model that calls a layer and a product in it, then an operator of its own; nothing runs at first and at last.
ROWS: list[Row] = [
    ("model", "", 0, 1.0, 8.0),
    ("encoder.layer.0", "", 1, 2.0, 4.0),
    ("aten::linear", "framework", 2, 2.0, 3.0),
    ("aten::addmm", "matrix", 3, 2.5, 2.5),
    ("aten::gelu", "elementwise", 1, 7.0, 1.0),
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]])
def test_every_moment_belongs_to_what_runs_innermost(rows: list[Row]) -> None:
    """Shares of a step of 10 s, exactly, whatever the order of the rows."""
    pieces = timeline._pieces(sorted(rows, key=lambda row: (row[3], row[2])), 10.0)

    assert pieces == [
        *(("idle", 0.0, 1.0), ("framework", 1.0, 2.0), ("framework", 2.0, 2.5), ("matrix", 2.5, 5.0)),
        *(("framework", 5.0, 6.0), ("framework", 6.0, 7.0), ("elementwise", 7.0, 8.0)),
        *(("framework", 8.0, 9.0), ("idle", 9.0, 10.0)),
    ]
    assert timeline._shares(pieces, 10.0) == pytest.approx(
        {"framework": 0.45, "matrix": 0.25, "elementwise": 0.1, "idle": 0.2}
    )
    assert list(timeline._shares(pieces, 10.0)) == ["framework", "matrix", "elementwise", "idle"]


def test_a_child_that_ends_after_its_parent_is_cut() -> None:
    """The profiler rounds; no moment is counted twice, and none lies outside the step."""
    pieces = timeline._pieces([("a", "matrix", 0, 0.0, 2.0), ("b", "memory", 1, 1.0, 1.5)], 2.0)

    assert pieces == [("matrix", 0.0, 1.0), ("memory", 1.0, 2.0)]


def test_the_figure_says_in_words_what_it_shows() -> None:
    """The title is the finding, the axis has a unit, and the text alternative names shares and operators."""
    fig, ax = plot_timeline(ROWS, 10.0, name="tiny")
    told = str(fig.get_label())
    written = [text.get_text() for text in ax.texts]

    assert ax.get_title() + ax.get_title(loc="left") == "framework takes 45 % of a step; nothing runs in 20 %"
    assert ax.get_xlabel().endswith("[ms]")
    assert "matrix 25 %" in told
    assert "tiny, 10" in told
    assert "addmm 2.5" in told
    assert written == ["model", "encoder.layer.0", "linear", "addmm", "gelu"]
    plt.close(fig)


def test_a_module_is_called_by_what_its_parent_does_not_say_and_a_narrow_box_is_not_written_in() -> None:
    """Dotted names lose their parent's; a name without room is left out."""
    rows: list[Row] = [
        *(("encoder", "", 0, 0.0, 10.0), ("encoder.dense", "", 1, 0.0, 5.0), ("encoder.norm", "", 1, 5.0, 0.02)),
        ("encoderless", "", 1, 6.0, 4.0),
    ]
    fig, ax = plot_timeline(rows, 10.0, name="tiny")

    assert [text.get_text() for text in ax.texts] == ["encoder", "dense", "encoderless"]
    plt.close(fig)


def test_nothing_to_draw_is_said() -> None:
    """An empty step gives a sentence."""
    fig, _ = plot_timeline([], 1.0, name="tiny")

    assert "no operator in this step of tiny" in str(fig.get_label())
    plt.close(fig)


def _two_steps(folder: Path) -> Any:
    events = [
        *(step(1, 0.0, 100.0), step(2, 100.0, 50.0)),
        opened("module:model", 10.0, 80.0),
        *(event("aten::linear", 20.0, 40.0), event("aten::addmm", 30.0, 20.0), event("aten::gelu", 110.0, 30.0)),
    ]
    return read_trace(write(folder / "m.1.pt.trace.json", events))


def test_rows_are_those_of_one_step_since_its_start(tmp_path: Path) -> None:
    """Modules lose their mark and have no kind; the next step has its own rows."""
    trace = _two_steps(tmp_path)
    first, first_sec = step_rows(trace)
    last, last_sec = step_rows(trace, step=-1)

    assert [row[:3] for row in first] == [
        ("model", "", 0),
        ("aten::linear", "framework", 1),
        ("aten::addmm", "matrix", 2),
    ]
    assert [row[3:] for row in first] == [
        pytest.approx((at, length)) for at, length in zip((10e-6, 20e-6, 30e-6), (80e-6, 40e-6, 20e-6), strict=True)
    ]
    assert [(*row[:3], pytest.approx(row[3]), pytest.approx(row[4])) for row in last] == [
        ("aten::gelu", "elementwise", 0, 10e-6, 30e-6)
    ]
    assert (first_sec, last_sec) == (pytest.approx(100e-6), pytest.approx(50e-6))


@pytest.mark.parametrize("place", [2, -3])
def test_a_step_that_is_not_there_is_refused(place: int, tmp_path: Path) -> None:
    """The sentence says how many there are."""
    with pytest.raises(ParameterError, match=f"no step {place} among 2 active ones"):
        step_rows(_two_steps(tmp_path), step=place)
