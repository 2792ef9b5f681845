"""
`perflib compare`: two artifacts by name, one verdict, one exit code, and a folder that keeps what was seen.

    outcome = compare_named("outputs/RUN:baseline", "outputs/RUN:int8", scenarios=["offline"])
    outcome.exit_code  # 0 not slower or faster, 3 slower, 5 not decided
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perflib import plots, project, sentences
from perflib.artifact import Artifact
from perflib.benchmarking.arm import StartArm
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.question import Question, check_comparable
from perflib.benchmarking.scenarios import get_scenarios
from perflib.benchmarking.summary import evidence_paths
from perflib.errors import ParameterError, did_you_mean
from perflib.machine import read_card
from perflib.results import Comparison
from perflib.runs import Run
from perflib.session import keep_figure
from perflib.workloads import get_workload


@dataclasses.dataclass(frozen=True)
class Compared:
    """A comparison and where it lies."""

    comparison: Comparison
    run: Run

    @property
    def exit_code(self) -> int:
        """3 slower in any scenario, else 5 where one is not decided, else 0."""
        verdicts = {one.verdict for one in self.comparison.scenarios}
        return 3 if "REGRESSION" in verdicts else 5 if "INCONCLUSIVE" in verdicts else 0

    @property
    def sentence(self) -> str:
        """The verdict of every scenario, why it ended where it was not decided, and what disturbed it."""
        return sentences.comparison_sentence(self.comparison)


def compare_named(
    baseline: str,
    candidate: str,
    *,
    scenarios: Sequence[str],
    run_dir: Path | None = None,
    start_arm: StartArm | None = None,
    **asked: Any,
) -> Compared:
    """
    Compare two artifacts and keep record and figures in a run folder.

    Args:
        baseline: A folder with an `artifact.json`, or ``RUN:name`` of a run in the outputs.
        candidate: The same for the other arm.
        scenarios: Names of scenarios.
        run_dir: Where the record goes; a new folder in the outputs if not given.
        start_arm: Starts the workers; `Launcher` if not given.
        asked: Fields of `Question`.

    Raises:
        ParameterError: If an artifact is not there, or the two do not answer the same question.
        DataError: If an artifact does not load.
    """
    before, after = find_artifact(baseline), find_artifact(candidate)
    check_comparable(before, after)
    name = after.folder.name
    question = Question(
        name=name, scenarios=get_scenarios(scenarios), hardware_class=read_card().hardware_class, **asked
    )
    workload = get_workload(before.spec.lineage.workload)
    workload.prepare()
    inputs = workload.encode(workload.splits().test.inputs)
    run = Run(Path(run_dir).resolve() if run_dir else project.new_run_dir("compare"))
    with host_lock():
        comparison = compare(
            before,
            after,
            inputs,
            question,
            on_life=lambda so_far: run.write(so_far, name),
            start_arm=start_arm,
        )
    _keep_figures(run, comparison)
    return Compared(comparison, run)


def find_artifact(word: str) -> Artifact:
    """
    Load an artifact by its folder or as ``RUN:name``.

    Raises:
        ParameterError: If there is no such folder, run or candidate.
        DataError: If it does not load.
    """
    if Path(word).is_dir():
        return Artifact.load(Path(word))
    run_word, colon, name = word.rpartition(":")
    if not colon:
        raise ParameterError(f"{word} is no artifact's folder; give one, or a candidate of a run as RUN:name.")
    places = [Path(run_word), project.outputs_dir() / run_word]
    run_folder = next((place for place in places if (place / "artifacts").is_dir()), None)
    if run_folder is None:
        runs = [path.parent.name for path in project.outputs_dir().glob("*/artifacts")]
        raise ParameterError(f"there is no run {run_word} with artifacts; {did_you_mean(run_word, runs)}")
    known = [path.name for path in (run_folder / "artifacts").iterdir() if path.is_dir()]
    if name not in known:
        raise ParameterError(f"run {run_folder.name} has no artifact `{name}`; {did_you_mean(name, known)}")
    return Artifact.load(run_folder / "artifacts" / name)


def _keep_figures(run: Run, comparison: Comparison) -> None:
    plots.use_house_style()
    paths = evidence_paths(comparison)
    if paths:
        keep_figure(run, plots.plot_lives(paths, name=comparison.name), f"lives-{comparison.name}")
        keep_figure(run, plots.plot_evidence(paths, name=comparison.name), f"evidence-{comparison.name}")
    keep_figure(run, plots.plot_latencies(comparison), f"latencies-{comparison.name}")
