"""Figures: each has a finding for a title, units on its axes, and words for those who cannot see it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, cast

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from perflib import plots
from perflib.results import Comparison, Estimate, Gate, Interval, LowerBound
from perflib.search.front import pareto_candidates
from tests.synthetic_records import (
    baseline,
    calibration,
    candidate,
    ceilings,
    comparison,
    confidence,
    evidence_path,
    flips,
    full_validation,
    gate,
    ladder,
    margin_slices,
    noise_study,
    part,
    passing_gates,
    profile,
    scenario,
    slices_of_texts,
    unbounded,
    validation,
)

mpl.use("Agg")

LONG_NAME = "int8-weights-and-activations-smoothquant-per-channel-openvino-batch32"
SLOWER, SAME = evidence_path([0.2, 0.21] * 3, "offline"), evidence_path([0.003, 0.004] * 4)
ONE = evidence_path([-0.1])
MANY = [
    candidate("small", size_ratio=0.1),
    candidate(
        "quick",
        single_p50_speedup_ratio=Estimate(6.0, 5.5, 6.5),
        offline_throughput_speedup_ratio=Estimate(11.0, 10.0, 12.0),
    ),
    candidate("broken", "quarantined", accuracy_change=LowerBound(-0.03, -0.04)),
    candidate("untimed", "failed", single_p50_speedup_ratio=None),
]
SUMMARY = [candidate(), candidate("bf16", "undecided", offline_throughput_speedup_ratio=Estimate(1.1, None, None))]
MIXED_GATES = passing_gates(
    A1={"measured": 0.9871, "verdict": "FAIL"},
    A2={"measured": -0.0136, "verdict": "INCONCLUSIVE"},
    A3_negative={"measured": 0.0131, "verdict": "WARN"},
    A6_recall={"measured": None, "low": None, "high": None, "verdict": "INCONCLUSIVE"},
    A7_drop={"measured": 0.0583, "low": 0.011, "high": 0.104, "verdict": "FAIL", "waiver": "A. Person, until May"},
    A9={"measured": 0.0125, "low": -0.05, "high": 0.07, "verdict": "INCONCLUSIVE", "waiver": "A. Person, until May"},
    A12_again={"measured": 0.0003, "verdict": "FAIL"},
)
EXTREME_GATES = (
    *passing_gates(
        A1={"measured": 0.0, "verdict": "FAIL"},
        A2={"measured": -1.0, "verdict": "FAIL"},
        A4_kl_mean={"measured": 27.63102, "verdict": "FAIL"},
        A4_kl_p99={"measured": 3e-9},
        A5_brier={"measured": -1.4, "low": -1.6, "high": -1.2},
        A8_gap={"measured": 0.5, "low": -1.0, "high": 1.0, "verdict": "INCONCLUSIVE", "name": LONG_NAME},
        A12_finite={"measured": 1_234_567.0, "verdict": "FAIL", "waiver": "A. Person, until May"},
    ),
    gate(id="B1-own", name="a gate of our own", measured=3.25, limit=5.0),
)
MANY_SLICES = (
    *(flips(f"column {i % 7}", f"value {i}", 1000 + i, (7 * i) % 13, (5 * i) % 7, is_gated=True) for i in range(40)),
    *slices_of_texts(),
)
FIGURES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "operators": lambda: plots.plot_operators(profile()),
    "latency": lambda: plots.plot_latency(baseline()),
    "ceiling": lambda: plots.plot_ceiling(ceilings()),
    "ceiling, fp32 only": lambda: plots.plot_ceiling(ceilings(bf16_flop_per_sec=None, int8_op_per_sec=None)),
    "slices": lambda: plots.plot_slices([part("short"), part("long")]),
    "one slice, all right": lambda: plots.plot_slices([part("only", baseline_accuracy_ratio=1.0)]),
    "slices of several columns": lambda: plots.plot_slices(full_validation().slices),
    "gates": lambda: plots.plot_gate_board(full_validation()),
    "gates, mixed": lambda: plots.plot_gate_board(full_validation(gates=MIXED_GATES)),
    "gates, extreme": lambda: plots.plot_gate_board(full_validation(gates=EXTREME_GATES)),
    "gates, only one": lambda: plots.plot_gate_board(validation("WARN")),
    "flips by slice": lambda: plots.plot_flips_by_slice(full_validation()),
    "flips by slice, many": lambda: plots.plot_flips_by_slice(full_validation(slices=MANY_SLICES)),
    "flips by slice, all wrong": lambda: plots.plot_flips_by_slice(
        full_validation(slices=(flips(LONG_NAME, LONG_NAME, 60, 60, 0, is_gated=True),))
    ),
    "reliability": lambda: plots.plot_reliability(full_validation()),
    "reliability, far off": lambda: plots.plot_reliability(
        full_validation(
            name=LONG_NAME,
            baseline_confidence=confidence(shift=-0.05),
            candidate_confidence=confidence(shift=0.3),
        )
    ),
    "flips by margin": lambda: plots.plot_confidence_flips(full_validation()),
    "flips by margin, none": lambda: plots.plot_confidence_flips(
        full_validation(slices=(flips("baseline margin", "all alike", 500, 0, 0),))
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
    "ladder": lambda: plots.plot_ladder(ladder()),
    "candidates": lambda: plots.plot_candidates(MANY, ["small", "quick"], margin_ratio=0.01),
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


def board(*gates: Gate) -> Any:
    """Draw a board of these gates, the only figure that is open."""
    plt.close("all")
    return plots.plot_gate_board(validation(gates=gates))[1]


def marks(ax: Any) -> list[tuple[float, str, str]]:
    """Return place, marker and colour of every gate that was measured, from the top."""
    found = [line for line in ax.lines if line.get_marker() in ("o", "^", "X", "D")]
    return [(line.get_xdata()[0], str(line.get_marker()), str(line.get_color())) for line in found]


def words_of_row(ax: Any, row: int) -> list[str]:
    """Return what is written beside a row of the board: measured, allowed, verdict."""
    return [text.get_text() for text in ax.figure.axes[1].texts[3 * row : 3 * row + 3]]


@pytest.mark.parametrize(
    ("gate_id", "measured", "limit", "place"),
    [
        ("A1", 0.99, 0.99, 1.0),
        ("A1", 1.0, 0.99, 0.0),
        ("A1", 1.005, 0.99, -0.5),
        ("A2", -0.01, 0.01, 1.0),
        ("A2", 0.005, 0.01, -0.5),
        ("A3-all", 0.01, 0.02, 0.5),
        ("A4-label-loyalty", 0.99, 0.98, 0.5),
        ("A4-cosine", 0.985, 0.99, 1.5),
        ("A4-kl-mean", 0.02, 0.01, 2.0),
        ("A5-ece", -0.005, 0.01, -0.5),
        ("A7-bound", 0.025, 0.05, 0.5),
        ("A12-finite", 0.0, 0.0, 0.0),
        ("A13", 1.0, 0.0, 2.5),
        ("A9", 0.025, 0.01, 2.5),
        ("A9", 0.03, 0.01, 2.5),
        ("A9", -0.03, 0.01, -1.0),
        ("A1", 0.9, 1.0, 2.5),
    ],
)
def test_a_gate_stands_where_its_harm_is_in_limits(gate_id: str, measured: float, limit: float, place: float) -> None:
    """0 is no change and 1 the limit, whichever way the gate counts; a limit of nothing is kept or far exceeded."""
    assert marks(board(gate(id=gate_id, measured=measured, limit=limit)))[0][0] == pytest.approx(place)


def arrows(ax: Any) -> list[str]:
    """Return the arrows of a board."""
    return [str(line.get_marker()) for line in ax.lines if line.get_marker() in ("<", ">")]


def test_only_what_lies_beyond_the_axis_has_an_arrow() -> None:
    """Exactly at the cut there is none."""
    at_border, beyond, far_better = (gate(id="A9", measured=value) for value in (0.025, 0.02501, -0.011))

    assert arrows(board(at_border)) == []
    assert arrows(board(beyond)) == [">"]
    assert arrows(board(far_better)) == ["<"]


def test_every_verdict_has_a_shape_and_a_colour_of_its_own() -> None:
    """Whoever cannot tell the colours apart sees the shapes."""
    found = marks(board(gate("PASS"), gate("WARN"), gate("FAIL"), gate("INCONCLUSIVE")))

    assert len({marker for _, marker, _ in found}) == 4
    assert len({colour for _, _, colour in found}) == 4


def test_gates_stand_in_the_order_of_their_numbers() -> None:
    """A2 comes before A10, gates of one number stay in the file's order, our own come last."""
    ids = ("B1-own", "A12-sums", "A10-gap", "A2", "A12-again", "A1")
    labels = board(*(gate(id=one, name=one) for one in ids)).get_yticklabels()

    assert [label.get_text().split("  ")[1] for label in labels] == [
        *("A1", "A2", "A10-gap", "A12-sums", "A12-again", "B1-own")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "A1", "measured": 0.98714, "limit": 0.99}, ["98.71 %", "≥ 99 %"]),
        ({"id": "A1", "measured": 0.98714, "limit": 0.999}, ["98.71 %", "≥ 99.9 %"]),
        ({"id": "A2", "measured": -0.0136, "limit": 0.002}, ["−1.36 pp", "> −0.2 pp"]),
        ({"id": "A3-negative", "measured": 0.0103, "limit": 0.01}, ["1.03 %", "≤ 1 %"]),
        ({"id": "A4-kl-mean", "measured": 0.00421, "limit": 0.01}, ["0.00421 nat", "≤ 0.01 nat"]),
        ({"id": "A4-kl-p99", "measured": 3e-7, "limit": 1e-5}, ["<0.00001 nat", "≤ 0.00001 nat"]),
        ({"id": "A4-cosine", "measured": 0.99987, "limit": 0.99}, ["0.99987", "≥ 0.99"]),
        ({"id": "A5-brier", "measured": -0.0011, "limit": 0.01}, ["−0.0011", "≤ 0.01"]),
        ({"id": "A7-drop", "measured": 0.0312, "limit": 0.03}, ["+3.12 pp", "≤ 3 pp"]),
        ({"id": "A12-batch", "measured": 0.00049, "limit": 0.001}, ["0.05 %", "≤ 0.1 %"]),
        ({"id": "A12-finite", "measured": 1234.0, "limit": 0.0}, ["1,234", "≤ 0"]),
        ({"id": "A13", "measured": None, "limit": 0.0}, ["–", "≤ 0"]),
    ],
)
def test_numbers_stand_beside_the_board_in_their_own_units(change: dict[str, Any], words: list[str]) -> None:
    """Percent, points, nat or counts, and on which side of the limit they may lie."""
    assert words_of_row(board(gate(**change)), 0) == [*words, "PASS"]


