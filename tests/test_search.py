"""A search: cheap screens within a budget, a front that nothing beats, a test split that is met once, at the end."""

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection

from perflib import project
from perflib.artifact import Artifact
from perflib.benchmarking.question import Question
from perflib.compression.materials import Labelled, Materials
from perflib.encoded import Encoded
from perflib.errors import InterruptedRunError, ParameterError, SetupError, StageError
from perflib.plots.front import plot_front
from perflib.results import Build, Comparison, Interval, Search, SearchTrial, Validation
from perflib.runs import Run
from perflib.search import Searched, search_workload
from perflib.search.front import choose_finalists, dominates, pareto_front
from perflib.search.screen import Screener
from perflib.search.space import Choices, Space
from perflib.search.study import begin_record, run_study, suggest
from perflib.validation.families import Discordant, holm_non_inferior
from perflib.validation.quality import tango_lower
from perflib.workloads import get_workload
from tests.synthetic_records import comparison, scenario
from tests.test_search_space import BF16, GOOD, SORTED, read, written
from tests.tiny_artifact import make_inputs, write_artifact

# Three positions of two, three and four alternatives, none of them `none`: 24 combinations.
WIDE = [
    [{"runtime": {"batch": 1}}, {"runtime": {"batch": 2}}],
    [{"runtime": {"threads": count}} for count in (1, 2, 3)],
    [{"runtime": {"replicas": count}} for count in (1, 2, 3, 4)],
]


class FakeClock:
    """A clock that stands still but for what a screen takes."""

    def __init__(self) -> None:
        self.now_sec = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_sec


class FakeScreen:
    """Screens in ten seconds; the sum of the choices decides speed, and the last choice breaks the constraint at 3."""

    def __init__(self, space: Space, clock: FakeClock, *, trouble: Callable[[int], BaseException | None]) -> None:
        self.asked: list[Choices] = []
        self._space, self._clock, self._trouble = space, clock, trouble

    def __call__(self, choices: Choices) -> SearchTrial:
        """Screen one combination, or raise what is planned for this call."""
        self.asked.append(choices)
        self._clock.now_sec += 10.0
        error = self._trouble(len(self.asked))
        if error is not None:
            raise error
        if choices[-1] == 3:
            return trial(choices, recipe=self._space.lines(choices), status="infeasible", low=-0.2)
        gain = 1.0 + sum(choices)
        return trial(choices, gain, 2 * gain, 1 / gain, recipe=self._space.lines(choices))


def trial(
    choices: Sequence[int] = (0,),
    single: float = 2.0,
    offline: float = 3.0,
    size: float = 0.5,
    *,
    change: float = -0.001,
    low: float = -0.004,
    status: Any = "screened",
    recipe: tuple[dict[str, Any], ...] = ({"runtime": {}},),
) -> SearchTrial:
    """Return a screened trial; one that is not feasible has no speed."""
    is_timed = status in ("screened", "finalist")
    return SearchTrial(
        choices=tuple(choices),
        recipe=recipe,
        status=status,
        tuning_change_ratio=change,
        tuning_low_ratio=low,
        size_ratio=size,
        single_speedup_ratio=Interval(single, None, None, 0.9) if is_timed else None,
        offline_speedup_ratio=Interval(offline, 0.9 * offline, 1.1 * offline, 0.9) if is_timed else None,
        build_sec=1.0,
    )


@dataclasses.dataclass
class Studied:
    """What a study left: the record, what was kept on the way, and what was screened."""

    space: Space
    kept: list[Search]
    screen: FakeScreen

    @property
    def record(self) -> Search:
        """The last record that was kept."""
        return self.kept[-1]


def study(
    folder: Path,
    *,
    budget_sec: float = 1e6,
    seed: int = 0,
    refused: Sequence[Choices] = (),
    before: Search | None = None,
    trouble: Callable[[int], BaseException | None] = lambda _: None,
) -> Studied:
    """Run a study of the wide space with fakes; what it raises is passed over, as a record has to stand anyhow."""
    space, clock = read(folder, space=WIDE), FakeClock()
    begun = before or begin_record(
        space,
        workload="toy",
        baseline_sha256="0",
        refusals=dict.fromkeys(refused, "line 1 of the recipe: no."),
        budget_sec=budget_sec,
        seed=seed,
    )
    made = Studied(space, [begun], FakeScreen(space, clock, trouble=trouble))
    try:
        run_study(space, begun, made.screen, keep=made.kept.append, clock=clock)
    except (KeyboardInterrupt, InterruptedRunError, SetupError):
        assert made.record.stop == "running"
    return made


