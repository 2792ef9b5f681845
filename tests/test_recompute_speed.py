"""Comparisons that are computed again from their raw times, by formulas of their own; what is altered is named."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.benchmarking import decision
from perflib.benchmarking.percentiles import percentiles as their_percentiles
from perflib.errors import DataError
from perflib.governance.recompute import evidence, recompute_comparison
from perflib.governance.recompute.timings import percentiles
from perflib.results import Comparison
from tests.fake_arms import STEAL, FakeWatch
from tests.whole_records import compared

# Searches for a bound stop within a millionth.
SEARCHED = 3e-6


def plain(record: Comparison) -> dict[str, Any]:
    """Return the record as its file holds it."""
    found: dict[str, Any] = json.loads(json.dumps(record.to_dict()))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One comparison of two scenarios, as a file holds it; every test reads its own copy."""
    folder = tmp_path_factory.mktemp("made")
    return json.dumps(plain(compared(folder, calls_count=32, units_per_life_count=3)))


def third_disturbed(unit: int) -> dict[str, float]:
    """Disturb one unit of three: all lives have a value, and together they do not count."""
    return {} if unit % 3 else STEAL


@pytest.mark.parametrize(
    ("case", "verdicts"),
    [
        pytest.param({"factor": 0.5}, {"IMPROVEMENT"}, id="faster"),
        pytest.param({"factor": 1.3}, {"REGRESSION"}, id="slower"),
        pytest.param({"factor": 1.0, "scale": 0.0, "max_lives_count": 12}, {"PASS"}, id="equal, without noise"),
        pytest.param({"factor": 1.0, "scale": 0.5}, {"INCONCLUSIVE"}, id="noise alone"),
        pytest.param({"factor": 0.5, "alpha": 0.01, "max_lives_count": 9}, {"IMPROVEMENT"}, id="at one per cent"),
        pytest.param({"factor": 0.9, "units_per_life_count": 5}, {"IMPROVEMENT"}, id="many units a life"),
        pytest.param({"scenarios": ("server", "single")}, {"IMPROVEMENT"}, id="as they arrive"),
        pytest.param({"calls_count": 40, "units_per_life_count": 4}, {"IMPROVEMENT"}, id="enough calls for a tail"),
        pytest.param({"watch": FakeWatch([{}, STEAL, {}, {}, STEAL, STEAL])}, {"IMPROVEMENT"}, id="units dropped"),
        pytest.param({"watch": FakeWatch(third_disturbed)}, {"INCONCLUSIVE"}, id="too many units dropped"),
        pytest.param({"watch": FakeWatch([STEAL] * 100)}, {"INCONCLUSIVE"}, id="all units dropped"),
    ],
)
def test_a_comparison_follows_from_its_raw_times(tmp_path: Path, case: dict[str, Any], verdicts: set[str]) -> None:
    """Whatever the truth, the noise, the lives and what was dropped."""
    record = compared(tmp_path, **case)

    assert {one.verdict for one in record.scenarios} == verdicts
    assert recompute_comparison(plain(record)) == ()


# --- what is altered is named

Path_ = tuple[str | int, ...]


