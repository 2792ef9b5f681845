"""Figures of the watch: what moved stands where it moved, what counts for nothing looks so, and words say all of it."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from perflib import plots
from perflib.plots.history import plot_series
from perflib.plots.style import BASELINE, CANDIDATE, HARMLESS, UNDECIDED, WARNING
from perflib.plots.watch import plot_confirmation, plot_watch
from perflib.results.history import METRICS, HistoryPoint, SeriesKey
from perflib.results.regression import ChangePoint, Check, Confirmation, Culprit, Nomination, Rerun, SeriesScan
from perflib.results.speed import Interval
from tests.synthetic_history import make_check, make_confirmation, make_nomination, make_points, make_series, run_id

mpl.use("Agg")

SHIFT = Interval(1.1, 1.08, 1.12, 0.95)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    plots.use_house_style()
    yield
    plt.close("all")


def series(*, step: int | None = 20, count: int = 30, **key: str) -> list[HistoryPoint]:
    """Return a series with a step of a tenth."""
    noise = np.exp(np.random.default_rng(0).normal(0, 0.01, count))
    level = [0.0011 if step is not None and index >= step else 0.001 for index in range(count)]
    return list(make_series([float(value) for value in level * noise], **key))


def scan(*, step: int | None = 20, count: int = 30, **change: Any) -> SeriesScan:
    """Return what a detector would see there."""
    steps = () if step is None else (ChangePoint(step, "segment", SHIFT, 12, 10),)
    levels = (0.001,) if step is None else (0.001, 0.0011)
    return dataclasses.replace(SeriesScan(count, 0.01, 0.0, (), steps, levels), **change)


def nomination(index: int = 20, **change: Any) -> Nomination:
    """Return a suspect of the series."""
    key = SeriesKey("reviews-tiny", "int8", "single", "p50_sec", "any")
    return dataclasses.replace(make_nomination(key, index=index, before=0.001, ratio=1.07), **change)


def drawn(pair: tuple[Any, Any]) -> tuple[Any, Any, str]:
    """Return figure, axes and text alternative, after a rendering that would raise."""
    pair[0].canvas.draw()
    return *pair, str(pair[0].get_label())


def markers(ax: Axes, marker: str) -> list[tuple[float, float]]:
    """Return the places of one kind of marker."""
    lines = [line for line in ax.get_lines() if line.get_marker() == marker]
    return [(float(x), float(y)) for line in lines for x, y in np.asarray(line.get_xydata())]


def upright(ax: Axes) -> list[tuple[float, Any, Any]]:
    """Return place, colour and dashes of every line over the whole height."""
    found = []
    for line in ax.get_lines():
        places, heights = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        if heights.tolist() == [0, 1]:
            found.append((float(places[0]), line.get_color(), line.get_linestyle()))
    return found


def title(ax: Axes) -> str:
    """Return the title on one line."""
    return ax.get_title(loc="left").replace("\n", " ")


def overlaps(fig: Any, texts: Sequence[Any]) -> list[tuple[str, str]]:
    """Return which texts cover each other."""
    boxes = [(text.get_text(), text.get_window_extent(fig.canvas.get_renderer())) for text in texts]
    return [(one, other) for i, (one, box) in enumerate(boxes) for other, its in boxes[i + 1 :] if box.overlaps(its)]


def is_inside(fig: Any, texts: Sequence[Any]) -> bool:
    """Say whether all texts are on the page."""
    width, height = fig.canvas.get_width_height()
    boxes = [text.get_window_extent(fig.canvas.get_renderer()) for text in texts]
    return all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in boxes)


# --- one series -------------------------------------------------------------------------------------------------


def test_a_change_is_a_line_between_two_runs_with_its_words() -> None:
    """Between run 20 and run 21; the title is the finding, and the words hold the whole name of the run."""
    fig, ax, told = drawn(plot_series(series(), scan()))

    assert upright(ax) == [(20.5, WARNING, "-")]
    assert [text.get_text() for text in ax.texts] == ["+10.0 % [8.0, 12.0] since run 21 (2026-03-21)"]
    assert title(ax) == (
        "Median latency of int8 in single, reviews-tiny: +10.0 % [8.0, 12.0] since run 21 (2026-03-21), worse"
    )
    assert f"+10.0 % [8.0, 12.0] since run {run_id(20)}, worse." in told
    assert "Levels: 1.00 ms, 1.10 ms; noise 1.0 %." in told
    assert is_inside(fig, [*ax.texts, ax.title])


def test_levels_have_a_band_of_twice_the_noise() -> None:
    """From the first to the last run of each segment, in milliseconds."""
    _, ax, _ = drawn(plot_series(series(), scan()))
    levels = [tuple(map(tuple, path.vertices)) for path in ax.collections[1].get_paths()]
    band = ax.collections[0].get_paths()[0].get_extents()

    assert levels == [((0.5, 1.0), (20.5, 1.0))]
    assert (band.x0, band.x1) == (0.5, 20.5)
    assert (band.y0, band.y1) == pytest.approx((0.98, 1.02))
    assert ax.get_ylabel() == "Median latency [ms]\n(axis cut)"


def test_spikes_are_hollow_and_marked_runs_are_crosses() -> None:
    """Neither is drawn as a run; a spike far away stands at the edge with its value."""
    points = series(step=None)
    points[4] = dataclasses.replace(points[4], value=0.01)
    points[9] = dataclasses.replace(points[9], mark="quarantined")
    _, ax, told = drawn(plot_series(points, scan(step=None, spikes=(4,))))
    hollow = next(line for line in ax.get_lines() if line.get_markerfacecolor() == "white")

    assert list(hollow.get_xdata()) == [5]
    assert ax.get_ylim()[0] < hollow.get_ydata()[0] <= ax.get_ylim()[1] < 1100
    assert [text.get_text() for text in ax.texts] == ["↑ 10.0 ms"]
    assert [x for x, _ in markers(ax, "x")] == [10]
    assert len(markers(ax, "o")) == 29
    assert f"Spikes without weight: {run_id(4)}. Quarantined: {run_id(9)}." in told


def test_a_scan_of_the_sound_runs_is_drawn_in_its_places() -> None:
    """A marked run that the scan has not seen moves everything after it."""
    points = series(step=21, count=31)
    points[3] = dataclasses.replace(points[3], mark="quarantined")
    _, ax, _ = drawn(plot_series(points, scan()))

    assert upright(ax) == [(21.5, WARNING, "-")]


def test_a_nomination_is_dashed_until_the_scan_sees_it_too() -> None:
    """The numbers are the nomination's in both cases, and there is one line."""
    _, alone, _ = drawn(plot_series(series(step=28), scan(step=None), nomination=nomination(28)))
    _, both, told = drawn(plot_series(series(), scan(), nomination=nomination()))

    assert upright(alone) == [(28.5, WARNING, "--")]
    assert upright(both) == [(20.5, WARNING, "-")]
    assert [text.get_text() for text in both.texts] == ["+7.0 % [4.9, 9.1] since run 21 (2026-03-21), nominated"]
    assert title(both).endswith("since run 21 (2026-03-21), nominated")
    assert "worse, nominated." in told


