"""
How much faster is B than A, and how sure can this machine be?

`compare` lives pairs until every scenario is decided, the lives or the time agreed are spent, or the first lives show
that this machine cannot decide it. It keeps every sample and hands over a whole record after every life, so that
nothing is lost when it is cut short.
"""

import math
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from perflib import project, units
from perflib.artifact import Artifact
from perflib.benchmarking import conditions, decision, planning
from perflib.benchmarking.arm import ArmError, ArmName, Launcher, StartArm
from perflib.benchmarking.conditions import Watch
from perflib.benchmarking.lives import Agreed, LivedLife, Pair, live
from perflib.benchmarking.metrics import compare_metrics
from perflib.benchmarking.question import Question, check_comparable
from perflib.benchmarking.scenarios import Scenario
from perflib.benchmarking.summary import counted, disturbed_sentence, is_disturbed, summarise, verdict_of
from perflib.encoded import Encoded
from perflib.errors import MeasurementError
from perflib.progress import Progress
from perflib.results import ArmEnvironment, Comparison, Life, Readings, ScenarioComparison, StopReason

# A map has more scenarios than a line of progress has room for.
_MOST_NOTED_COUNT = 4


def compare(
    baseline: Artifact,
    candidate: Artifact,
    encoded: Encoded,
    question: Question,
    *,
    on_life: Callable[[Comparison], object] | None = None,
    start_arm: StartArm | None = None,
    watch: Watch | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """
    Compare two artifacts on the same inputs in fresh, interleaved, coin-ordered processes.

    Args:
        baseline: The arm A.
        candidate: The arm B.
        encoded: The inputs that scenarios sample from, usually the test split.
        question: What is asked, how sure the answer must be and what it may cost.
        on_life: Is handed the whole record after every life, and once more where Ctrl-C or a failing arm ends it.
        start_arm: Starts a worker; tests pass their own.
        watch: Reads the machine around every unit.
        clock: Monotonic seconds.

    Raises:
        ParameterError: If the two artifacts do not answer the same question.
        ArmError: If an arm dies, hangs, refuses or writes something else.
        MeasurementError: If the budget cannot hold the fewest lives, or the answers differ in shape.
    """
    check_comparable(baseline, candidate)
    comparing = _Comparing(
        baseline=baseline,
        candidate=candidate,
        encoded=encoded,
        question=question,
        start_arm=start_arm or Launcher(),
        watch=watch or Watch(),
        clock=clock,
    )
    return comparing.run(on_life)


class _Comparing:
    """One comparison at work: what was lived so far, and the record of it."""

    def __init__(
        self,
        *,
        baseline: Artifact,
        candidate: Artifact,
        encoded: Encoded,
        question: Question,
        start_arm: StartArm,
        watch: Watch,
        clock: Callable[[], float],
    ) -> None:
        self._baseline, self._candidate, self._encoded, self._question = baseline, candidate, encoded, question
        # What a record says of inputs and artifacts does not change from life to life.
        self._sha256 = {"inputs": encoded.digest(), "baseline": baseline.digest, "candidate": candidate.digest}
        self._tokens_count = {scenario.name: scenario.tokens_count(encoded) for scenario in question.scenarios}
        self._start_arm, self._watch, self._clock = start_arm, watch, clock
        self._coins = random.Random(question.seed)
        self._agreed = Agreed(question.latency_target_sec)
        self._lived: list[LivedLife] = []
        self._load_mark = conditions.load_before(watch)
        self._start_sec = clock()

    def run(self, on_life: Callable[[Comparison], object] | None) -> Comparison:
        """Live until there is a reason to stop."""
        question = self._question
        with (
            tempfile.TemporaryDirectory(prefix="perflib-") as folder,
            Progress(f"timing {question.name}", question.max_lives_count) as bar,
        ):
            pair = Pair(self._baseline.folder, self._candidate.folder, self._encoded.write(Path(folder) / "inputs.npz"))
            stop: StopReason | None = None
            try:
                while stop is None:
                    self._live(pair)
                    bar.step(self._progress_note())
                    stop = self._why_stop()
                    if on_life or stop:
                        record = self.record(stop or "running")
                    if on_life:
                        on_life(record)
            except (KeyboardInterrupt, ArmError) as error:
                if self._lived and on_life:
                    on_life(self.record("arm-failed" if isinstance(error, ArmError) else "interrupted", str(error)))
                raise
        return record

    def record(self, stop: StopReason, why: str = "") -> Comparison:
        """Return everything so far as a record; there has to be at least one life."""
        question = self._question
        scenarios = tuple(self._summary(scenario) for scenario in question.scenarios)
        return Comparison(
            name=question.name,
            baseline_sha256=self._sha256["baseline"],
            candidate_sha256=self._sha256["candidate"],
            inputs_sha256=self._sha256["inputs"],
            hardware_class=question.hardware_class,
            is_baseline_runtime=self._candidate.spec.runtime == self._baseline.spec.runtime,
            seed=question.seed,
            alpha_ratio=question.alpha,
            tolerance_ratio=question.tolerance,
            mde_ratio=question.mde,
            stop=stop,
            stop_sentence=why or self._stop_sentence(stop, scenarios),
            marks=self._marks(),
            scenarios=scenarios,
            metrics=compare_metrics(self._lived, alpha=question.alpha, tolerance=question.tolerance),
            processes=tuple(one.processes for one in self._lived),
            baseline_environment=self._environment("baseline"),
            candidate_environment=self._environment("candidate"),
            parent_core_ratio=self._parent_core_ratio(),
            wall_sec=self._clock() - self._start_sec,
        )

    def _live(self, pair: Pair) -> None:
        self._lived.append(
            live(
                pair,
                self._question.scenarios,
                units_count=self._question.units_per_life_count,
                agreed=self._agreed,
                coins=self._coins,
                start_arm=self._start_arm,
                watch=self._watch,
            )
        )

    def _why_stop(self) -> StopReason | None:
        question, count = self._question, len(self._lived)
        undecided, affordable_count = self._undecided(), self._affordable_count()
        if not undecided:
            return "decided"
        if count == 1 and affordable_count < question.least_lives_count:
            need_sec = question.least_lives_count * self._life_sec()
            raise MeasurementError(
                f"the budget of {question.budget_sec:g} s is too short: one life takes {self._life_sec():.1f} s and "
                f"{question.least_lives_count} are the fewest; give at least {math.ceil(1.1 * need_sec)} s."
            )
        if count >= affordable_count:
            return "lives-spent" if count >= question.max_lives_count else "budget-spent"
        if count >= planning.PILOT_LIVES_COUNT and all(self._plan(one).is_hopeless for one in undecided):
            return "hopeless"
        return None

    def _undecided(self) -> list[Scenario]:
        question = self._question
        return [
            scenario
            for scenario in question.scenarios
            if verdict_of(
                self._lives_in(scenario), alpha=question.alpha, tolerance=question.tolerance, mde=question.mde
            )
            == "INCONCLUSIVE"
        ]

    def _plan(self, scenario: Scenario) -> planning.Plan:
        question = self._question
        return planning.plan(
            counted(self._lives_in(scenario)),
            affordable_lives_count=self._affordable_count(),
            alpha=question.alpha,
            tolerance=question.tolerance,
            mde=question.mde,
        )

    def _affordable_count(self) -> int:
        """Return the lives that count and budget allow, those already lived included."""
        question = self._question
        if question.budget_sec is None:
            return question.max_lives_count
        left_sec = question.budget_sec - (self._clock() - self._start_sec)
        return min(question.max_lives_count, len(self._lived) + max(math.floor(left_sec / self._life_sec()), 0))

    def _life_sec(self) -> float:
        return (self._clock() - self._start_sec) / len(self._lived)

    def _lives_in(self, scenario: Scenario) -> list[Life]:
        return [one.by_scenario[scenario.name] for one in self._lived]

    def _summary(self, scenario: Scenario) -> ScenarioComparison:
        question = self._question
        return summarise(
            scenario,
            self._lives_in(scenario),
            plan=self._agreed.plans[scenario.name],
            examples_count=min(scenario.example_count, len(self._encoded)),
            tokens_count=self._tokens_count[scenario.name],
            alpha=question.alpha,
            tolerance=question.tolerance,
            mde=question.mde,
        )

    def _stop_sentence(self, stop: StopReason, scenarios: tuple[ScenarioComparison, ...]) -> str:
        """Say why it ended before every verdict was reached, and what to do."""
        question, count = self._question, len(self._lived)
        if stop in ("decided", "running"):
            return ""
        if stop == "interrupted":
            return f"interrupted after {count} lives; what they say stands."
        disturbed = [disturbed_sentence(one) for one in scenarios if is_disturbed(one)]
        if disturbed:
            return " ".join(disturbed)
        if stop == "hopeless":
            return " ".join(self._hopeless_sentence(scenario) for scenario in self._undecided())
        spent = (
            f"the {count} lives allowed are" if stop == "lives-spent" else f"the {question.budget_sec:g} s allowed are"
        )
        return f"{spent} spent; allow more, or ask for a larger mde than {units.percent(question.mde)}."

    def _hopeless_sentence(self, scenario: Scenario) -> str:
        """Say what the pilot found: the noise, the lives it would take, and what the lives allowed can show."""
        question, plan = self._question, self._plan(scenario)
        visible_ratio = planning.visible_effect(
            sd_ratio=plan.sd_ratio,
            lives_count=plan.affordable_lives_count,
            alpha=question.alpha,
            tolerance=question.tolerance,
        )
        needed = "many thousand" if plan.needed_lives_count is None else f"{plan.needed_lives_count:,}"
        return (
            f"a life of {scenario.name} varies by {units.percent(plan.sd_ratio)} here, so a verdict needs about "
            f"{needed} lives where {plan.affordable_lives_count} are allowed; these can show "
            f"{units.percent(visible_ratio)} or more, so ask for that, allow more lives, or quiet the machine."
        )

    def _marks(self) -> tuple[str, ...]:
        marks = [self._load_mark, conditions.load_during(self._readings())]
        for scenario in self._question.scenarios:
            unsteady = sum(not life.is_steady for life in self._lives_in(scenario))
            if unsteady:
                marks.append(f"no steady state in {unsteady} of {len(self._lived)} lives of {scenario.name}")
        return tuple(mark for mark in marks if mark is not None)

    def _readings(self) -> list[Readings]:
        lives = [life for one in self._lived for life in one.by_scenario.values()]
        return [unit.readings for life in lives for unit in life.units if unit.readings is not None]

    def _parent_core_ratio(self) -> float:
        readings = self._readings()
        wall_sec = sum(one.wall_sec for one in readings)
        return sum(one.parent_cpu_sec for one in readings) / wall_sec if wall_sec else 0.0

    def _environment(self, arm: ArmName) -> ArmEnvironment:
        seen = self._lived[0].environments[arm]
        command = tuple(project.without_home(word) for word in self._start_arm.command(arm))
        return ArmEnvironment(command, seen.python, seen.versions)

    def _progress_note(self) -> str:
        parts, undecided = [], [scenario.name for scenario in self._undecided()]
        count = len(self._question.scenarios)
        if count > _MOST_NOTED_COUNT:
            return f"{count - len(undecided)} of {count} decided"
        for scenario in self._question.scenarios:
            ratios = counted(self._lives_in(scenario))
            if ratios:
                shown = decision.speedup_interval(ratios, alpha=self._question.alpha)
                bounds = "" if shown.low is None else f" [{shown.low:.2f}, {shown.high:.2f}]"
                parts.append(f"{scenario.name} {shown.estimate:.2f}×{bounds}")
        return ", ".join(parts) + (f"; undecided: {', '.join(undecided)}" if undecided else "; decided")