# --- the study ------------------------------------------------------------------------------------------------------


def test_every_combination_is_screened_once_and_then_the_space_is_exhausted(tmp_path: Path) -> None:
    """However often the sampler repeats itself, nothing is built or timed twice."""
    found = study(tmp_path)

    assert sorted(found.screen.asked) == sorted(itertools.product(range(2), range(3), range(4)))
    assert (found.record.stop, found.record.spent_sec, len(found.record.trials)) == ("exhausted", 240.0, 24)


@pytest.mark.parametrize(("budget_sec", "count"), [(20.0, 2), (20.1, 3), (0.1, 1)])
def test_a_search_stops_when_the_budget_is_spent(tmp_path: Path, budget_sec: float, count: int) -> None:
    """A screen that has begun is finished; none begins once the time is spent."""
    found = study(tmp_path, budget_sec=budget_sec)

    assert len(found.screen.asked) == count
    assert (found.record.stop, found.record.spent_sec) == ("budget-spent", 10.0 * count)
    assert [one.wall_sec for one in found.record.trials] == [10.0] * count


def test_what_stages_refuse_costs_nothing_and_is_never_screened(tmp_path: Path) -> None:
    """It stands in the record with its sentence, before anything else."""
    refused = [choices for choices in itertools.product(range(2), range(3), range(4)) if choices[0] == 0]
    found = study(tmp_path, refused=refused)

    assert not set(refused) & set(found.screen.asked)
    assert [one.choices for one in found.kept[0].trials] == refused
    assert {(one.status, one.sentence) for one in found.record.trials[:12]} == {
        ("refused", "line 1 of the recipe: no.")
    }
    assert found.record.spent_sec == 120.0


def test_the_record_is_kept_after_every_trial_and_can_be_read(tmp_path: Path) -> None:
    """Each of them is whole."""
    found = study(tmp_path, budget_sec=50.0)

    assert [len(one.trials) for one in found.kept] == [0, 1, 2, 3, 4, 5, 5]
    for one in found.kept:
        assert Search.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InterruptedRunError("SIGTERM.", signal_number=15)])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path: Path, error: BaseException) -> None:
    """The trial that was cut is tried again, and the record at the end is the same."""
    whole = study(tmp_path).record
    cut = study(tmp_path, trouble=lambda count: error if count == 14 else None)
    assert len(cut.record.trials) == 13

    resumed = study(tmp_path, before=cut.record)

    assert resumed.screen.asked[0] == cut.screen.asked[-1]
    assert resumed.record == whole


def test_a_spent_search_goes_on_with_a_larger_budget(tmp_path: Path) -> None:
    """What was spent counts."""
    first = study(tmp_path, budget_sec=60.0).record
    begun = dataclasses.replace(first, budget_sec=100.0)

    assert len(study(tmp_path, before=begun).screen.asked) == 4


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StageError("nothing was quantized."), "nothing was quantized."),
        (RuntimeError("out of\n memory"), "RuntimeError: out of memory"),
        (ValueError(), "ValueError: without a word"),
    ],
)
def test_a_combination_that_fails_does_not_end_the_search(tmp_path: Path, error: Exception, sentence: str) -> None:
    """Its sentence is kept, and it is not tried again."""
    found = study(tmp_path, trouble=lambda count: error if count == 3 else None)
    failed = [one for one in found.record.trials if one.status == "failed"]

    assert [(one.choices, one.sentence, one.gains) for one in failed] == [(found.screen.asked[2], sentence, None)]
    assert len(found.screen.asked) == 24