def test_a_nomination_of_a_run_that_is_not_shown_is_left_out() -> None:
    """A shortened series draws what it has."""
    _, ax, _ = drawn(plot_series(series(step=None), scan(step=None), nomination=nomination(99)))

    assert upright(ax) == []
    assert title(ax).endswith("no change of level in 30 runs")


def test_a_gain_has_another_colour() -> None:
    """In the direction of the metric: more examples a second are better."""
    points = series(metric="examples_per_sec", scenario="offline")
    _, ax, _ = drawn(plot_series(points, scan()))

    assert upright(ax) == [(20.5, HARMLESS, "-")]
    assert title(ax).endswith("better")
    assert ax.get_ylabel().startswith("Throughput [examples/s]")


def test_words_of_many_changes_do_not_cover_each_other() -> None:
    """The newest four have words; the others are lines, and all are told."""
    starts = (30, 90, 150, 160, 170, 180)
    levels = tuple(0.001 * 1.1 ** (index % 2) for index in range(7))
    steps = tuple(ChangePoint(start, "segment", SHIFT, 10, 10) for start in starts)
    points = series(step=None, count=200)
    fig, ax, told = drawn(plot_series(points, SeriesScan(200, 0.01, 0.0, (), steps, levels)))

    assert len(upright(ax)) == 6
    assert [text.get_text().split("since ")[1][:7] for text in ax.texts] == ["run 181", "run 171", "run 161", "run 151"]
    assert overlaps(fig, ax.texts) == []
    assert is_inside(fig, ax.texts)
    assert told.count("since run") == 6


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_drawn(metric: str) -> None:
    """With its unit on the axis, and a flat series too."""
    points = make_series([0.9] * 5, metric=metric)
    _, ax, told = drawn(plot_series(points, SeriesScan(5, 0.0, 0.0, (), (), (0.9,))))

    assert "[" in ax.get_ylabel()
    assert "5 runs" in told
    assert ax.get_ylim()[0] < ax.get_ylim()[1]


