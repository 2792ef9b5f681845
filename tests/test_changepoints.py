"""The detector on series whose truth is known: what it nominates, when, and what it leaves alone."""

import math
from pathlib import Path

import numpy as np
import pytest

from perflib.errors import DataError
from perflib.regression.changepoints import fast, rates, segments
from perflib.regression.changepoints.detect import has_returned, nominate, scan, visible_effect_ratio
from perflib.regression.changepoints.drift import drift_since
from perflib.regression.changepoints.noise import Noise, find_spikes, measure_noise
from perflib.regression.changepoints.shift import Shift, is_worth_telling, measure_shift


def quiet(count: int = 60, *, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    """Return a series at 1 without any change."""
    return np.exp(noise * np.random.default_rng(seed).standard_normal(count))


def stepped(at: int, ratio: float, count: int = 60, *, noise: float = 0.01, seed: int = 0) -> list[float]:
    """Return a series whose level changes once."""
    values = quiet(count, noise=noise, seed=seed)
    values[at:] *= ratio
    return [float(value) for value in values]


# --- what is found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1.06, 0.94])
def test_a_scan_finds_a_step_where_it_is(ratio: float) -> None:
    """In both directions, with its size inside the interval."""
    found = scan(stepped(40, ratio))

    assert [one.index for one in found.change_points] == [pytest.approx(40, abs=1)]
    shift = found.change_points[0].shift_ratio
    assert shift.low is not None
    assert shift.high is not None
    assert shift.low < ratio < shift.high
    assert found.levels[1] / found.levels[0] == pytest.approx(ratio, abs=0.01)


def test_a_scan_finds_several_steps() -> None:
    """Up, further up, and back."""
    values = quiet(160)
    for at, ratio in ((40, 1.08), (80, 1.08), (120, 1 / 1.08**2)):
        values[at:] *= ratio

    assert [one.index for one in scan(list(values)).change_points] == pytest.approx([40, 80, 120], abs=1)


def test_a_step_is_nominated_within_a_few_runs_and_keeps_its_place() -> None:
    """Run by run: first by the level rule, later by segments, always at the same run."""
    values = stepped(40, 1.06)
    found = {count: nominate(values[:count]) for count in range(38, 61)}
    first = next(count for count, one in found.items() if one is not None)

    assert 42 <= first <= 46
    assert {one.index for one in found.values() if one is not None} <= {39, 40, 41}
    assert found[60] is not None
    assert found[60].rule == "segment"


def test_a_slow_drift_is_found() -> None:
    """One percent a run for fifteen runs, none of which is far from the one before."""
    values = quiet(60)
    values[40:55] *= 1.01 ** np.arange(1, 16)
    values[55:] *= 1.01**15
    first = next(count for count in range(41, 61) if nominate(list(values[:count])))

    assert first <= 52


def test_a_drift_without_any_step_has_its_own_rule() -> None:
    """A line through sixty runs, with noise as large as twenty of its steps."""
    logs = 0.002 * np.arange(90) + np.log(quiet(90))
    noise = Noise(0.01, 0.0)

    assert drift_since(logs, noise, least_nat=0.02) is not None
    assert drift_since(np.log(quiet(90)), noise, least_nat=0.02) is None


def test_many_runs_on_one_side_are_enough() -> None:
    """The sign rule needs no spread at all."""
    level, logs = 0.0, np.concatenate([np.array([-1.0, 1.0] * 5), np.full(14, 1.0)])

    assert fast.one_side_since(logs, level) == 9
    assert fast.one_side_since(logs[:10], level) is None
    assert fast.sign_evidence([1.0] * 12) > 1000 > fast.sign_evidence([1.0] * 8)


# --- what is left alone -----------------------------------------------------------------------------------------


def test_a_single_spike_nominates_nothing() -> None:
    """However far it is off; it is marked, and weighs nothing."""
    values = stepped(59, 1.0)
    values[30] *= 1.5

    assert scan(values).spikes == (30,)
    assert scan(values).change_points == ()
    assert all(nominate(values[:count]) is None for count in range(20, 61))


def test_two_spikes_apart_nominate_nothing() -> None:
    """Each of them came back at once."""
    values = stepped(59, 1.0)
    values[30], values[36] = 1.4, 1.4

    assert all(nominate(values[:count]) is None for count in range(20, 61))


def test_a_step_smaller_than_what_matters_is_left_alone() -> None:
    """One percent is nobody's alarm, even without noise; it is one where it is asked for."""
    values = stepped(30, 1.01, noise=0.0005)

    assert scan(values).change_points == ()
    assert nominate(values) is None
    assert scan(values, least_effect_ratio=0.005).change_points[0].index == 30


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 5, [1.0] * 19])
def test_short_series_say_nothing(values: list[float]) -> None:
    """Fewer than twenty runs nominate nothing and see nothing."""
    assert nominate(values) is None
    assert scan(values).change_points == ()
    assert scan(values).point_count == len(values)
    assert visible_effect_ratio(values) is None


