"""The comparison: an identical model is never called slower, a slowed one is, and everything is on record."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_arms import FakeHost
from scipy import stats
from tiny_artifact import make_inputs, write_artifact

from perflib.artifact import Artifact, Runtime
from perflib.benchmarking.compare import compare, measure_alone
from perflib.benchmarking.scenarios import get_scenarios
from perflib.errors import MeasurementError
from perflib.results import Comparison


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    """Two artifacts that differ in their runtime only."""
    folder = tmp_path_factory.mktemp("pair")
    return write_artifact(folder / "a"), write_artifact(folder / "b", runtime=Runtime(batch_example_count=8))


def run(pair: tuple[Artifact, Artifact], host: FakeHost, **settings: Any) -> Comparison:
    """Compare the pair on a fake host."""
    settings = {"scenarios": ["single", "offline"], "max_lives_count": 6} | settings
    return compare(
        *pair,
        make_inputs(40),
        name="b",
        hardware_class="toy",
        start_arm=host.start,  # type: ignore[arg-type]
        **settings | {"scenarios": get_scenarios(settings["scenarios"])},
    )


def noisy(seed: int, scale: float = 0.02) -> Any:
    """Return heavy-tailed slot noise."""
    generator = np.random.default_rng(seed)
    return lambda: float(scale * generator.standard_t(3))


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "PASS"), (1.2, "REGRESSION"), (1.05, "REGRESSION"), (0.5, "IMPROVEMENT")]
)
def test_the_verdict_follows_the_truth_on_a_quiet_host(
    pair: tuple[Artifact, Artifact], factor: float, verdict: str
) -> None:
    """The same, slower and faster models are called so in every scenario."""
    found = run(pair, FakeHost(cost_log=math.log(factor)), max_lives_count=12)

    assert {one.scenario: one.verdict for one in found.scenarios} == {"single": verdict, "offline": verdict}
    for one in found.scenarios:
        assert one.speedup_ratio.estimate == pytest.approx(1 / factor, rel=1e-6)
        assert one.baseline_sec * factor == pytest.approx(one.candidate_sec, rel=1e-6)


def test_an_identical_model_is_not_called_slower_more_often_than_alpha(pair: tuple[Artifact, Artifact]) -> None:
    """Two hundred noisy comparisons of a model with itself, all through the real code, stay in the binomial bound."""
    count = 200
    verdicts = [
        run(pair, FakeHost(noise=noisy(seed)), scenarios=["single"], units_per_life_count=1, seed=seed, tolerance=0.0)
        .scenarios[0]
        .verdict
        for seed in range(count)
    ]
    allowed = stats.binom.ppf(0.999, count, 0.05)

    assert verdicts.count("REGRESSION") <= allowed
    assert verdicts.count("IMPROVEMENT") <= allowed


def test_a_slowed_model_is_called_slower_despite_the_noise(pair: tuple[Artifact, Artifact]) -> None:
    """A fifth more time is found in every one of ten noisy comparisons."""
    for seed in range(10):
        found = run(pair, FakeHost(cost_log=math.log(1.2), noise=noisy(seed)), scenarios=["single"], max_lives_count=15)

        assert found.scenarios[0].verdict == "REGRESSION"


def test_a_budget_that_can_decide_nothing_is_refused_before_anything_starts(pair: tuple[Artifact, Artifact]) -> None:
    """Four lives at 5 % and six at 1 % are refused in one sentence with the number that is needed."""
    host = FakeHost()
    with pytest.raises(MeasurementError, match=r"4 lives cannot decide anything at alpha 0.05; allow at least 5\.$"):
        run(pair, host, max_lives_count=4)
    with pytest.raises(MeasurementError, match="allow at least 7"):
        run(pair, host, max_lives_count=6, alpha=0.01)

    assert host.arms == []


def test_it_stops_when_every_scenario_is_decided(pair: tuple[Artifact, Artifact]) -> None:
    """A large effect takes the fewest lives of a large budget, all of them closed."""
    host = FakeHost(cost_log=-1.0)
    found = run(pair, host, max_lives_count=30)

    assert [len(one.lives) for one in found.scenarios] == [5, 5]
    assert len(host.arms) == 10
    assert all(arm.is_closed for arm in host.arms)


def test_an_undecided_comparison_spends_its_lives_and_says_so(pair: tuple[Artifact, Artifact]) -> None:
    """Noise as large as the effect ends at the budget with INCONCLUSIVE, bounds and what was ruled out."""
    found = run(pair, FakeHost(noise=noisy(0, 0.3)), scenarios=["single"], max_lives_count=6).scenarios[0]

    assert found.verdict == "INCONCLUSIVE"
    assert len(found.lives) == 6


def test_all_lives_agree_on_the_passes(pair: tuple[Artifact, Artifact]) -> None:
    """Passes are calibrated in the first life and every slot of every life has as many calls."""
    found = run(pair, FakeHost(noise=noisy(1), calls_count=4), scenarios=["single"]).scenarios[0]
    lengths = {len(slot) for life in found.lives for unit in life.units for slot in unit.samples_sec}

    assert lengths == {4 * found.passes_per_slot_count}


def test_the_seed_decides_the_coins(pair: tuple[Artifact, Artifact]) -> None:
    """The same seed gives the same order of slots, and the record holds it."""

    def tossed(seed: int) -> list[Any]:
        found = run(pair, FakeHost(), seed=seed)
        assert found.seed == seed
        return [(life.first_loaded, [unit.order for unit in life.units]) for life in found.scenarios[0].lives]

    assert tossed(5) == tossed(5) != tossed(6)


def test_a_total_is_shared_by_its_passes(pair: tuple[Artifact, Artifact]) -> None:
    """The seconds shown for a scenario are those of one pass, though a slot holds several."""
    found = run(pair, FakeHost(), scenarios=["offline"]).scenarios[0]

    assert found.passes_per_slot_count == 5
    assert found.baseline_sec == pytest.approx(0.01, rel=1e-6)


def test_the_record_survives_json_with_every_sample(pair: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    """Written and read again it is equal, raw samples, coins, digests and memory included."""
    found = run(pair, FakeHost(noise=noisy(2)))

    assert Comparison.read(found.write(tmp_path / "one.json")) == found
    assert found.baseline_sha256 == pair[0].digest != found.candidate_sha256
    assert not found.is_baseline_runtime
    assert (found.baseline_peak_rss_bytes, found.candidate_peak_rss_bytes) == (1000, 800)
    assert found.baseline_peak_device_bytes is None
    assert all(len(unit.samples_sec) == 4 for one in found.scenarios for life in one.lives for unit in life.units)


def test_a_failing_arm_ends_the_comparison_and_leaves_no_arm(pair: tuple[Artifact, Artifact]) -> None:
    """The error is passed on and every arm is closed."""
    host = FakeHost()
    host.broken = ("candidate", "slot")
    with pytest.raises(RuntimeError, match="broke"):
        run(pair, host)

    assert all(arm.is_closed for arm in host.arms)


def test_the_baseline_alone_is_timed_in_fresh_processes(pair: tuple[Artifact, Artifact]) -> None:
    """Each life is one process; every sample is kept and described by its median, tail and rate."""
    host = FakeHost(calls_count=32)
    (single, offline), peak_bytes = measure_alone(
        pair[0],
        make_inputs(40),
        scenarios=get_scenarios(["single", "offline"]),
        lives_count=3,
        start_arm=host.start,  # type: ignore[arg-type]
    )

    assert [len(samples) for samples in single.samples_sec] == [64, 64, 64]
    assert single.p50_sec == pytest.approx(0.01)
    assert single.examples_per_sec == pytest.approx(100)
    assert offline.examples_per_sample_count == 40
    assert offline.examples_per_sec == pytest.approx(4000)
    assert peak_bytes == 1000
    assert all(arm.is_closed for arm in host.arms)
    assert len(host.arms) == 3


def test_the_baseline_alone_is_ended_when_it_fails(pair: tuple[Artifact, Artifact]) -> None:
    """No worker is left behind."""
    host = FakeHost()
    host.broken = ("baseline", "slot")
    with pytest.raises(RuntimeError, match="broke"):
        measure_alone(pair[0], make_inputs(4), scenarios=get_scenarios(["single"]), start_arm=host.start)  # type: ignore[arg-type]

    assert host.arms[0].is_closed