def test_a_machine_that_has_to_be_put_right_ends_the_search(tmp_path: Path) -> None:
    """A full disk would fail every combination; the trials until then stand."""
    found = study(tmp_path, trouble=lambda count: SetupError("the disk is full.") if count == 3 else None)

    assert [one.status for one in found.record.trials if one.status == "failed"] == []
    assert len(found.record.trials) == 2


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    """The same seed asks for the same, another for something else."""
    one, same, other = (study(tmp_path, seed=seed).screen.asked for seed in (1, 1, 2))

    assert one == same != other


def test_the_last_combination_is_found_however_unlikely(tmp_path: Path) -> None:
    """What the sampler never asks for is drawn from what is left."""
    space = read(tmp_path, space=WIDE)
    trials = study(tmp_path).record.trials

    assert suggest(space, trials, {(0, 0, 0)}, seed=0) == (0, 0, 0)


def test_the_sampler_learns_what_is_good(tmp_path: Path) -> None:
    """After its first guesses it asks for better combinations than chance does, over ten seeds."""
    later, every = [], []
    for seed in range(10):
        asked = study(tmp_path, budget_sec=160.0, seed=seed).screen.asked
        later += [sum(choices) for choices in asked[10:] if choices[-1] != 3]
        every += [sum(choices) for choices in asked[:10] if choices[-1] != 3]

    assert np.mean(later) > np.mean(every)


# --- front and finalists --------------------------------------------------------------------------------------------


