"""Figures: each has a finding for a title, units on its axes, and words for those who cannot see it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from synthetic_records import (
    baseline,
    calibration,
    candidate,
    ceilings,
    comparison,
    evidence_path,
    noise_study,
    part,
    profile,
    scenario,
    unbounded,
)

from perflib import plots
from perflib.results import Comparison, Estimate, Interval, LowerBound

mpl.use("Agg")

LONG_NAME = "int8-weights-and-activations-smoothquant-per-channel-openvino-batch32"
SLOWER, SAME = evidence_path([0.2, 0.21] * 3, "offline"), evidence_path([0.003, 0.004] * 4)
ONE = evidence_path([-0.1])
SUMMARY = [candidate(), candidate("bf16", "undecided", offline_throughput_speedup_ratio=Estimate(1.1, None, None))]
FIGURES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "operators": lambda: plots.plot_operators(profile()),
    "latency": lambda: plots.plot_latency(baseline()),
    "ceiling": lambda: plots.plot_ceiling(ceilings()),
    "ceiling, fp32 only": lambda: plots.plot_ceiling(ceilings(bf16_flop_per_sec=None, int8_op_per_sec=None)),
    "slices": lambda: plots.plot_slices([part("short"), part("long")], has_candidate=False),
    "slices of two": lambda: plots.plot_slices([part("short"), part("long")], has_candidate=True),
    "one slice, all right": lambda: plots.plot_slices(
        [part("only", baseline_accuracy_ratio=1.0, candidate_accuracy_ratio=1.0)], has_candidate=True
    ),
    "lives": lambda: plots.plot_lives([evidence_path()], name="int8"),
    "lives, three scenarios": lambda: plots.plot_lives([evidence_path(), SLOWER, SAME], name=LONG_NAME),
    "lives, only one": lambda: plots.plot_lives([ONE], name="int8"),
    "lives, 5×": lambda: plots.plot_lives([evidence_path([-1.61, -1.6, -1.66, -1.63, -1.6])], name="int8"),
    "latencies": lambda: plots.plot_latencies(comparison()),
    "latencies, offline": lambda: plots.plot_latencies(comparison(scenario("offline"), name=LONG_NAME)),
    "latencies, one life": lambda: plots.plot_latencies(comparison(unbounded())),
    "evidence": lambda: plots.plot_evidence([evidence_path()], name="int8"),
    "evidence, three scenarios": lambda: plots.plot_evidence([evidence_path(), SLOWER, SAME], name=LONG_NAME),
    "evidence, only one life": lambda: plots.plot_evidence([ONE], name="int8"),
    "evidence, hundreds of lives": lambda: plots.plot_evidence([evidence_path([-1.6] * 200)], name="int8"),
    "rules": lambda: plots.plot_rules(noise_study()),
    "rules, no slowdown planted": lambda: plots.plot_rules(
        noise_study(scores=tuple(one for one in noise_study().scores if one.effect_ratio == 0), any_time=())
    ),
    "calibration": lambda: plots.plot_calibration(calibration()),
    "calibration, A/A only": lambda: plots.plot_calibration(calibration(cells=calibration().cells[:1])),
    "summary": lambda: plots.plot_summary(SUMMARY, margin_ratio=0.01),
    "summary without bounds": lambda: plots.plot_summary(
        [candidate(single_p50_speedup_ratio=None, accuracy_change=LowerBound(-0.01, None))], margin_ratio=0.01
    ),
    "summary without speed": lambda: plots.plot_summary(
        [candidate("x", "quarantined", single_p50_speedup_ratio=None, offline_throughput_speedup_ratio=None)],
        margin_ratio=0.01,
    ),
}


@pytest.fixture(autouse=True)
def _house_style() -> Iterator[None]:
    with mpl.rc_context():
        plots.use_house_style()
        yield
    plt.close("all")


def words_of(drawn: tuple[Any, Any]) -> str:
    """Return the text alternative of a figure."""
    return str(drawn[0].get_label())


def panels(axes: Any) -> list[Axes]:
    """Return the panels of a figure."""
    return list(axes) if isinstance(axes, tuple) else [axes]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_words_a_title_and_units(name: str) -> None:
    """The label says in words what is drawn, the title is there, every quantity has its unit in brackets."""
    figure, axes = FIGURES[name]()
    figure.canvas.draw()

    assert len(figure.get_label()) > 30
    assert figure.get_label().endswith(".")
    for ax in panels(axes):
        assert ax.get_title(loc="left")
        assert "[" in ax.get_xlabel()
        assert "]" in ax.get_xlabel()


def test_the_house_style_sets_the_defaults() -> None:
    """No box around the data, titles to the left, one width."""
    assert mpl.rcParams["axes.spines.top"] is False
    assert mpl.rcParams["axes.titlelocation"] == "left"
    assert mpl.rcParams["figure.figsize"][0] == plots.WIDTH_INCH


def test_lengths_start_at_zero() -> None:
    """Bars and latencies are not cut; accuracy by slice and the speed-up of lives are, and say so."""
    for name in ("operators", "latency", "latencies", "ceiling", "calibration", "summary"):
        assert panels(FIGURES[name]()[1])[0].get_xlim()[0] == 0
    assert "axis cut" in FIGURES["slices"]()[1].get_xlabel()
    assert "axis cut" in panels(FIGURES["lives"]()[1])[0].get_ylabel()


def test_titles_are_findings() -> None:
    """They are computed from the record."""
    assert FIGURES["operators"]()[1].get_title(loc="left") == "addmm takes 75 % of the time"
    assert FIGURES["ceiling"]()[1].get_title(loc="left") == "int8 can multiply 6.0× as fast as fp32 here"
    assert FIGURES["latency"]()[1].get_title(loc="left") == "Half of single calls take 30.0 ms or less"


def test_without_candidates_the_figure_says_so() -> None:
    """No candidate, and a candidate that was never validated, give one line of text and no crash."""
    for candidates in ([], [candidate(verdict="failed", accuracy_change=None)]):
        drawn = plots.plot_summary(candidates, margin_ratio=0.01)
        drawn[0].canvas.draw()

        assert "nothing to draw" in words_of(drawn)


def test_the_text_alternative_holds_the_numbers() -> None:
    """Every scenario and the accuracy of every candidate are told with their bounds."""
    told = FIGURES["summary"]()[0].get_label()

    assert "int8 single 3.00× [2.80, 3.20]" in told
    assert "bf16 offline 1.10×" in told
    assert "int8 accuracy −0.57 pp, at worst −1.36 pp" in told
    assert "margin is 1 points" in told


def titles(name: str) -> list[str]:
    """Return the titles of a figure's panels, unbroken."""
    return [ax.get_title(loc="left").replace("\n", " ") for ax in panels(FIGURES[name]()[1])]


