"""
`perflib validate`: is a candidate still right, and for whom?

    done = validate_named("outputs/RUN:int8")
    done.exit_code  # 0 it may be promoted, 2 a gate fails, 5 a gate is not decided

The same act is the third part of every experiment: ask both models, keep every answer, judge by the registered limits.
"""

import dataclasses
from pathlib import Path
from typing import Any

from perflib import guardrails, project, sentences, verdict
from perflib.artifact import Artifact
from perflib.comparing import find_artifact
from perflib.errors import DataError, ParameterError, did_you_mean
from perflib.guardrails import Waiver
from perflib.results import Build, Churn, Comparison, SliceChurn, Validation
from perflib.runs import SUMMARY_FILE, Run
from perflib.validation.ask import Material, ask, prepare_material
from perflib.validation.exemplars import exemplars, write_csv
from perflib.validation.gates import Guardrails, judge
from perflib.validation.measure import Answered, measure
from perflib.workloads import get_workload

_EXIT_CODES = {"PASS": 0, "WARN": 0, "FAIL": 2, "INCONCLUSIVE": 5}


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a profile and the waivers that apply, as people wrote them."""

    guardrails: Guardrails
    sha256: str
    profile: str
    waivers: tuple[Waiver, ...] = ()

    def __post_init__(self) -> None:
        if self.profile not in self.guardrails:
            raise ParameterError(
                f"guardrail profile `{self.profile}` is not in the file; {did_you_mean(self.profile, self.guardrails)}"
            )


@dataclasses.dataclass(frozen=True)
class Validated:
    """A validation, and the run that keeps it; ``is_kept`` is false where other limits were only tried."""

    validation: Validation
    run: Run
    is_kept: bool

    @property
    def exit_code(self) -> int:
        """0 PASS or WARN, 2 FAIL, 5 INCONCLUSIVE."""
        return _EXIT_CODES[self.validation.verdict]

    @property
    def lines(self) -> list[str]:
        """What a person wants to read: what changed, and every gate that does not simply pass."""
        open_gates = [gate for gate in self.validation.gates if gate.verdict != "PASS"]
        lines = [sentences.quality_sentence(self.validation)]
        lines += [f"{gate.verdict} {gate.id}: {gate.sentence}" for gate in open_gates]
        lines += [f"waived {gate.id}: {gate.waiver}" for gate in open_gates if gate.waiver]
        lines += [f"note: {note}" for note in self.validation.notes]
        return lines


def load_limits(run: Run, *, file: str, profile: str, waivers: str) -> Limits:
    """
    Read limits and waivers from ``params/``.

    Raises:
        ParameterError: If the limits are not those that were registered when the run began, or a waiver has expired.
    """
    limits, sha256 = guardrails.load_guardrails(file)
    registered = _registered_sha256(run)
    if registered is not None and registered != sha256:
        raise ParameterError(
            f"{file} has sha256 {sha256[:12]}… where the run registered {registered[:12]}… before any answer was seen; "
            "restore it, or start a new run with the new limits."
        )
    return Limits(limits, sha256, profile, guardrails.load_waivers(waivers))


def validate_candidate(
    run: Run, material: Material, candidate: Artifact, name: str, limits: Limits, *, is_kept: bool = True
) -> Validation:
    """
    Ask both models everything, keep every answer in the run, and judge.

    Args:
        run: Where answers and what was timed lie.
        material: The data, the baseline and the probes.
        candidate: The model that may take the baseline's place.
        name: Its name.
        limits: From `load_limits`.
        is_kept: Whether answers are written; not where other limits are only tried.
    """
    answered = ask(
        material,
        candidate,
        name=name,
        comparison=run.read(Comparison, name),
        build=run.read(Build, name),
        churn=known_churn(material.baseline),
    )
    if is_kept:
        _keep(run, material, answered, name)
    found = measure(
        answered,
        name=name,
        profile=limits.profile,
        limits=limits.guardrails[limits.profile],
        guardrails_sha256=limits.sha256,
        seed=material.seed,
    )
    return judge(found, limits.guardrails, waivers=guardrails.waived_gates(limits.waivers, candidate.digest))


def validate_named(word: str, *, guardrails_file: Path | None = None, profile: str | None = None) -> Validated:
    """
    Validate one candidate of a run again, and keep the result unless other limits are tried.

    Args:
        word: ``RUN:name``.
        guardrails_file: Limits to try; those that the run registered if not given.
        profile: Of the limits; by default the one that the candidate was judged by, else ``lossy``. Another one than
            that is other limits too.

    Raises:
        ParameterError: If there is no such run, candidate, profile or file.
    """
    candidate, run, name = _find(word)
    summary, before = run.summary(), _record_before(run, name)
    asked: dict[str, Any] = summary.params if summary else {}
    judged_by = before.profile if before else profile or "lossy"
    profile = profile or judged_by
    if guardrails_file is None:
        limits = load_limits(
            run,
            file=asked.get("guardrails", "guardrails.yaml"),
            profile=profile,
            waivers=asked.get("waivers", "waivers.yaml"),
        )
    else:
        limits = Limits(*guardrails.load_guardrails(guardrails_file.name, guardrails_file.parent), profile)
    seed = int(asked.get("seed", before.seed if before else 0))
    workload = get_workload(asked.get("workload", candidate.spec.lineage.workload), seed=seed)
    workload.prepare()
    baseline = Artifact.load(run.artifact_folder("baseline"))
    material = prepare_material(workload, workload.splits(), baseline, seed=seed, cache=project.answers_dir())
    is_kept = guardrails_file is None and profile == judged_by
    found = validate_candidate(run, material, candidate, name, limits, is_kept=is_kept)
    if is_kept:
        run.write(found, name)
        _judge_again(run)
    return Validated(found, run, is_kept)


def known_churn(baseline: Artifact) -> Churn | None:
    """Return what a re-training of this baseline changes; None where nobody measured it."""
    path = churn_path(baseline)
    return Churn.read(path) if path.is_file() else None


def measure_churn(workload: str, *, seed: int = 0) -> Churn:
    """
    Train a workload once more with the next seed, count what that changes, and keep it beside the prepared workloads.

    Raises:
        ParameterError: If the workload is unknown.
    """
    first, second = get_workload(workload, seed=seed), get_workload(workload, seed=seed + 1)
    baseline, retrained = first.prepare(), second.prepare()
    if baseline.digest == retrained.digest:
        raise ParameterError(f"{workload} gives the same model for seeds {seed} and {seed + 1}; it is not trained.")
    material = prepare_material(first, first.splits(), baseline, seed=seed, cache=project.answers_dir())
    answered = ask(material, retrained, name="retrained", comparison=None)
    found = measure(answered, name="retrained", profile="churn", limits={}, guardrails_sha256="", seed=seed)
    if found.distances is None:
        raise ParameterError(f"no answer of {workload} is finite with seed {seed + 1}; train it again.")
    increases = [one.increase.estimate for one in found.of_suite("perturbation") if one.is_gated]
    churn = Churn(
        workload=workload,
        baseline_sha256=baseline.digest,
        retrained_sha256=retrained.digest,
        split_sha256=found.split_sha256,
        example_count=found.example_count,
        negative_flip_ratio=found.negative_flip_count / found.example_count,
        flips_ratio=(found.negative_flip_count + found.positive_flip_count) / found.example_count,
        distances=found.distances,
        worst_perturbation_increase_ratio=max(increases, default=None),
        slices=tuple(
            SliceChurn(one.column, one.value, one.example_count, one.negative_flip_count + one.positive_flip_count)
            for one in found.slices
            if not one.is_exploratory
        ),
    )
    churn.write(churn_path(baseline))
    return churn


def churn_path(baseline: Artifact) -> Path:
    """Return where the churn of a baseline is kept."""
    return project.cache_dir() / "churn" / f"{baseline.digest}.json"


def _keep(run: Run, material: Material, answered: Answered, name: str) -> None:
    folder = run.folder / "records"
    answered.paired.write(folder / f"predictions-{name}.parquet")
    probes = folder / f"probes-{name}.parquet"
    probes.unlink(missing_ok=True)
    if answered.probes is not None:
        answered.probes.write(probes)
    changed = exemplars(answered.paired, material.splits.test.inputs, material.workload.labels)
    write_csv(changed, folder / f"exemplars-{name}.csv")


def _find(word: str) -> tuple[Artifact, Run, str]:
    candidate = find_artifact(word)
    folder = candidate.folder.resolve()
    if folder.parent.name != "artifacts" or not (folder.parent / "baseline").is_dir():
        raise ParameterError(f"{word} is no candidate of a run with a baseline; name one as RUN:name.")
    if folder.name == "baseline":
        raise ParameterError("the baseline is what candidates are held against; name a candidate as RUN:name.")
    return candidate, Run(folder.parent.parent), folder.name


def _registered_sha256(run: Run) -> str | None:
    summary = run.summary()
    return summary.guardrails_sha256 if summary else None


def _record_before(run: Run, name: str) -> Validation | None:
    """Return the record of an earlier validation; one that was cut or is of another version is made again."""
    try:
        return run.read(Validation, name)
    except DataError:
        return None


def _judge_again(run: Run) -> None:
    """Bring verdicts and quarantine up to date with the new record."""
    candidates = verdict.judge_run(run)
    verdict.mark_quarantine(run, candidates)
    summary = run.summary()
    if summary is not None and summary.status == "done":
        skipped = {step.name for step in summary.steps if step.status == "skipped"}
        code = verdict.exit_code(
            [one for one in candidates if one.name not in skipped],
            has_failed_step=any(step.status == "failed" for step in summary.steps),
        )
        dataclasses.replace(summary, candidates=candidates, exit_code=code).write(run.folder / SUMMARY_FILE)