def cloud(rng: random.Random, count: int) -> list[SearchTrial]:
    """Return trials of every status on a coarse grid, so that there are ties and equals."""
    return [
        trial(
            (place,),
            rng.choice([1.0, 2.0, 3.0]),
            rng.choice([1.0, 2.0, 3.0]),
            rng.choice([0.25, 0.5, 1.0]),
            change=rng.choice([-0.004, 0.0]),
            status=rng.choice(["screened", "screened", "screened", "infeasible", "failed", "refused"]),
        )
        for place in range(count)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_a_brute_force_search_finds(seed: int) -> None:
    """By arrays of all pairs, another way than ours: nobody is as good everywhere and better somewhere."""
    trials = cloud(random.Random(seed), 30)
    places = [place for place, one in enumerate(trials) if one.status == "screened"]
    gains = np.array([trials[place].gains for place in places])  # (trials, aims)
    as_good = (gains[:, None] >= gains[None]).all(axis=2)
    better = (gains[:, None] > gains[None]).any(axis=2)
    expected = np.array(places)[~(as_good & better).any(axis=0)]

    assert pareto_front(trials) == tuple(expected)


def test_equals_do_not_dominate_each_other() -> None:
    """Both stay on the front."""
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert pareto_front([trial(), trial()]) == (0, 1)


def test_a_larger_artifact_or_a_less_right_one_is_worse() -> None:
    """All four aims count, each in its direction."""
    best = trial(single=2.0, offline=3.0, size=0.5, change=0.0)
    worse = [
        trial(single=1.9, offline=3.0, size=0.5, change=0.0),
        trial(single=2.0, offline=2.9, size=0.5, change=0.0),
        trial(single=2.0, offline=3.0, size=0.6, change=0.0),
        trial(single=2.0, offline=3.0, size=0.5, change=-0.001),
    ]

    assert pareto_front([*worse, best]) == (4,)


def test_what_breaks_the_constraint_is_on_no_front() -> None:
    """However small and fast it is."""
    broken = trial(single=90.0, offline=90.0, size=0.01, status="infeasible")

    assert pareto_front([broken, trial()]) == (1,)
    assert pareto_front([broken]) == ()
    assert choose_finalists([broken], (), count=3) == ()


def test_finalists_are_the_best_of_each_aim_in_turn() -> None:
    """Throughput, latency, size, accuracy, and throughput again."""
    trials = [
        trial(single=1.0, offline=8.0, size=0.9, change=-0.003),
        trial(single=1.0, offline=9.0, size=1.0, change=-0.004),
        trial(single=5.0, offline=1.0, size=1.0, change=-0.004),
        trial(single=1.0, offline=1.0, size=0.1, change=-0.004),
        trial(single=1.0, offline=1.0, size=1.0, change=0.001),
    ]
    front = pareto_front(trials)

    assert front == (0, 1, 2, 3, 4)
    assert [choose_finalists(trials, front, count=count) for count in range(6)] == [
        (1, 2, 3, 4, 0)[:count] for count in range(6)
    ]
    assert choose_finalists(trials, front, count=9) == (1, 2, 3, 4, 0)


def test_the_front_and_the_finalists_stand_in_the_record(tmp_path: Path) -> None:
    """The best that keeps the constraint is the last but one of the last position."""
    record = study(tmp_path).record
    (front,) = record.front

    assert record.trials[front].choices == (1, 2, 2)
    assert (record.finalists, record.trials[front].status) == ((front,), "finalist")
    assert all(one.finalists == () for one in study(tmp_path, budget_sec=50.0).kept[:-1])


def holm_by_p_values(family: Sequence[Discordant], margin_ratio: float) -> list[bool]:
    """Holm's method as it is written in textbooks, with p-values found by bisection of the level."""
    p_values = []
    for one in family:
        low, high = 0.5, 1 - 1e-9
        for _ in range(60):
            level = (low + high) / 2
            bound = tango_lower(one.worse_count, one.better_count, one.example_count, level=level)
            low, high = (level, high) if bound > -margin_ratio else (low, level)
        p_values.append(1 - low)
    shown, is_open = [False] * len(family), True
    for rank, place in enumerate(sorted(range(len(family)), key=lambda place: p_values[place])):
        is_open = is_open and p_values[place] < 0.05 / (len(family) - rank)
        shown[place] = is_open
    return shown


@pytest.mark.parametrize("seed", range(15))
def test_holm_over_finalists_is_the_textbook_s(seed: int) -> None:
    """Whoever is shown by sorted p-values is shown by our levels, and by its own bound at its own level."""
    rng = random.Random(seed)
    family = [Discordant(rng.randrange(30), rng.randrange(30), 1500) for _ in range(rng.randint(1, 5))]
    found = holm_non_inferior(family, margin_ratios=[0.01] * len(family))

    assert [is_shown for _, is_shown in found] == holm_by_p_values(family, 0.01)
    for one, (level, is_shown) in zip(family, found, strict=True):
        assert (one.low_ratio(level) > -0.01) == is_shown


def test_one_finalist_pays_for_itself_alone_and_two_for_both() -> None:
    """A bound that holds at 95 % may not hold at 97.5 %."""
    narrow = Discordant(20, 12, 2000)
    margin_ratio = -(narrow.low_ratio(0.95) + narrow.low_ratio(0.975)) / 2

    assert holm_non_inferior([narrow], margin_ratios=[margin_ratio]) == ((0.95, True),)
    assert holm_non_inferior([narrow, narrow], margin_ratios=[margin_ratio] * 2) == ((0.975, False), (0.975, False))
    assert holm_non_inferior([], margin_ratios=[]) == ()


# --- one screen -----------------------------------------------------------------------------------------------------


class FakeCompare:
    """Times nothing: says that a candidate is twice as fast, and remembers what it was asked."""

    def __init__(
        self, run: Run | None = None, *, trouble: Callable[[int], BaseException | None] = lambda _: None
    ) -> None:
        self.asked: list[tuple[str, str, int]] = []
        # The record of the search as it stood at each call.
        self.on_disk: list[Search | None] = []
        self._run, self._trouble = run, trouble

    def __call__(
        self,
        baseline: Artifact,
        candidate: Artifact,
        encoded: Encoded,
        question: Question,
        *,
        on_life: Callable[[Comparison], object] | None = None,
    ) -> Comparison:
        """Return a comparison of these artifacts and inputs."""
        self.asked.append((question.name, encoded.digest(), question.max_lives_count))
        self.on_disk.append(self._run.read(Search, "space") if self._run else None)
        error = self._trouble(len(self.asked))
        speed = Interval(2.0 + 0.1 * len(self.asked), 1.9, 2.9, 0.9)
        found = comparison(
            *(scenario(one.name, speedup_ratio=speed) for one in question.scenarios),
            name=question.name,
            baseline_sha256=baseline.digest,
            candidate_sha256=candidate.digest,
            inputs_sha256=encoded.digest(),
            hardware_class=question.hardware_class,
        )
        if on_life:
            on_life(dataclasses.replace(found, stop="running"))
        if error is not None:
            raise error
        return found


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_folders: Path) -> Path:
    """Give this test a cache of its own that knows the prepared workloads, and return where runs go."""
    prepared = project.cache_dir() / "workloads"
    prepared.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "workloads").symlink_to(prepared)
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    return own_folders