def words_beside(ax: Axes) -> list[str]:
    """Return what is written beside the lines of a panel."""
    return [text.get_text() for text in ax.texts]


def test_every_verdict_has_its_words_with_the_interval() -> None:
    """Each scenario says what was found; too few lives give an estimate without brackets."""
    (faster,), (undecided,) = titles("lives"), titles("lives, only one")
    _, slower, same = titles("lives, three scenarios")
    low, high = evidence_path().low_ratios[-1], evidence_path().high_ratios[-1]

    assert low is not None
    assert high is not None
    assert faster == f"int8, single: faster, 3.00× [{low:.2f}, {high:.2f}]"
    assert "openvino-batch32, offline: slower, 0.815× [0.8" in slower
    assert ": no regression as large as 3 %, 0.997× [" in same
    assert undecided == "int8, single: not decided, 1.11×"


def test_the_final_interval_and_the_baseline_are_written_beside_the_lines() -> None:
    """The tolerance is named only where it can be seen."""
    near, far = (panels(FIGURES[name]()[1])[-1] for name in ("lives, three scenarios", "lives, 5×"))

    assert [text.split(" [")[0] for text in words_beside(near)] == ["0.997×", "baseline ± 0.5 %"]
    assert [text.split(" [")[0] for text in words_beside(far)] == ["baseline", "5.03×"]


