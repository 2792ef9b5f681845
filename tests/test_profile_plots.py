"""Figures, tables and sentences of profiles: what they say in numbers, and that no word lies on another."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text

from perflib.plots.profile import KIND_COLOURS, plot_kinds, plot_memory, plot_modules, plot_operators
from perflib.plots.roofline import pairs, plot_roofline
from perflib.plots.style import use_house_style
from perflib.profiling.roofline import make_roofline
from perflib.results import KINDS, MemoryPoint, ModuleTime, Profile, Roofline
from perflib.results.layers import merged_points
from perflib.results.model import CeilingRepeat, MachineCeilings
from perflib.results.modules import grouped_modules
from perflib.sentences import profile as sentences
from perflib.tables import profile as tables
from tests.synthetic_profiles import STEP_COUNT, make_ceilings, make_profile

CEILINGS = make_ceilings(2)


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    use_house_style()
    yield
    plt.close("all")


def quantized() -> Profile:
    """Return the model in int8, whose products have another name."""
    whole = make_profile(kind_sec={"matrix": 0.09, "quantization": 0.02}, product_precision="int8", name="int8")
    shapes = (dataclasses.replace(row, operator=row.operator.replace("addmm", "_int_mm")) for row in whole.shapes)
    return dataclasses.replace(whole, shapes=tuple(shapes))


def roofline(profile: Profile | None = None) -> Roofline:
    """Return the roofline of a profile, the baseline's if none is given."""
    return make_roofline(profile or make_profile(), CEILINGS)


FIGURES: dict[str, Callable[[], tuple[Figure, Any]]] = {
    "one roofline": lambda: plot_roofline([roofline()], CEILINGS),
    "a walk": lambda: plot_roofline([roofline(), roofline(quantized())], CEILINGS),
    "fp32 only": lambda: plot_roofline([roofline()], make_ceilings(bf16_flop_per_sec=None, int8_op_per_sec=None)),
    "kinds": lambda: plot_kinds([make_profile(), quantized()]),
    "memory": lambda: plot_memory(make_profile()),
    "modules": lambda: plot_modules(make_profile()),
    "operators": lambda: plot_operators(make_profile()),
    "long operators": lambda: plot_operators(make_profile(kind_sec={"matrix": 0.01})),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_word_lies_on_another(name: str) -> None:
    """Boxes of all words that are drawn are apart, and the text alternative says numbers."""
    fig, _ = FIGURES[name]()
    fig.canvas.draw()
    renderer = fig.canvas.get_renderer()  # type: ignore[attr-defined]
    words = [
        (one.get_text(), Text.get_window_extent(one, renderer).padded(-1))
        for one in fig.findobj(Text)
        if one.get_visible() and one.get_text().strip()
    ]
    # A tick beyond the limits is kept and not drawn.
    drawn = [(text, box) for text, box in words if fig.bbox.padded(2).contains(box.x0, box.y0)]
    clashes = [(left[0], right[0]) for left, right in itertools.combinations(drawn, 2) if left[1].overlaps(right[1])]

    assert clashes == []
    titles = [box for text, box in words if text == fig.axes[0].get_title(loc="left")]
    assert titles
    assert titles[0].x1 <= fig.bbox.x1
    assert any(character.isdigit() for character in str(fig.get_label()))


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (lambda: plot_roofline([], CEILINGS), "No product"),
        (lambda: plot_kinds([]), "Nothing was profiled"),
        (lambda: plot_memory(make_profile(memory=())), "nothing of the memory of baseline"),
        (lambda: plot_modules(make_profile(modules=())), "no modules of baseline"),
        (lambda: plot_operators(make_profile(operators=())), "no operators of baseline"),
    ],
)
def test_where_nothing_is_known_a_sentence_is_drawn(figure: Callable[[], tuple[Figure, Any]], words: str) -> None:
    """An engine's counters may tell no modules and no memory."""
    fig, _ = figure()

    assert words in str(fig.get_label())