def screener(folder: Path, compare: FakeCompare, *, max_drop_ratio: float) -> Screener:
    """Return a screener of the toy model, whose tuning labels are what the baseline answers."""
    baseline, inputs = write_artifact(folder / "baseline"), make_inputs(40)
    tuning = Labelled(inputs, baseline.predict(inputs).argmax(axis=1))
    (folder / "run").mkdir()
    return Screener(
        read(folder, space=[[SORTED]], constraints={"max_accuracy_drop_ratio": max_drop_ratio}),
        baseline,
        Materials(make_inputs(8), tuning=tuning),
        work=folder / "run",
        hardware_class="abc",
        seed=0,
        compare=compare,
    )


@pytest.mark.usefixtures("own_cache")
def test_a_screen_builds_asks_weighs_and_times_a_little(tmp_path: Path) -> None:
    """On tuning inputs, with as few lives as can carry an interval; nothing of it stays but the record and caches."""
    compare = FakeCompare()
    found = screener(tmp_path, compare, max_drop_ratio=0.5)((0,))

    assert (found.status, found.sentence, found.recipe) == ("screened", "", (SORTED,))
    assert (found.tuning_change_ratio, found.size_ratio) == (0.0, 1.0)
    assert found.tuning_low_ratio == tango_lower(0, 0, 40)
    assert found.single_speedup_ratio == found.offline_speedup_ratio == Interval(2.1, 1.9, 2.9, 0.9)
    assert compare.asked == [("a screen", make_inputs(40).digest(), 5)]
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("is_kept", [False, True])
def test_the_constraint_is_on_the_bound_and_its_border_breaks_it(tmp_path: Path, is_kept: bool) -> None:
    """A drop that is exactly allowed is not shown to be less; what breaks the constraint is not timed."""
    border_ratio = -tango_lower(0, 0, 40)
    compare = FakeCompare()
    limit_ratio = math.nextafter(border_ratio, 1.0) if is_kept else border_ratio
    found = screener(tmp_path, compare, max_drop_ratio=limit_ratio)((0,))

    assert found.status == ("screened" if is_kept else "infeasible")
    assert len(compare.asked) == int(is_kept)
    assert (found.gains is not None) == is_kept
    assert ("it was not timed" in found.sentence) != is_kept


# --- the whole search -----------------------------------------------------------------------------------------------

THREE = {"space": [["none", BF16], ["none", SORTED]], "constraints": {"max_accuracy_drop_ratio": 0.1}, "finalists": 1}