def test_the_evidence_says_with_which_life_it_was_enough() -> None:
    """The line of the verdict crosses the bar; where none does, nothing is decided."""
    assert titles("evidence") == ["int8, single: faster, decided with life 5 of 5"]
    assert titles("evidence, only one life") == ["int8, single: not decided after 1 life"]
    assert titles("evidence, three scenarios")[1].endswith(", offline: slower, decided with life 5 of 6")
    assert "decided: 1/alpha = 20" in words_beside(panels(FIGURES["evidence"]()[1])[0])


def test_evidence_beyond_any_float_is_drawn_and_told() -> None:
    """Two hundred lives double the evidence two hundred times."""
    figure, (ax,) = FIGURES["evidence, hundreds of lives"]()

    assert "E for faster 10^60" in figure.get_label()
    assert 60 < ax.get_ylim()[1] < 70


def test_a_verdict_that_nothing_supports_is_not_dated() -> None:
    """A record whose verdict was withdrawn, for instance for dropped units, has no life that decided it."""
    withdrawn = dataclasses.replace(evidence_path(), verdict="INCONCLUSIVE")
    _, (ax,) = plots.plot_evidence([withdrawn], name="int8")

    assert ax.get_title(loc="left") == "int8, single: not decided after 5 lives"


@pytest.mark.parametrize("plot", [plots.plot_lives, plots.plot_evidence])
def test_a_scenario_without_counted_lives_is_left_out(plot: Callable[..., tuple[Any, Any]]) -> None:
    """Without any there is one sentence."""
    names = [field.name for field in dataclasses.fields(ONE) if str(field.type).startswith("tuple")]
    empty: dict[str, Any] = dict.fromkeys(names, ())
    nothing = dataclasses.replace(ONE, **empty)

    assert len(plot([nothing, ONE], name="int8")[1]) == 1
    assert "nothing to draw" in words_of(plot([nothing], name="int8"))


def test_latencies_pool_the_calls_of_both_arms() -> None:
    """Five lives of four slots of each arm, eight calls each; percentiles with their intervals, where there are any."""
    figure, ax = FIGURES["latencies"]()

    assert ax.get_title(loc="left") == "The median call takes 10.0 ms instead of 30.0 ms"
    assert "baseline p50 30.0 ms [29.4 ms, 30.0 ms], p95 32.4 ms [31.8 ms, 32.4 ms], longest" in figure.get_label()
    assert figure.get_label().count("n = 160") == 2
    assert words_beside(ax) == ["p50: 30.0 ms → 10.0 ms", "p95: 32.4 ms → 10.8 ms"]


def test_without_single_calls_the_axis_says_what_is_drawn() -> None:
    """Slots of the first scenario have medians and no percentiles, and a pass is one of a slot's."""
    figure, ax = FIGURES["latencies, offline"]()
    twice = comparison(scenario("offline", passes_per_slot_count=2))

    assert ax.get_xlabel() == "Time of one pass over 32 examples in offline [ms]"
    assert LONG_NAME in figure.get_label()
    assert words_beside(ax) == []
    assert plots.plot_latencies(twice)[1].get_title(loc="left") == "The median pass takes 5.00 ms instead of 15.0 ms"


def test_equal_medians_and_a_server_have_their_words() -> None:
    """Nothing takes some time instead of the same time, and a server's slot is a rate."""
    equal = Interval(1.0, 0.99, 1.01, 0.9)
    _, ax = plots.plot_latencies(comparison(scenario("server", speedup_ratio=equal, statistic="sec_per_request")))

    assert ax.get_title(loc="left") == "The median slot takes 30.0 ms in both"
    assert "that a slot of server carries [ms]" in ax.get_xlabel()