def test_what_was_not_measured_says_so() -> None:
    """There is no mark, and words in its place."""
    ax = board(gate("INCONCLUSIVE", measured=None), gate())

    assert len(marks(ax)) == 1
    assert [text.get_text() for text in ax.texts].count("not measured") == 1


def test_a_waived_gate_keeps_its_verdict_and_is_marked() -> None:
    """Beside the row, in the title and in words."""
    drawn = plots.plot_gate_board(validation(gates=(gate("FAIL", waiver="A. Person"), gate("FAIL", id="A9"))))
    ax = drawn[1]

    assert words_of_row(ax, 0)[2] == "FAIL, waived"
    assert words_of_row(ax, 1)[2] == "FAIL"
    assert ax.get_title(loc="left") == "2 of 2 gates failed: A2 (waived), A9"
    assert "A2 non-inferiority FAIL, waived, −0.20 pp, > −1 pp is allowed" in words_of(drawn)


def test_the_title_of_the_board_names_the_worst() -> None:
    """What failed first, then only counts; without a failure what is not decided; else all passed."""
    warned, undecided = gate("WARN", id="A9"), gate("INCONCLUSIVE")

    assert titles("gates") == ["31 of 31 gates passed"]
    assert titles("gates, mixed") == ["3 of 31 gates failed: A1, A7-drop (waived), A12-again, 3 not decided, 1 warned"]
    assert titles("gates, extreme")[0].startswith("4 of 32 gates failed: A1, A2, A4-kl-mean and 1 other, 1 not")
    assert board(warned, undecided, gate()).get_title(loc="left") == "1 of 3 gates not decided: A2, 1 warned"
    assert board(warned, gate()).get_title(loc="left") == "1 of 2 gates warned: A9"


