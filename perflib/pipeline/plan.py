"""
What will be executed: the notebooks of a run, each with checked parameters and a digest of all that it reads.

Papermill only warns of a parameter that a notebook does not have and runs the default; here that is an error, before
anything runs.
"""

import ast
import dataclasses
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from perflib import project, records
from perflib.errors import DataError, ParameterError, did_you_mean
from perflib.params import ExperimentParams, RunParams
from perflib.runs import Run

BASELINE, EXPERIMENT, REPORT = "01_baseline", "02_experiment", "04_report"
LADDER, WHY, BREAKEVEN = "02_ladder", "02_why", "02_breakeven"
# The steps between the experiments and the report, in their order, and their notebooks.
AFTERWARDS = {"ladder": LADDER, "why": WHY, "breakeven": BREAKEVEN}
# What one pairing costs at least: five lives have an interval, and one is to spare for a disturbed one. What decides
# nothing takes no more.
_FEWEST = {"max_lives_count": 6, "units_per_life_count": 1}
# Twenty cells share each life, and one that was disturbed once must not stay open for it.
_MAP_EFFORT = {"max_lives_count": 8, "units_per_life_count": 1}


@dataclasses.dataclass(frozen=True)
class PlannedStep:
    """One notebook to execute; ``inputs_sha256`` is None for the report, which reads what the others wrote."""

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    inputs_sha256: str | None
    is_modified: bool


def plan(
    params: RunParams,
    experiments: Sequence[ExperimentParams],
    *,
    run: Run,
    guardrails_sha256: str,
    prepared_sha256: str,
    versions: Mapping[str, str],
) -> list[PlannedStep]:
    """
    List the steps of a run: baseline, every experiment, what explains them if asked for, report.

    Args:
        params: The run.
        experiments: Its experiments, in order.
        run: The run's folder.
        guardrails_sha256: Digest of the limits.
        prepared_sha256: Digest of the prepared baseline artifact.
        versions: Of the engines, so that an upgrade is a changed input.

    Raises:
        ParameterError: If a notebook is missing, has no parameters cell, or lacks a parameter.
    """
    workload = params.workload if isinstance(params.workload, str) else params.workload.model_dump()
    common = {"workload": workload, "scenarios": params.scenarios, "seed": params.seed, "device": params.device}
    base = [code_sha256(), prepared_sha256, dict(versions)]
    steps = [
        _step(BASELINE, {**common, "baseline_lives_count": params.baseline_lives_count}, run, base, name="baseline")
    ]
    counts = {"max_lives_count": params.max_lives_count, "units_per_life_count": params.units_per_life_count}
    for experiment in experiments:
        limits = {"guardrails": params.guardrails, "waivers": params.waivers}
        # What is shown and never offered needs an interval, and no more.
        effort = _FEWEST if params.finalists and experiment.name not in params.finalists else counts
        given = {**common, **effort, **limits, **experiment.model_dump()}
        # What stands in the waivers is left out: a new one is no reason to time again, `perflib validate` applies it.
        steps.append(_step(EXPERIMENT, given, run, [*base, guardrails_sha256], name=experiment.name))
    before = [*base, [step.inputs_sha256 for step in steps]]
    for later in (_ladder, _why, _breakeven):
        steps += later(params, experiments, {**common, **counts}, run, before)
    return [*steps, plan_report(run)]


def _ladder(
    params: RunParams,
    experiments: Sequence[ExperimentParams],
    given: dict[str, Any],
    run: Run,
    base: Sequence[Any],
) -> list[PlannedStep]:
    """Plan the steps of one recipe, where one is asked for and its experiment is part of this run."""
    found = [one for one in experiments if one.name == params.ladder]
    rivals = [name for name in params.rivals if name in {one.name for one in experiments}]
    return [
        _step(LADDER, {**given, "name": one.name, "recipe": one.recipe, "rivals": rivals}, run, base, name="ladder")
        for one in found
    ]


def _why(
    params: RunParams,
    experiments: Sequence[ExperimentParams],
    given: dict[str, Any],
    run: Run,
    base: Sequence[Any],
) -> list[PlannedStep]:
    """Plan the waterfalls; whose, where only the best is asked for, is known when the experiments are judged."""
    candidates = [one.name for one in experiments if one.name in params.experiments]
    if params.explain == "none" or not candidates:
        return []
    if params.explain == "all":
        asked = {"candidates": candidates}
    else:
        # A newcomer waits for it, so one scenario has to do; `perflib explain` asks all that were timed.
        one = "offline" if "offline" in params.scenarios else params.scenarios[0]
        asked = {"candidates": [], "scenarios": [one]}
    return [_step(WHY, {**given, **_FEWEST, **asked}, run, base, name="why")]