def test_calls_beyond_the_axis_are_counted() -> None:
    """One call that hung for a second does not squeeze the others, and is told."""
    one = scenario("single")
    slow = dataclasses.replace(one.lives[0].units[0], samples_sec=((0.03,), (0.01,), (0.01,), (1.0,)))
    lives = (dataclasses.replace(one.lives[0], units=(slow,)), *one.lives[1:])
    drawn = plots.plot_latencies(comparison(dataclasses.replace(one, lives=lives)))
    ax = drawn[1]

    assert ax.get_xlabel() == "Time of one call [ms]; n = 1 beyond the axis"
    assert ax.get_xlim()[1] < 100
    assert "longest 1.00 s" in words_of(drawn)


def dropped(record: Comparison) -> Comparison:
    """Return a comparison of which no unit counts."""
    one = record.scenarios[0]
    units = tuple(dataclasses.replace(unit, dropped="steal") for unit in one.lives[0].units)
    lives = (dataclasses.replace(one.lives[0], units=units, log_ratio=None),)
    return dataclasses.replace(record, scenarios=(dataclasses.replace(one, lives=lives),))


def test_dropped_units_are_not_drawn() -> None:
    """Where nothing counts there is one sentence."""
    assert "nothing to draw" in words_of(plots.plot_latencies(dropped(comparison())))


def test_our_rule_stands_first_and_rivals_by_their_worst_alarms() -> None:
    """Both titles give the worst over all kinds of noise."""
    figure, (alarms, power) = FIGURES["rules"]()

    assert [tick.get_text() for tick in alarms.get_yticklabels()] == ["perflib", "asv", "pyperf"]
    assert alarms.get_title(loc="left").replace("\n", " ") == (
        "perflib: at most 0.1 % false alarms, rivals up to 60.0 %"
    )
    assert power.get_title(loc="left").replace("\n", " ") == (
        "perflib finds at least 70 %, 95 %, 100 % of slowdowns of 3 %, 5 %, 10 %"
    )
    assert "asv false alarms: independent 2.00 %, recorded 30.00 %" in figure.get_label()
    assert "Over 60 lives perflib false alarms: independent 0.20 %" in figure.get_label()
    assert titles("rules, no slowdown planted")[1] == "No slowdown was planted"


def test_the_calibration_counts_alarms_and_what_was_found() -> None:
    """Both are counts, beside the number of comparisons and the median of their lives."""
    figure, ax = FIGURES["calibration"]()

    assert titles("calibration") == ["1 false alarm in 200 A/A comparisons; 83 of 90 planted slowdowns found"]
    assert titles("calibration, A/A only") == ["1 false alarm in 200 A/A comparisons"]
    assert "spin +3 % slower 24, not decided 6 of 30 after 12 lives in the median" in figure.get_label()
    assert {"n", "median lives", "200", "14", "8.5"} <= set(words_beside(ax))


def test_an_empty_study_is_one_sentence() -> None:
    """No rule was tried, nothing was compared."""
    assert "nothing to draw" in words_of(plots.plot_rules(noise_study(scores=())))
    assert "nothing to draw" in words_of(plots.plot_calibration(calibration(cells=())))


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_written_outside_the_figure(name: str) -> None:
    """Labels beside the axes and long names stay within the edges."""
    figure, _ = FIGURES[name]()
    figure.canvas.draw()
    box, whole = figure.get_tightbbox(), figure.bbox_inches

    assert box.x0 >= -0.05
    assert box.y0 >= -0.05
    assert box.x1 <= whole.x1 + 0.05
    assert box.y1 <= whole.y1 + 0.05


def test_drawing_leaves_the_record_alone() -> None:
    """The same record gives the same words twice."""
    assert FIGURES["lives"]()[0].get_label() == FIGURES["lives"]()[0].get_label()