def test_none_and_one_run_have_a_figure() -> None:
    """A newcomer sees a point or a sentence, never an error."""
    _, _, nothing = drawn(plot_series((), SeriesScan(0, 0.0, 0.0, (), (), ())))
    _, ax, _ = drawn(plot_series(series(count=1), scan(step=None, count=1)))

    assert nothing.startswith("This series has no run yet")
    assert "one run so far" in title(ax)
    assert len(markers(ax, "o")) == 1


def test_only_first_and_last_run_have_their_day() -> None:
    """So that ticks stay readable over a year; colours are those of baseline and candidate."""
    _, ax, _ = drawn(plot_series(series(step=None, count=300), scan(step=None, count=300)))
    names = [label.get_text() for label in ax.get_xticklabels()]
    _, base, _ = drawn(plot_series(series(step=None, candidate="baseline"), scan(step=None)))

    assert names[0] == "1\n2026-03-01"
    assert names[-1] == "300\n2026-12-25"
    assert all("\n" not in name for name in names[1:-1])
    assert len(names) <= 6
    assert (ax.get_lines()[0].get_color(), base.get_lines()[0].get_color()) == (CANDIDATE, BASELINE)


# --- reruns -----------------------------------------------------------------------------------------------------


def rerun(*swapped: Any, is_worse: bool | None, ratio: Interval | None = SHIFT, package: str | None = None) -> Rerun:
    """Return a rerun with these parts of the suspect."""
    return Rerun(swapped, package, is_worse, ratio, None, "8 lives")


def confirmed(*reruns: Rerun, **change: Any) -> Confirmation:
    """Return a confirmation with these reruns; the lock is to blame."""
    culprits = (Culprit("lock", "torch 2.12 -> 2.13", SHIFT),)
    return make_confirmation(nomination(), **({"reruns": reruns, "culprits": culprits, "ratio": SHIFT} | change))


RERUNS = (
    rerun("artifact", "lock", is_worse=True),
    rerun("artifact", is_worse=False, ratio=Interval(1.0, 0.99, 1.01, 0.98)),
    rerun("lock", is_worse=True),
    rerun("lock", is_worse=None, ratio=Interval(1.03, 0.97, 1.09, 0.98), package="openvino"),
    rerun("lock", is_worse=None, ratio=None, package="torch"),
)


def test_reruns_stand_on_their_rows_and_look_as_they_were_decided() -> None:
    """Worse is coloured, not worse grey, not decided open; nothing is drawn where nothing was measured."""
    _, ax, _ = drawn(plot_confirmation(confirmed(*RERUNS)))
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]

    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots] == [(1.1, 0), (1.0, 1), (1.1, 2), (1.03, 3)]
    assert [line.get_markerfacecolor() for line in dots] == [WARNING, BASELINE, WARNING, "white"]
    assert [collection.get_paths()[0].vertices[:, 0].tolist() for collection in ax.collections] == [
        [1.08, 1.12],
        [0.99, 1.01],
        [1.08, 1.12],
        [0.97, 1.09],
    ]
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "None"] == [1.0]
    assert ax.yaxis_inverted()


def test_the_culprit_is_bold_and_the_verdict_is_the_title() -> None:
    """Rows are named by what was swapped; the package beside the culprit is no culprit."""
    fig, ax, told = drawn(plot_confirmation(confirmed(*RERUNS)))
    names = {label.get_text(): label.get_fontweight() for label in ax.get_yticklabels()}

    assert [name for name, weight in names.items() if weight == "bold"] == ["lock alone"]
    assert next(iter(names)) == "all that differs\n(artifact + lock)"
    assert list(names)[3] == "package openvino alone"
    assert fig.get_suptitle().replace("\n", " ") == (
        "Speed of int8: confirmed, 1.10× [1.08, 1.12]; the cause is the lock"
    )
    assert "package openvino alone: 1.03× [0.97, 1.09] not decided" in told
    assert ax.get_xlabel() == "Time over the last good run [×], 95 % intervals"
    assert is_inside(fig, [*ax.texts, *ax.get_yticklabels()])


def test_quality_is_a_difference_around_nothing() -> None:
    """Percentage points, and the line at zero."""
    one = rerun("artifact", is_worse=True, ratio=Interval(-0.015, -0.02, -0.01, 0.98))
    _, ax, told = drawn(plot_confirmation(confirmed(one, family="quality", ratio=one.ratio)))

    assert markers(ax, "o") == [(-1.5, 0)]
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "None"] == [0.0]
    assert "percentage points" in ax.get_xlabel()
    assert "artifact (all that differs): −1.50 pp [−2.00, −1.00] worse" in told