def test_a_constant_series_is_quiet_and_its_step_is_seen() -> None:
    """No noise at all: any change that matters is one."""
    assert nominate([2.0] * 60) is None
    assert scan([2.0] * 60).noise_ratio == 0.0
    found = nominate([2.0] * 40 + [2.2] * 2)
    assert found is not None
    assert found.index == 40
    assert [one.index for one in scan([2.0] * 40 + [2.2] * 20).change_points] == [40]


def test_ties_are_no_change() -> None:
    """A clock that only knows three values."""
    values = [float(value) for value in np.random.default_rng(0).integers(99, 102, 100)]

    assert scan(values).change_points == ()
    assert nominate(values) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_what_is_no_time_is_refused(bad: float) -> None:
    """One sentence names the run."""
    values = [1.0] * 30
    values[4] = bad
    for ask in (scan, nominate, visible_effect_ratio):
        with pytest.raises(DataError, match="run 5 of a series"):
            ask(values)  # type: ignore[operator]


# --- symmetries -------------------------------------------------------------------------------------------------


def test_units_do_not_matter() -> None:
    """Seconds or milliseconds: the same runs, the same ratios."""
    values = stepped(40, 1.06)
    first, second = scan(values), scan([1000.0 * value for value in values])

    assert [one.index for one in first.change_points] == [one.index for one in second.change_points]
    assert first.noise_ratio == pytest.approx(second.noise_ratio)


def test_a_rate_mirrors_a_time() -> None:
    """What is slower by a factor has a throughput smaller by it."""
    values = stepped(40, 1.06)
    slower, fewer = nominate(values), nominate([1 / value for value in values])

    assert slower is not None
    assert fewer is not None
    assert slower.index == fewer.index
    assert slower.shift_ratio.estimate == pytest.approx(1 / fewer.shift_ratio.estimate)


def test_the_same_seed_gives_the_same_answer() -> None:
    """A check that is repeated says the same."""
    values = stepped(40, 1.04, noise=0.015)

    assert scan(values, seed=3) == scan(values, seed=3)
    assert nominate(values, seed=3) == nominate(values, seed=3)


def test_only_the_window_is_looked_at() -> None:
    """A step that lies before it is past."""
    values = stepped(40, 1.2, count=160, seed=4)
    found = nominate(values)

    assert found is not None
    assert found.index == pytest.approx(40, abs=1)
    assert nominate(values, window_count=80) is None


# --- parts ------------------------------------------------------------------------------------------------------


def test_spread_is_measured_without_its_level() -> None:
    """Standard deviation and autocorrelation of long series are what was put in, steps or not."""
    series = rates.NOISES["AR(1) 0.3"](np.random.default_rng(1), 4000) * 0.02
    found = measure_noise(series, np.zeros(4000))

    assert found.sd_nat == pytest.approx(0.02, rel=0.08)
    assert found.rho == pytest.approx(0.3, abs=0.05)
    # What few runs leave possible counts, and of four thousand that is little more.
    plain = found.sd_nat * math.sqrt((1 + found.rho) / (1 - found.rho))
    assert plain < found.long_run_nat < 1.05 * plain


def test_a_spike_has_to_come_back() -> None:
    """The newest run cannot have, and three far ones in a row are no spike."""
    logs = np.log(quiet(40))
    logs[39] = 1.0
    assert not find_spikes(logs).any()
    logs[20:23] = 1.0
    assert not find_spikes(logs)[20]


