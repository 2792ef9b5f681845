"""Tests for the figure and the sentences of a rehearsal."""

import dataclasses

import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from perflib.plots.rehearsal import plot_rehearsal
from perflib.plots.style import CANDIDATE, HARMLESS, WARNING
from perflib.sentences.rehearsal import (
    fault_sentence,
    metric_words,
    planted_words,
    rehearsal_sentence,
    way_back_sentence,
)
from tests.rehearsal_world import make_plan, make_rehearsal, rehearsed


def test_every_fault_has_a_panel_with_its_moments() -> None:
    """Planted at zero, back where the record says; with nothing planted there are neither."""
    rehearsal = make_rehearsal()
    fig, axes = plot_rehearsal(rehearsal)

    assert len(axes) == 4
    for ax, fault in zip(axes[:3], rehearsal.faults, strict=False):
        planted = [line.get_xdata()[0] for line in ax.lines if line.get_color() == WARNING]
        back = [line.get_xdata()[0] for line in ax.lines if line.get_color() == HARMLESS]
        assert planted == [0]
        assert back == [fault.rolled_back_sec]
    assert [line for line in axes[3].lines if line.get_color() in (WARNING, HARMLESS)] == []
    plt.close(fig)


def test_the_bars_are_the_shares_of_the_record() -> None:
    """One bar for each window, as high as the candidate's share, over its own time."""
    rehearsal = make_rehearsal()
    fig, axes = plot_rehearsal(rehearsal)
    points = [point for point in rehearsal.traffic if point.fault == "labels"]
    bars = axes[2].containers[1]

    assert [bar.get_height() for bar in bars] == [point.candidate_ratio for point in points]
    assert [bar.get_x() + bar.get_width() for bar in bars] == pytest.approx([point.at_sec for point in points])
    assert {bar.get_width() for bar in bars} == {0.5}
    assert to_hex(bars[0].get_facecolor()).upper() == CANDIDATE
    plt.close(fig)


def test_the_stages_of_the_round_without_a_fault_are_named() -> None:
    """Shadow, half and full, in this order."""
    fig, axes = plot_rehearsal(make_rehearsal())

    assert [text.get_text() for text in axes[3].texts] == ["shadow", "half", "full"]
    plt.close(fig)


def test_the_text_alternative_says_what_happened_to_each() -> None:
    """The finding first, then the sentence of every fault."""
    fig, _ = plot_rehearsal(make_rehearsal())

    assert str(fig.get_label()).startswith("Each of 3 planted faults sent everybody back")
    assert "at the latest after 4.20 s" in str(fig.get_label())
    assert str(fig.get_label()).count("It went back.") == 4
    plt.close(fig)


def test_a_rehearsal_that_failed_is_no_success_in_its_title() -> None:
    """A fault that nobody noticed is drawn without a way back."""
    missed = rehearsed(fault="labels", seen_sec=None, rolled_back_sec=None, is_as_planned=False)
    fig, axes = plot_rehearsal(make_rehearsal(rehearsed(), missed))

    assert str(fig.get_label()).startswith("The rehearsal of int8 did not go as planned in 1 of 2")
    assert [line for line in axes[1].lines if line.get_color() == HARMLESS] == []
    plt.close(fig)


def test_nothing_recorded_is_one_sentence() -> None:
    """No traffic, no axes."""
    fig, _ = plot_rehearsal(dataclasses.replace(make_rehearsal(), traffic=()))

    assert "No traffic was recorded" in str(fig.get_label())
    plt.close(fig)


def test_a_fault_is_told_with_its_times_and_its_bill() -> None:
    """What was planted, where it showed, how long the way back took, and what users got."""
    told = fault_sentence(rehearsed(), in_flight_count=2)

    assert told == (
        "In stage canary-10, we let the candidate fail: 75 % of its answers failed. It showed in the share of failed "
        "answers after 1.50 s, and the way back to the baseline took 2.00 ms (allowed together: 3.00 s). 2 answers "
        "were under way and came. Until then 13 of 120 answers were bad."
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seen_sec": None, "rolled_back_sec": None}, "Nothing noticed it within 3.00 s."),
        ({"is_as_planned": False}, "not what the plan promises"),
        ({"planted": "nothing", "trigger": "p99_sec"}, "slowest answers sent everybody back before failed answers"),
        ({"fault": "none", "seen_sec": None}, "got to canary-10 and stayed there"),
        ({"fault": "none", "is_as_planned": False}, "failed answers sent everybody back from stage canary-10"),
        (
            {"fault": "none", "is_as_planned": False, "seen_sec": None, "trigger": "p99_sec, error_ratio"},
            "by the time of the slowest answers and the share of failed answers",
        ),
        ({"fault": "none", "is_as_planned": False, "seen_sec": None, "trigger": ""}, "until the time was up, by time"),
    ],
)
def test_what_did_not_go_as_planned_is_said(change: dict[str, object], words: str) -> None:
    """Each way to fail has its own words."""
    assert words in fault_sentence(rehearsed(**change))


def test_a_rehearsal_is_told_with_its_day_its_longest_way_back_and_its_scale() -> None:
    """4.2 s at 1/400 are 28 minutes of the plan."""
    told = rehearsal_sentence(make_rehearsal())

    assert "On 2026-03-01" in told
    assert "3 planted faults" in told
    assert "at the latest 4.20 s" in told
    assert "400 times shorter" in told
    assert "about 28 minutes" in told


def test_a_failed_rehearsal_names_what_failed() -> None:
    """A fault by its words; requests that were lost where all faults went as planned."""
    bad = make_rehearsal(rehearsed(), rehearsed(fault="latency", is_as_planned=False))

    assert "did not go as planned with late answers; do not start it" in rehearsal_sentence(bad)
    assert "requests of users were lost" in rehearsal_sentence(make_rehearsal(is_passed=False))


def test_the_way_back_is_told_with_or_without_a_rehearsal() -> None:
    """An untried one says the command that tries it."""
    plan = make_plan()

    assert "back to the baseline within 5 minutes of the alarm" in way_back_sentence(plan, None)
    assert "`perflib rehearse made:int8`" in way_back_sentence(plan, None)
    assert "we rehearsed the way back" in way_back_sentence(plan, make_rehearsal())


def test_words_for_what_is_planted_and_watched() -> None:
    """Each fault in words, and a metric that nobody knows as it is."""
    assert planted_words(error_ratio=0.0, wrong_ratio=0.5, hold_sec=0.0) == "50 % of its answers had the wrong label"
    assert planted_words(error_ratio=0.0, wrong_ratio=0.0, hold_sec=0.2) == "its answers came 200 ms late"
    assert planted_words(error_ratio=0.0, wrong_ratio=0.0, hold_sec=0.0) == "nothing"
    assert metric_words("queue_count") == "queue_count"