def search(folder: Path, compare: FakeCompare, **change: Any) -> Searched:
    """Search a small space over the tiny reviews."""
    asked: dict[str, Any] = {"budget_sec": 1e6, "run_dir": folder / "run", "compare": compare}
    return search_workload("reviews-tiny", written(folder, **THREE), **(asked | change))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Searched, FakeCompare]]:
    """Search once, really built and validated, with a fake stopwatch; cut once in the middle and once in the finals."""
    folder = tmp_path_factory.mktemp("search")
    prepared = project.cache_dir() / "workloads"
    prepared.mkdir(parents=True, exist_ok=True)
    (folder / "cache").mkdir()
    (folder / "cache" / "workloads").symlink_to(prepared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFLIB_OUTPUTS_DIR", str(folder / "outputs"))
        patch.setenv("PERFLIB_LOCK_DIR", str(folder / "lock"))
        patch.setenv("PERFLIB_CACHE_DIR", str(folder / "cache"))
        interrupt = KeyboardInterrupt()
        compare = FakeCompare(Run(folder / "run"), trouble=lambda count: interrupt if count in (2, 5) else None)
        for is_resumed in (False, True):
            with pytest.raises(KeyboardInterrupt):
                search(folder, compare, resume=is_resumed)
        yield folder, search(folder, compare, resume=True), compare


def test_a_real_search_ends_with_a_finalist_that_has_met_the_test_split(
    searched: tuple[Path, Searched, FakeCompare],
) -> None:
    """Interrupted twice, it has every combination once and every record that a candidate has."""
    _, found, _ = searched
    record, (check,) = found.record, found.record.checks

    assert (record.stop, record.is_complete, found.exit_code) == ("exhausted", True, 0)
    assert sorted(one.choices for one in record.trials) == [(0, 1), (1, 0), (1, 1)]
    assert record.finalists == (check.trial_index,)
    assert check.name == f"trial-{check.trial_index}"
    assert found.run.candidate_names() == [check.name]
    assert Search.read(found.run.record_path("search", "space")) == record
    for kind in (Build, Comparison, Validation):
        assert found.run.read(kind, check.name) is not None


def test_the_finalist_s_numbers_are_those_of_its_validation(searched: tuple[Path, Searched, FakeCompare]) -> None:
    """Counted on the whole test split, with a bound that pays for one finalist."""
    _, found, _ = searched
    (check,) = found.record.checks
    validation = found.run.read(Validation, check.name)
    assert validation is not None

    assert check.example_count == len(get_workload("reviews-tiny").splits().test)
    assert check.test_change_ratio == pytest.approx(validation.accuracy_change_ratio.estimate)
    assert (check.level_ratio, check.test_low_ratio) == (0.95, validation.accuracy_change_ratio.low)
    assert check.gate_verdict == validation.verdict
    assert [one.scenario for one in check.scenarios] == ["single", "offline"]


@pytest.mark.usefixtures("own_cache")
def test_selection_never_sees_the_test_split(searched: tuple[Path, Searched, FakeCompare]) -> None:
    """Every screen is timed on tuning inputs; test inputs come last, when the finalists are written down."""
    workload = get_workload("reviews-tiny")
    workload.prepare()
    tuning, test = (workload.encode(getattr(workload.splits(), name).inputs).digest() for name in ("tuning", "test"))
    _, found, compare = searched
    (name,) = [one.name for one in found.record.checks]

    # The second screen and the first final were interrupted and came again.
    assert compare.asked == [("a screen", tuning, 5)] * 4 + [(name, test, 12)] * 2


def test_finalists_are_written_before_any_of_them_meets_the_test_split(
    searched: tuple[Path, Searched, FakeCompare],
) -> None:
    """What stands on the disk when the first final begins is what is checked."""
    _, found, compare = searched
    written_before = compare.on_disk[4]
    assert written_before is not None

    assert written_before.finalists == found.record.finalists
    assert (written_before.checks, written_before.is_complete) == ((), False)
    assert dataclasses.replace(written_before, checks=found.record.checks, is_complete=True) == found.record


def test_a_complete_search_stays_as_it_is(
    searched: tuple[Path, Searched, FakeCompare], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is chosen after the test split was seen, whatever the budget."""
    folder, found, _ = searched
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(folder / "cache"))
    compare = FakeCompare()
    again = search(folder, compare, resume=True, budget_sec=1e9)

    assert again.record == found.record
    assert compare.asked == []


def test_a_search_is_resumed_only_as_what_it_began(
    searched: tuple[Path, Searched, FakeCompare], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another space or seed is another search, and a folder with a search is not begun anew."""
    folder, found, _ = searched
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(folder / "cache"))
    compare, run_dir = FakeCompare(), found.run.folder

    with pytest.raises(ParameterError, match="holds a search already; go on with --resume"):
        search(folder, compare)
    with pytest.raises(ParameterError, match=r"has space .* resume with what it began with"):
        search_workload("reviews-tiny", written(tmp_path, **GOOD), budget_sec=1.0, run_dir=run_dir, resume=True)
    with pytest.raises(ParameterError, match=r"holds no search to resume; start it without --resume"):
        search(tmp_path, compare, resume=True)
    with pytest.raises(ParameterError, match="name it with --run-dir"):
        search(tmp_path, compare, resume=True, run_dir=None)
    assert compare.asked == []


@pytest.mark.usefixtures("own_folders")
@pytest.mark.parametrize("budget_sec", [0.0, -1.0, math.inf, math.nan])
def test_a_budget_is_a_time_above_zero(tmp_path: Path, budget_sec: float) -> None:
    """Nothing is begun for another."""
    with pytest.raises(ParameterError, match="give a time above 0"):
        search(tmp_path, FakeCompare(), budget_sec=budget_sec)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("own_folders")
def test_a_profile_that_is_not_there_is_found_before_the_first_screen(tmp_path: Path) -> None:
    """Not after an hour of them."""
    space = written(tmp_path, **THREE, guardrail_profile="losy")
    with pytest.raises(ParameterError, match=r"did you mean `lossy`\?"):
        search_workload("reviews-tiny", space, budget_sec=1.0, run_dir=tmp_path / "run", compare=FakeCompare())


@pytest.mark.usefixtures("own_cache")
def test_a_search_where_nothing_keeps_the_constraint_has_no_finalist(tmp_path: Path) -> None:
    """It ends all the same, says 2, and never touches the test split."""
    compare = FakeCompare()
    space = written(tmp_path, **(THREE | {"space": [[SORTED]], "constraints": {"max_accuracy_drop_ratio": 0.0001}}))
    found = search_workload("reviews-tiny", space, budget_sec=9.0, run_dir=tmp_path / "run", compare=compare)

    assert (found.exit_code, found.record.is_complete, found.record.finalists) == (2, True, ())
    assert [one.status for one in found.record.trials] == ["infeasible"]
    assert compare.asked == []


# --- the figure -----------------------------------------------------------------------------------------------------


def drawn(*trials: SearchTrial) -> tuple[Any, Any]:
    """Draw the front of these trials."""
    front = pareto_front(trials)
    record = Search(
        *("toy", "0", "0", len(trials), 0.01, 60.0, 50.0, 0, "exhausted", tuple(trials), front),
        finalists=choose_finalists(trials, front, count=3),
    )
    return plot_front(record)


def test_the_front_is_joined_numbered_and_told() -> None:
    """What is beaten is grey, what breaks the constraint hollow; the words say all of the front."""
    recipe = ({"quantize": {"scheme": "int8-static"}}, {"runtime": {"replicas": 2}})
    fig, (speed, quality) = drawn(
        trial(single=4.0, offline=3.0),
        trial(single=3.0, offline=4.0, recipe=recipe),
        trial(single=1.5, offline=1.5),
        trial(status="infeasible", change=-0.03, low=-0.04),
        trial(status="refused"),
    )
    told = fig.get_label()

    assert [list(line.get_xdata()) for line in speed.get_lines()] == [[3.0, 4.0]]
    assert [text.get_text() for text in speed.texts] == ["1", "0", "baseline"]
    assert sum(isinstance(mark, PathCollection) and not len(mark.get_facecolor()) for mark in quality.collections) == 1
    assert "1, quantize int8-static, runtime replicas 2: 3.00× one at a time, 4.00× [3.60, 4.40] all at once" in told
    assert "1 of 5 combinations break the constraint of −1.00 pp." in told
    assert "2 of 4 combinations tried are beaten by no other" in fig.get_suptitle()
    plt.close(fig)


def test_a_smaller_artifact_has_a_smaller_marker() -> None:
    """Area, not diameter, as an eye compares areas."""
    fig, (speed, _) = drawn(trial(single=4.0, size=0.5), trial(single=3.0, offline=9.0, size=0.25))
    first, second, *_ = speed.collections

    assert first.get_sizes()[0] == 2 * second.get_sizes()[0]
    plt.close(fig)


def test_without_anything_screened_there_is_a_sentence() -> None:
    """A figure of nothing says so."""
    fig, _ = drawn(trial(status="infeasible"), trial(status="refused"))

    assert fig.get_label() == "No combination was screened that keeps the constraint, so there is no front to draw."
    plt.close(fig)


def test_a_trial_without_gains_is_not_screened() -> None:
    """The statuses that carry speeds are the two that kept the constraint."""
    every: list[Any] = ["refused", "failed", "infeasible", "screened", "finalist"]

    assert [trial(status=status).gains is not None for status in every] == [False, False, False, True, True]
    assert trial(single=2.0, offline=3.0, size=0.25, change=-0.001).gains == (2.0, 3.0, 4.0, -0.001)