def test_bubbles_lie_where_their_points_are_and_small_ones_are_left_out() -> None:
    """Area is the share of an unwatched step; the head takes less than a hundredth and would stretch the axes."""
    one = roofline()
    drawn_on: tuple[Figure, Any] = plot_roofline([one], CEILINGS)
    ax = drawn_on[1]
    drawn = ax.collections[0]
    first = one.points[0]

    assert len(drawn.get_offsets()) == 4 < len(one.points)
    assert list(drawn.get_offsets()[0]) == pytest.approx([first.intensity_flop_per_byte, first.achieved_flop_per_sec])
    areas = drawn.get_sizes()
    assert areas[0] / areas[3] == pytest.approx(first.self_sec / one.points[3].self_sec)
    assert areas[0] == pytest.approx(1400 * first.self_sec / STEP_COUNT / one.step_sec)


def test_the_flat_roofs_begin_where_they_meet_the_slope() -> None:
    """The ridge of a precision is its peak over the bandwidth."""
    drawn_on: tuple[Figure, Any] = plot_roofline([roofline()], CEILINGS)
    ax = drawn_on[1]
    flat = {float(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in ax.lines[1:4]}

    assert flat == pytest.approx({200e9: 200 / 24, 700e9: 700 / 24, 900e9: 900 / 24})


def test_a_point_whose_bytes_nobody_knows_has_no_place() -> None:
    """It divides by nothing, in the figure and in the table."""
    profile = make_profile(shapes=tuple(dataclasses.replace(row, moved_bytes=0) for row in make_profile().shapes))
    fig, _ = plot_roofline([roofline(profile)], CEILINGS)

    assert "No product" in str(fig.get_label())
    assert "–" in tables.shapes_table(profile, roofline(profile))


def test_a_quantized_product_is_paired_by_its_layer() -> None:
    """Another engine's operator has another name and the same layer; each is paired once."""
    before, after = merged_points(roofline()), merged_points(roofline(quantized()))
    found = pairs(before, after)

    assert len(found) == len({start for start, _ in found}) == len({end for _, end in found}) == 5
    assert all(before[start].kind == after[end].kind for start, end in found)
    assert all(before[start].flop_count == after[end].flop_count for start, end in found)


def test_attention_and_layers_are_named() -> None:
    """A product by its operator, what goes in and what comes out."""
    fig, _ = plot_roofline([roofline()], CEILINGS)

    assert "attention at" in str(fig.get_label())
    assert "addmm 384→1536 at" in str(fig.get_label())


def test_products_without_a_likeness_are_not_paired() -> None:
    """Another operator of another kind is no walk."""
    point = roofline().points[0]
    other = dataclasses.replace(point, operator="aten::bmm", kind="attention")

    assert pairs([point], [other]) == []
    assert pairs([point], [dataclasses.replace(point, shapes="[[1]]", flop_count=7)]) == [(0, 0)]


def test_arrows_lead_only_within_a_scenario() -> None:
    """One call and a batch are no recipes of each other; the legend tells them apart."""
    single = roofline(make_profile(scenario="single"))
    _, alone = plot_roofline([roofline(), single], CEILINGS)
    walking: tuple[Figure, Any] = plot_roofline([roofline(), single, roofline(quantized())], CEILINGS)
    walked = walking[1]

    def arrows(ax: Any) -> int:
        return sum(one.get_text() == "" for one in ax.texts)

    assert (arrows(alone), arrows(walked)) == (0, 4)
    legend = [one.get_text() for one in walked.get_legend().get_texts()]
    assert legend[-3:] == ["baseline, offline", "baseline, single", "int8, offline"]


def test_bars_of_kinds_end_where_the_step_ends_and_padding_is_hatched() -> None:
    """Kinds are laid end to end in milliseconds of a step; three eighths of what goes with tokens is hatched."""
    drawn_on: tuple[Figure, Any] = plot_kinds([make_profile()])
    ax = drawn_on[1]
    plain = [bar for bar in ax.patches if not bar.get_hatch()]
    hatched = [bar for bar in ax.patches if bar.get_hatch()]

    assert plain[-1].get_x() + plain[-1].get_width() == pytest.approx(520)
    assert plain[0].get_width() == pytest.approx(340)
    assert len(hatched) == 7
    assert hatched[0].get_x() + hatched[0].get_width() == pytest.approx(340)
    assert sum(bar.get_width() for bar in hatched) == pytest.approx(3 / 8 * 494)


def test_without_padding_nothing_is_hatched() -> None:
    """Neither a bar nor the legend speaks of it."""
    fig, ax = plot_kinds([make_profile(real_token_count=make_profile().step_token_count)])

    assert not any(bar.get_hatch() for bar in ax.patches)
    assert "padding" not in str(fig.get_label())


def test_every_kind_has_a_colour_and_words() -> None:
    """A new kind is told apart in the figure and named in the sentence."""
    assert set(KIND_COLOURS) == set(sentences.KIND_WORDS) == set(KINDS)
    assert len(set(KIND_COLOURS.values())) == len(KINDS)


def test_the_peak_of_memory_is_marked() -> None:
    """The highest point, wherever it lies."""
    points = (MemoryPoint(0.0, 10**6), MemoryPoint(0.3, 5 * 10**6), MemoryPoint(0.4, 2 * 10**6))
    drawn: tuple[Figure, Any] = plot_memory(make_profile(memory=points))
    fig, ax = drawn

    assert [(one.get_xdata()[0], one.get_ydata()[0]) for one in ax.lines[1:]] == [(pytest.approx(300), 5.0)]
    assert "between 1.00 MB and 5.00 MB, highest after 300 ms" in str(fig.get_label())


def test_layers_of_a_stack_are_one_row_and_plain_modules_of_a_list_are_not() -> None:
    """Six layers sum up; `features.0` and `features.1` hold nothing and are different modules."""
    rows = [ModuleTime(f"layers.{layer}.attention", 2, 1.0, 1.5) for layer in range(6)]
    rows += [ModuleTime(f"layers.{layer}", 2, 0.5, 2.0) for layer in range(6)]
    rows += [ModuleTime("features.0", 1, 0.2, 0.2), ModuleTime("features.1", 1, 0.1, 0.1)]
    found = grouped_modules(make_profile(modules=tuple(rows)))

    assert found == (
        ModuleTime("layers.*.attention", 12, 6.0, 9.0),
        ModuleTime("layers.*", 12, 3.0, 12.0),
        ModuleTime("features.0", 1, 0.2, 0.2),
        ModuleTime("features.1", 1, 0.1, 0.1),
    )


def test_tables_hold_one_step() -> None:
    """Sums over three steps are divided by three, and products say how near they came to their roof."""
    profile = make_profile()
    shapes = tables.shapes_table(profile, roofline(), top_count=5)

    assert "<td>384 · 2048×384 · 384×384</td><td>fp32</td><td>24</td><td>136 ms</td><td>14.5</td>" in shapes
    assert "<td>53 %</td>" in shapes
    assert '<th scope="row">all</th><td>520 ms</td><td>100.0 %</td>' in tables.kinds_table(profile)
    assert "<code>encoder.layer.*.output</code></th><td>6</td><td>125 ms</td><td>24.0 %" in tables.modules_table(
        profile
    )
    assert "<code>aten::addmm</code></th><td>matrix</td><td>37</td><td>340 ms</td>" in tables.operators_table(profile)


def test_names_from_outside_are_escaped() -> None:
    """Operators, shapes and modules come from a trace."""
    evil = "<b>x</b>"
    row = dataclasses.replace(make_profile().shapes[0], operator=evil, shapes=evil, precision=evil)
    profile = make_profile(shapes=(row,), modules=(ModuleTime(evil, 1, 1.0, 1.0),))
    profile = dataclasses.replace(
        profile,
        operators=(dataclasses.replace(profile.operators[0], operator=evil, kind=evil),),
        kinds=(dataclasses.replace(profile.kinds[0], kind=evil),),
    )
    for shown in (
        tables.shapes_table(profile, roofline(profile)),
        tables.modules_table(profile),
        tables.operators_table(profile),
        tables.kinds_table(profile),
    ):
        assert "<b>" not in shown
        assert "&lt;b&gt;" in shown


def test_the_ceilings_of_every_count_stand_in_a_table() -> None:
    """What was measured once has no repeat, and what torch cannot do has no rate."""
    known = MachineCeilings(
        "class",
        "2.13.0",
        (make_ceilings(1, int8_op_per_sec=None), make_ceilings(2)),
        (CeilingRepeat(2, 0.01, None, 0.031, 0.0),),
    )
    shown = tables.machine_ceilings_table(known)

    assert "<td>100 GFLOP/s</td><td>350 GFLOP/s</td><td>–</td><td>12.0 GB/s</td><td>–</td>" in shown
    assert "<td>900 GOP/s</td><td>24.0 GB/s</td><td>within 3.1 %</td>" in shown


def test_sentences_say_the_limit_here_and_in_int8() -> None:
    """480 ms a step, 223.5 ms at best; in int8 49.7 ms for the arithmetic."""
    said = sentences.limit_sentence(roofline(make_profile(unwatched_sec=3 * 0.48)), CEILINGS)

    assert "Of the 480 ms of a step of `baseline`, 47 % is what its products need at best on 2 threads" in said
    assert "2.15× is the most that the same arithmetic can give in fp32, and 9.67× with every product in int8." in said


def test_without_int8_nothing_is_said_of_it() -> None:
    """Neither on a machine without it, nor of a model that is there already."""
    without = make_ceilings(int8_op_per_sec=None)
    matrix_only = make_profile(kind_sec={"attention": 0.0}, product_precision="int8")

    assert sentences.limit_sentence(make_roofline(make_profile(), without), without).endswith("in fp32.")
    assert sentences.limit_sentence(roofline(matrix_only), CEILINGS).endswith("can give in int8.")


def test_sentences_say_kinds_overhead_and_memory() -> None:
    """The three largest kinds, what watching cost, and what came and went."""
    profile = make_profile()

    assert "takes 520 ms: matrix products 65 %, attention 12 %, elementwise work 12 %; in 5 % of it" in (
        sentences.kinds_sentence(profile)
    )
    assert "38 % of the tokens were padding" in sentences.kinds_sentence(profile)
    assert "padding" not in sentences.kinds_sentence(make_profile(real_token_count=profile.step_token_count))
    assert "made the steps 8.0 % longer" in sentences.overhead_sentence(profile)
    assert "0.8 % of the watched time is unattributed and 1.2 % are gaps" in sentences.overhead_sentence(profile)
    assert "no longer" in sentences.overhead_sentence(make_profile(unwatched_sec=profile.wall_sec))
    assert "at most 136 MB of tensors, 38.0 MB of which" in sentences.memory_sentence(profile)
    assert sentences.memory_sentence(make_profile(memory=())).endswith("at most 136 MB of tensors.")
    assert "nothing of the memory" in sentences.memory_sentence(make_profile(memory=(), peak_allocated_bytes=None))


def test_the_prediction_of_matrix_work_is_held_against_the_wall_time() -> None:
    """Exactly half is not more than half."""
    half = make_profile(kind_sec=dict.fromkeys(KINDS, 0.0) | {"matrix": 0.25, "attention": 0.25, "idle": 0.5})

    assert "77 % of the time: more than half, as predicted" in sentences.matrix_sentence(make_profile())
    assert "50 % of the time: less than half, against" in sentences.matrix_sentence(half)