def test_what_was_not_decided_has_a_figure_or_a_sentence() -> None:
    """An arm that died leaves an empty row; no rerun at all leaves its reason."""
    lost = rerun("artifact", is_worse=None, ratio=None)
    fig, ax, _ = drawn(plot_confirmation(confirmed(lost, verdict="INCONCLUSIVE", ratio=None, culprits=())))
    _, _, told = drawn(plot_confirmation(confirmed(sentence="not decided: no good run is kept")))

    assert fig.get_suptitle() == "Speed of int8: not decided"
    assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]
    assert told == "int8, speed: not decided: no good run is kept"


# --- the overview -----------------------------------------------------------------------------------------------


def watched(**states: dict[str, Any]) -> Check:
    """Return a check in which the baseline's metrics, by name, are changed so."""
    check = make_check(make_points(has_canary=False, candidates=("baseline",)))
    some = [dataclasses.replace(one, **states.get(one.series.metric, {})) for one in check.series]
    return dataclasses.replace(check, series=tuple(some))


def moved(metric: str, ratio: float, before: float = 1.0) -> Nomination:
    """Return the nomination of a metric that moved so."""
    return make_nomination(SeriesKey("reviews-tiny", "baseline", "single", metric, "any"), ratio=ratio, before=before)


def test_what_moved_stands_on_top_and_worse_is_right() -> None:
    """A throughput that fell lies right of zero, a latency that fell left; accuracy moves by points."""
    check = watched(
        examples_per_sec={"state": "nominated", "nomination": moved("examples_per_sec", 0.9)},
        p50_sec={"state": "better", "nomination": moved("p50_sec", 0.95)},
        accuracy_ratio={"state": "known", "nomination": moved("accuracy_ratio", 0.975, before=0.8)},
    )
    fig, ax, told = drawn(plot_watch(check))
    names = [label.get_text() for label in ax.get_yticklabels()]

    assert names[:3] == ["baseline offline examples_per…", "baseline accuracy_ratio", "baseline single p50_sec"]
    assert markers(ax, "o") == [pytest.approx((10, 0)), pytest.approx((2, 1)), pytest.approx((-5, 2))]
    assert [line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o"] == [
        WARNING,
        "white",
        HARMLESS,
    ]
    assert "throughput of baseline in offline: −10.0 % [−11.8, −8.2]" in told
    assert fig.get_suptitle().replace("\n", " ") == (
        "Of 7 series only the throughput of baseline in offline moved for the worse, 1 still known as worse, 1 better"
    )
    assert is_inside(fig, [*ax.texts, *ax.get_yticklabels()])


def test_the_band_is_the_step_that_would_show() -> None:
    """Both ways; none where the series is exact or too short, which the words say."""
    _, ax, told = drawn(plot_watch(watched(load_sec={"state": "too few", "visible_effect_ratio": None})))
    bands = [patch for patch in ax.patches if patch.get_facecolor()[:3] == to_rgba(UNDECIDED)[:3]]

    assert [(patch.get_x(), patch.get_width()) for patch in bands] == [pytest.approx((-5, 10))] * 4
    assert "median latency of baseline in single: quiet, would show 5.0 %" in told
    assert "load time of baseline: 30 of 20 runs" in told
    assert "size of baseline: as before" in told


def test_one_huge_shift_does_not_hide_the_others() -> None:
    """It stands at the edge with an arrow, and its words have the number."""
    _, ax, told = drawn(plot_watch(watched(p50_sec={"state": "nominated", "nomination": moved("p50_sec", 9.0)})))

    assert len(markers(ax, ">")) == 1
    assert ax.get_xlim()[1] < 30
    assert "+800.0 %" in told


def test_many_quiet_series_are_counted_and_those_that_moved_are_drawn() -> None:
    """At most so many rows; all are told."""
    check = watched(size_bytes={"state": "nominated", "nomination": moved("size_bytes", 1.2)})
    _, ax, told = drawn(plot_watch(check, max_rows_count=3))

    assert ax.get_yticklabels()[0].get_text() == "baseline size_bytes"
    assert len(ax.get_yticklabels()) == 3
    assert "4 more series without a change are not drawn" in ax.get_xlabel()
    assert told.count(" of baseline") == 8


def test_a_check_without_series_says_so() -> None:
    """No empty axes."""
    _, _, told = drawn(plot_watch(make_check(series=())))

    assert told.startswith("No series was looked at")