def _breakeven(
    params: RunParams,
    experiments: Sequence[ExperimentParams],
    given: dict[str, Any],
    run: Run,
    base: Sequence[Any],
) -> list[PlannedStep]:
    """Plan the map of one candidate, where one is asked for and its experiment is part of this run."""
    # The map has scenarios of its own: its cells.
    own = {key: value for key, value in given.items() if key != "scenarios"} | _MAP_EFFORT
    found = [one.name for one in experiments if one.name == params.breakeven]
    return [_step(BREAKEVEN, {**own, "name": name}, run, base, name="breakeven") for name in found]


def plan_report(run: Run) -> PlannedStep:
    """Return the step that tells a run's story to stakeholders; what it reads is known when its turn comes."""
    return dataclasses.replace(_step(REPORT, {}, run, [], name="report"), inputs_sha256=None)


def check_notebooks(params: RunParams, experiments: Sequence[ExperimentParams]) -> None:
    """Check every notebook's parameters without a run folder, so that a mistake leaves nothing behind."""
    nowhere = Run(Path("unmade"))
    plan(params, experiments, run=nowhere, guardrails_sha256="", prepared_sha256="", versions={})


def report_inputs_sha256(run: Run, step: PlannedStep) -> str:
    """Return the digest of what the report reads: its notebook, the code, and every record of the run."""
    names = sorted((run.folder / "records").glob("*.json"))
    return records.sha256_json(
        [records.sha256_file(step.notebook), code_sha256(), records.sha256_files(names, root=run.folder)]
    )


def code_sha256() -> str:
    """Return the digest of perflib's own source."""
    package = Path(__file__).resolve().parents[1]
    files = [path for path in sorted(package.rglob("*")) if path.suffix in (".py", ".j2", ".css", ".json")]
    return records.sha256_files(files, root=package)


def _step(notebook: str, given: dict[str, Any], run: Run, base: Sequence[Any], *, name: str) -> PlannedStep:
    path = project.root() / "notebooks" / f"{notebook}.ipynb"
    check_parameters(path, {"run_dir": "", **given})
    digest = records.sha256_json([records.sha256_file(path), given, *base])
    return PlannedStep(name, path, {"run_dir": str(run.folder), **given}, digest, _is_modified(path))


def check_parameters(notebook: Path, given: Mapping[str, Any]) -> None:
    """
    Compare parameters with the cell that papermill will override.

    Raises:
        ParameterError: If the notebook is missing or unreadable, has no ``parameters`` cell, or lacks a name.
    """
    known = parameter_names(notebook)
    for key in given:
        if key not in known:
            raise ParameterError(f"`{key}` is not a parameter of {notebook.stem}; {did_you_mean(key, known)}")


def parameter_names(notebook: Path) -> list[str]:
    """
    Return the names that a notebook's ``parameters`` cell assigns, as ``papermill.inspect_notebook`` does.

    Read without papermill, whose import takes seconds that a mistake in a params file need not wait for;
    a test holds both equal on every notebook.

    Raises:
        ParameterError: If the notebook is missing or unreadable, or has not exactly one ``parameters`` cell.
    """
    if not notebook.is_file():
        raise ParameterError(f"the notebook {notebook} does not exist; restore it from the repository.")
    try:
        cells = records.read_json(notebook)["cells"]
        tagged = [cell["source"] for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    except (DataError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(f"{notebook} is not a notebook ({type(error).__name__}); restore it.") from error
    if len(tagged) != 1:
        raise ParameterError(f"{notebook} has {len(tagged)} cells tagged `parameters`; tag exactly one.")
    try:
        lines = ast.parse("".join(tagged[0])).body
    except SyntaxError as error:
        raise ParameterError(f"the parameters cell of {notebook} is not Python ({error.msg}); restore it.") from error
    targets = [line.target if isinstance(line, ast.AnnAssign) else line.targets[0] for line in lines if _assigns(line)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _assigns(line: ast.stmt) -> TypeGuard[ast.AnnAssign | ast.Assign]:
    return isinstance(line, ast.AnnAssign | ast.Assign)


def executed_path(step_name: str, run: Run) -> Path:
    """Return where the executed notebook of a step is kept."""
    names = {"baseline": BASELINE, **AFTERWARDS, "report": REPORT}
    return run.notebook(names.get(step_name, f"02_{step_name}"))


def literal(path: Path) -> str:
    """Write a path so that papermill, which formats paths with the parameters, leaves its braces alone."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _is_modified(path: Path) -> bool:
    """Say whether a notebook differs from the commit; without git nobody can say, and the digest still tells."""
    try:
        reply = subprocess.run(
            ["git", "-C", str(path.parent), "diff", "--quiet", "HEAD", "--", path.name],
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return reply.returncode == 1