def alter(record: Any, keys: Path_, value: Any) -> None:
    """Put a value into a record, or change a number a little where it is called ``more``."""
    *path, last = keys
    for key in path:
        record = record[key]
    record[last] = record[last] * (1 + 1e-5) + 1e-7 if value == "more" else value


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("scenarios", 0, "verdict"), "PASS", "single.verdict is PASS, and follows as IMPROVEMENT."),
        (("scenarios", 0, "speedup_ratio", "estimate"), "more", "single.speedup_ratio.estimate is "),
        (("scenarios", 0, "speedup_ratio", "low"), "more", "single.speedup_ratio.low is "),
        (("scenarios", 1, "speedup_ratio", "high"), None, "offline.speedup_ratio.high is missing"),
        (("scenarios", 1, "speedup_ratio", "level_ratio"), 0.98, "offline.speedup_ratio.level_ratio is 0.98"),
        (("scenarios", 1, "evidence"), "more", "offline.evidence is "),
        (("scenarios", 1, "reached_mde_ratio"), 0.5, "offline.reached_mde_ratio is 0.5"),
        (("scenarios", 1, "visible_effect_ratio"), "more", "offline.visible_effect_ratio is "),
        (("scenarios", 1, "dropped_unit_ratio"), 0.1, "offline.dropped_unit_ratio is 0.1"),
        (("scenarios", 1, "lives", 2, "log_ratio"), "more", "offline.lives.2.log_ratio is "),
        (("scenarios", 0, "baseline", "slot_sec"), "more", "single.baseline.slot_sec is "),
        (("scenarios", 0, "candidate", "examples_per_sec"), "more", "single.candidate.examples_per_sec is "),
        (("scenarios", 1, "candidate", "tokens_per_sec"), "more", "offline: an example has "),
        (("scenarios", 1, "candidate", "tokens_per_sec"), None, "offline: an example has "),
        (("scenarios", 1, "candidate", "joule_per_example"), 1.0, "offline.candidate.joule_per_example is 1"),
        (("scenarios", 0, "candidate", "percentiles", 1, "estimate_sec"), "more", "single.candidate.percentiles.1.est"),
        (("scenarios", 0, "candidate", "percentiles", 0, "call_count"), 7, "single.candidate.percentiles.0.call_count"),
        (("metrics", 0, "ratio", "estimate"), "more", "metrics.peak memory.ratio.estimate is "),
        (("metrics", 1, "finding"), "less", "metrics.load time.finding is less, and follows as no claim."),
        (("metrics", 2, "evidence_less"), "more", "metrics.95 % of calls, single.evidence_less is "),
        (("metrics", 2, "metric"), "energy", "metrics are peak memory, load time, energy, and follow as "),
        (("processes", 1, "candidate", "peak_rss_bytes"), 700, "metrics.peak memory.ratio."),
    ],
)
def test_an_altered_number_is_named(made: str, keys: Path_, value: Any, named: str) -> None:
    """By a hundred-thousandth, in every part that somebody may quote."""
    record = json.loads(made)
    assert recompute_comparison(record) == ()
    alter(record, keys, value)

    assert any(sentence.startswith(named) for sentence in recompute_comparison(record)), recompute_comparison(record)


def test_an_altered_time_is_named_where_it_shows(made: str) -> None:
    """One slot that somebody makes a tenth faster moves its life."""
    record = json.loads(made)
    unit = record["scenarios"][1]["lives"][0]["units"][0]
    place = unit["order"].index("B")
    unit["samples_sec"][place] = [0.9 * call for call in unit["samples_sec"][place]]

    assert any(one.startswith("offline.lives.0.log_ratio is ") for one in recompute_comparison(record))


def test_a_swapped_order_is_named(made: str) -> None:
    """Whoever calls the candidate's slots the baseline's turns the life's sign."""
    record = json.loads(made)
    unit = record["scenarios"][1]["lives"][0]["units"][0]
    unit["order"] = "ABBA" if unit["order"] == "BAAB" else "BAAB"

    assert any(one.startswith("offline.lives.0.log_ratio is ") for one in recompute_comparison(record))


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("scenarios", 0, "lives", 0, "units", 0, "order"), "AABB", "single: a unit is no quad"),
        (("scenarios", 0, "lives", 0, "units", 0, "samples_sec", 2), [0.01], "single: its slots hold "),
        (("scenarios", 0, "lives", 0, "units", 0, "samples_sec", 2, 0), -0.01, "single: a call took no time"),
        (("scenarios", 0, "passes_per_slot_count"), 7, "single: its slots hold [32] times"),
        (("scenarios", 0, "lives", 0, "first_loaded"), "other", "single: a life says that another process"),
        (("processes",), [], "single: it has "),
    ],
)
def test_what_no_comparison_can_hold_is_named(made: str, keys: Path_, value: Any, named: str) -> None:
    """Counts and orders come before any number."""
    record = json.loads(made)
    alter(record, keys, value)

    assert any(sentence.startswith(named) for sentence in recompute_comparison(record)), recompute_comparison(record)


@pytest.mark.parametrize("key", ["scenarios", "metrics", "alpha_ratio"])
def test_a_record_that_lacks_a_part_is_refused(made: str, key: str) -> None:
    """With a sentence."""
    record = json.loads(made)
    del record[key]

    with pytest.raises(DataError, match=f"cannot be recomputed .*{key}"):
        recompute_comparison(record)