def ticks_at(ax: Any) -> list[float]:
    """Return where bounds end and warnings do."""
    return [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"]


def test_bounds_end_within_the_axis_or_run_to_its_edge() -> None:
    """A mark at each bound, none where the bound or the limit of warnings is cut off."""
    ax = board(gate(id="A9", measured=0.005, low=-0.05, high=0.02, limit=0.01, warn_limit=0.03))
    (bounds,) = [one for one in ax.collections if len(one.get_paths()) == 1 and one.get_linewidths()[0] == 1]

    assert ticks_at(ax) == [2.0]
    assert bounds.get_paths()[0].vertices[:, 0].tolist() == [-1.0, 2.0]
    assert ticks_at(board(gate(id="A3-all", measured=0.0, limit=0.01, warn_limit=0.02))) == [2.0]


def test_the_board_counts_harm_as_the_gates_do() -> None:
    """Judged by the real rules, a record that is good in much and bad in much passes left of the limit, fails right."""
    from perflib.validation.gates import Limit, judge

    limits = {one.id: Limit(one.limit, one.source, one.warn_limit) for one in passing_gates()}
    worse = full_validation(
        candidate_accuracy_ratio=0.80,
        accuracy_change_ratio=Interval(-0.05, -0.06, None, 0.95),
        negative_flip_count=50,
        slices=(flips("negation", "yes", 412, 40, 1, is_gated=True),),
        non_finite_count=2,
    )
    judged = [one for found in (full_validation(), worse) for one in judge(found, {"lossy": limits}).gates]
    measured = [one for one in judged if one.measured is not None]
    places = [marks(board(one))[0][0] for one in measured]
    passed, failed = (
        {one.id: place for one, place in zip(measured, places, strict=True) if one.verdict == verdict}
        for verdict in ("PASS", "FAIL")
    )

    assert len(passed) > 20
    assert {"A1", "A2", "A3-negative", "A7-drop", "A7-bound", "A12-finite"} <= set(failed)
    assert max(passed.values()) <= 1
    assert min(failed.values()) > 1


def test_without_gates_the_board_is_one_sentence() -> None:
    """Nothing was checked."""
    assert "nothing to draw" in words_of(plots.plot_gate_board(validation()))


def shown_slices(ax: Axes) -> list[str]:
    """Return the names beside the rows, without their sizes."""
    return [label.get_text().split(" (n = ")[0] for label in ax.get_yticklabels()]


def test_flips_are_ranked_by_their_share_and_the_title_names_the_largest_net_loss() -> None:
    """Slices that are too small are left out; what a search found is marked, lighter and never in the title."""
    found = full_validation(slices=slices_of_texts())
    _, ax = plots.plot_flips_by_slice(found)
    bars = cast(Any, ax.patches)
    lost, won = bars[0:12:2], bars[1:12:2]

    assert shown_slices(ax) == [
        "† negation is yes and length is 24 to…",
        *("domain: tweets", "negation: yes", "negation: no", "domain: movies", "question: no"),
    ]
    assert [bar.get_width() for bar in lost[:3]] == pytest.approx([-100 * 7 / 96, -100 * 13 / 372, -100 * 11 / 412])
    assert [bar.get_width() for bar in won[:3]] == pytest.approx([0, 100 / 372, 300 / 412])
    assert [bar.get_alpha() for bar in lost[:2]] == [0.4, 1.0]
    assert ax.get_title(loc="left").replace("\n", " ") == (
        "domain: tweets loses most: −3.23 pp net, 13 became wrong and 1 right"
    )
    assert "† found by a search" in ax.get_xlabel()


def test_the_largest_net_loss_is_shown_even_if_others_flip_more() -> None:
    """One row of two is its own; the most flips take the other."""
    quiet = [flips("a", str(i), 100, 10 + i, 10 + i, is_gated=True) for i in range(5)]
    _, ax = plots.plot_flips_by_slice(full_validation(slices=(*quiet, flips("b", "loss", 100, 3, 0, is_gated=True))), 2)

    assert shown_slices(ax) == ["a: 4", "b: loss"]
    assert ax.get_title(loc="left").startswith("b: loss loses most: −3.00 pp net")
    assert "search" not in ax.get_xlabel()


def test_slices_that_only_gain_are_told_so() -> None:
    """As many right as wrong is no loss; with no slice to judge there is one sentence."""
    even = flips("a", "x", 100, 2, 2, is_gated=True)
    small = flips("a", "x", 10, 2, 0)

    assert plots.plot_flips_by_slice(full_validation(slices=(even,)))[1].get_title(loc="left") == (
        "No slice loses more answers than it gains"
    )
    assert "nothing to draw" in words_of(plots.plot_flips_by_slice(full_validation(slices=(small,))))


def test_slices_of_several_columns_say_which() -> None:
    """`yes` alone could be anything; of one column the value is enough."""
    assert shown_slices(FIGURES["slices of several columns"]()[1])[0] == "negation: yes"
    assert titles("slices of several columns")[0].startswith("negation: yes is hardest")
    assert shown_slices(FIGURES["slices"]()[1]) == ["short", "long"]


def test_reliability_draws_accuracy_gap_and_count_of_every_bin() -> None:
    """Three bars for each of the eight bins that have examples, in both panels; the titles give both errors."""
    figure, (before, after) = FIGURES["reliability"]()
    accuracy, gap, count = after.patches[-3:]

    assert titles("reliability") == ["baseline: ECE 1.00 %", "int8: ECE 3.00 %"]
    assert len(before.patches) == len(after.patches) == 3 * 8
    assert accuracy.get_height() == pytest.approx(100 * (14.5 / 15 - 0.03))
    assert (gap.get_y(), gap.get_height()) == pytest.approx((accuracy.get_height(), 3.0))
    assert count.get_height() == pytest.approx(18)
    assert after.patches[-4].get_height() == pytest.approx(18 * 49 / 64)
    assert "up to 1,280 in a bin" in before.get_xlabel()
    assert "94 % right at 97 % (n = 1,280)" in figure.get_label()


@pytest.mark.parametrize("arm", ["baseline_confidence", "candidate_confidence"])
def test_without_confidence_there_is_one_sentence(arm: str) -> None:
    """One model whose answers are not finite is enough."""
    assert "cannot be drawn" in words_of(plots.plot_reliability(full_validation(**{arm: None})))


def test_flips_by_margin_go_from_least_to_most_sure() -> None:
    """Wrong below right, as shares of the part; the title counts all flips, whatever the order of the record."""
    found = full_validation(slices=(*slices_of_texts(), *margin_slices()[::-1]))
    drawn = plots.plot_confidence_flips(found)
    ax, bars = drawn[1], cast(Any, drawn[1].patches)

    assert [bar.get_height() for bar in bars[:2]] == pytest.approx([900 / 87, 300 / 87])
    assert bars[10].get_y() == pytest.approx(900 / 87)
    assert bars[10].get_height() == pytest.approx(600 / 87)
    assert ax.get_title(loc="left") == "56 % of flips are where the baseline was least sure"
    assert words_of(drawn).startswith("Flips of int8 by the baseline's margin, least sure first: 01 least sure 9 wrong")


def test_without_margins_there_is_one_sentence() -> None:
    """Other slices do not replace them; without flips the title says so."""
    assert "nothing to draw" in words_of(plots.plot_confidence_flips(full_validation(slices=slices_of_texts())))
    assert titles("flips by margin, none") == ["No answer flipped, however unsure the baseline was"]


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


def test_the_front_of_candidates_is_joined_and_the_others_are_shown() -> None:
    """Names stand beside those on the front, every timed candidate has a mark in both panels."""
    figure, (speed, quality) = plots.plot_candidates(MANY, ["small", "quick"], margin_ratio=0.01)

    # Three candidates and the baseline; the one without a time is left out.
    assert len(speed.collections) == 4
    assert {text.get_text() for text in speed.texts} == {"small", "quick", "baseline"}
    told = str(figure.get_label())
    assert "quick: 6.00× [5.50, 6.50] one at a time, 11.0× [10.0, 12.0] all at once" in told
    assert "broken" not in told
    assert figure.get_suptitle().startswith("2 of 3 combinations tried are beaten by no other")
    assert "no front" in words_of(plots.plot_candidates(MANY, [], margin_ratio=0.01))
    assert -1.0 in [line.get_ydata()[0] for line in quality.lines]  # type: ignore[index]


def test_only_approved_candidates_can_be_on_the_front() -> None:
    """Of them those that no other approved one beats in all four aims."""
    worse = candidate("worse", single_p50_speedup_ratio=Estimate(1.0, 1.0, 1.0), size_ratio=0.9)
    faster = candidate("broken", "quarantined", single_p50_speedup_ratio=Estimate(99.0, 98.0, 100.0))

    assert pareto_candidates([*MANY[:2], worse, faster]) == ("small", "quick")