def test_a_shift_is_the_median_of_all_differences() -> None:
    """Against a plain computation; its interval covers the truth as often as it says."""
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=9), rng.normal(size=7)
    plain = np.median([b - a for a in before for b in after])
    covered = sum(
        one.low_nat <= 0.5 <= one.high_nat
        for one in (measure_shift(rng.normal(size=12), rng.normal(0.5, size=12)) for _ in range(400))
    )

    assert measure_shift(before, after).estimate_nat == pytest.approx(plain)
    assert covered >= 385


def test_neighbours_that_resemble_each_other_widen_the_interval() -> None:
    """They say less than as many independent runs."""
    before, after = np.log(quiet(12)), np.log(quiet(12, seed=1))
    free, tied = measure_shift(before, after), measure_shift(before, after, rho=0.5)

    assert tied.high_nat - tied.low_nat > free.high_nat - free.low_nat


@pytest.mark.parametrize(
    ("low", "high", "is_told"), [(0.021, 0.1, True), (0.019, 0.1, False), (-0.1, -0.021, True), (-0.1, 0.1, False)]
)
def test_the_bound_nearer_to_zero_decides(low: float, high: float, is_told: bool) -> None:
    """It has to exceed the least effect, on whichever side."""
    shift = Shift(0.05, low, high)

    assert is_worth_telling(shift, Noise(0.0, 0.0), after_count=12, least_nat=0.02) is is_told
    assert not is_worth_telling(shift, Noise(0.5, 0.0), after_count=12, least_nat=0.02)


def test_shuffles_keep_neighbours_together_and_lose_none() -> None:
    """Every run stands once, and most blocks stay whole."""
    order = segments._shuffled(40, 4, np.random.default_rng(0))

    assert sorted(order) == list(range(40))
    assert sum(np.diff(order) == 1) >= 25


def test_a_series_that_is_back_is_believed_after_some_runs() -> None:
    """Not after one, and never while it stays."""
    back, still = [1.0, 1.01, 0.99] * 5, [1.1, 1.09, 1.11] * 5

    assert has_returned(back, before_value=1.0, after_value=1.1)
    assert not has_returned(back[:3], before_value=1.0, after_value=1.1)
    assert not has_returned(still, before_value=1.0, after_value=1.1)
    assert has_returned([1 / value for value in back], before_value=1.0, after_value=1 / 1.1)


def test_more_noise_sees_less() -> None:
    """And what it is said to see at once is nominated at once."""
    visible = [visible_effect_ratio(list(quiet(60, noise=noise))) for noise in (0.01, 0.03)]
    assert visible[0] is not None
    assert visible[1] is not None
    assert 0.03 < visible[0] < visible[1]
    values = [*quiet(60), *(np.median(quiet(60)) * (1 + visible[0]) * 1.01 for _ in range(2))]

    assert nominate([float(value) for value in values]) is not None


# --- rates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", list(rates.NOISES))
def test_noise_alone_is_hardly_ever_nominated(noise: str) -> None:
    """Of forty series, run by run, two may be by bad luck; a detector that is wrong in 10 % is so four times."""
    online, offline = rates.count_false(noise, 0.03, 5000, 40)

    assert online <= 2
    assert offline <= 1


def test_a_large_step_is_seen_with_its_second_run() -> None:
    """Five spreads after twenty runs: two at the median, six at the ninetieth percentile."""
    found = rates.delay(5.0, 25, series_count=60)

    assert found.median_count <= 2
    assert found.ninety_count <= 7


def test_the_noise_is_as_wide_as_it_says() -> None:
    """The middle of every noise is as wide as a normal's, or the rates would be about another noise."""
    for noise, draw in rates.NOISES.items():
        values = draw(np.random.default_rng(0), 40_000)
        spread = 1.4826 * np.median(np.abs(values - np.median(values)))

        assert spread == pytest.approx(1.0, rel=0.03), noise


def test_series_of_others_are_read_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One CSV file each; the last column of numbers counts."""
    for name, at in (("calm", 200), ("worse", 60)):
        rows = "\n".join(f"{index},{value}" for index, value in enumerate(stepped(at, 1.2, count=100)))
        (tmp_path / f"{name}.csv").write_text(f"Index,Measurement\n{rows}\n")
    rates.main(["--sap", str(tmp_path)])
    said = capsys.readouterr().out

    assert "calm.csv: 100 runs, silent" in said
    assert "worse.csv: 100 runs, changes at 60" in said
    with pytest.raises(DataError, match="holds no CSV"):
        rates.main(["--sap", str(tmp_path / "nowhere")])