# --- formulas against those of benchmarking


def test_evidence_and_bounds_agree_on_random_lives() -> None:
    """Of any count, effect and noise; bounds are missing together with the others'."""
    rng = np.random.default_rng(0)
    known_count = 0
    for _ in range(150):
        count, alpha = int(rng.integers(1, 20)), float(rng.choice([0.05, 0.01]))
        ratios = (
            rng.choice([0.0, 0.02, -0.3, 1.0]) + rng.choice([1e-9, 0.01, 0.3]) * rng.standard_t(2, count)
        ).tolist()
        theirs, mine = decision.ratio_interval(ratios, alpha=alpha), evidence.ratio_interval(ratios, alpha=alpha)
        theta = float(rng.choice([0.0, 0.005, -0.03]))

        assert evidence.log_evidence(ratios, theta) == pytest.approx(decision.log_evidence(ratios, theta), abs=1e-9)
        assert mine["estimate"] == pytest.approx(theirs.estimate, rel=1e-12)
        for found, expected in ((mine["low"], theirs.low), (mine["high"], theirs.high)):
            assert (found is None) == (expected is None), ratios
            assert found is None or found == pytest.approx(expected, rel=SEARCHED)
        reached, expected_reached = (
            evidence.ruled_out_slowdown(ratios, alpha=alpha),
            decision.reached_mde(ratios, alpha=alpha),
        )
        assert (reached is None) == (expected_reached is None), ratios
        assert reached is None or reached == pytest.approx(expected_reached, rel=SEARCHED, abs=SEARCHED)
        known_count += mine["low"] is not None

    assert 40 < known_count < 150


def test_verdicts_agree_on_random_lives() -> None:
    """All four of them, each many times."""
    rng = np.random.default_rng(1)
    seen: dict[str, int] = {}
    for _ in range(300):
        count, alpha = int(rng.integers(0, 25)), float(rng.choice([0.05, 0.01]))
        ratios = (rng.choice([0.0, 0.015, 0.04, -0.04]) + rng.choice([1e-6, 0.01]) * rng.normal(size=count)).tolist()
        mine = evidence.verdict(ratios, alpha=alpha, tolerance=0.005, mde=0.03)
        seen[mine] = seen.get(mine, 0) + 1

        assert mine == decision.first_verdict(ratios, alpha=alpha, tolerance=0.005, mde=0.03)

    assert set(seen) == {"REGRESSION", "IMPROVEMENT", "PASS", "INCONCLUSIVE"}
    assert min(seen.values()) >= 20


def test_the_golden_values_of_the_test_hold() -> None:
    """Sixty equal lives of 3 % cross one per cent with the eighth, of 20 % with the seventh."""
    for effect, crossing in ((1.03, 8), (1.20, 7)):
        lives = [math.log(effect)] * crossing

        assert evidence.verdict(lives, alpha=0.01, tolerance=0.005, mde=0.03) == "REGRESSION"
        assert evidence.verdict(lives[1:], alpha=0.01, tolerance=0.005, mde=0.03) == "INCONCLUSIVE"


def test_claims_that_stand_agree() -> None:
    """e-BH, also where several are equal and where none stands."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        logs = rng.choice([0.0, 1.0, 3.0, 4.1, 4.5, 8.0], size=int(rng.integers(0, 9))).tolist()

        assert evidence.stands(logs, rate=0.05) == set(decision.discoveries(logs, rate=0.05))


@pytest.mark.parametrize("count", [1, 5, 6, 72, 73, 100, 320, 999, 1000, 1001])
def test_percentiles_agree_and_are_ordered(count: int) -> None:
    """Also where a percentile is only just supported, or only just not."""
    calls = stats.lognorm.rvs(0.5, size=count, random_state=count).tolist()
    mine = percentiles(calls)

    assert [list(one.values()) for one in mine] == [
        [one.share_ratio, one.estimate_sec, one.low_sec, one.high_sec, one.call_count]
        for one in their_percentiles(calls)
    ]
    assert [one["estimate_sec"] for one in mine] == sorted(one["estimate_sec"] for one in mine)
