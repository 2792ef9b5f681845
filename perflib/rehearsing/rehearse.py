"""
`perflib rehearse`: the plan of a candidate, tried on this machine.

    rehearse(outputs / "RUN", "int8").is_passed

The test split's inputs are the live traffic, in an order that the seed decides. Starting the two servers comes before
the time of the rehearsal begins.
"""

import dataclasses
import datetime
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perflib.artifact import SPEC_FILE
from perflib.benchmarking.lock import host_lock
from perflib.errors import DataError, ParameterError
from perflib.governance.ledger import Ledger
from perflib.governance.models import model_sha256
from perflib.governance.rollout.plan import plan_rollout, require_approved
from perflib.governing.govern import ledger_of
from perflib.progress import Progress
from perflib.rehearsing.arms import ArmName, ServerArm, running_servers
from perflib.rehearsing.rounds import Bench, play
from perflib.rehearsing.router import Router, Users
from perflib.rehearsing.schedule import ROUND_COUNT, make_rounds
from perflib.results.governance import Rehearsal, RehearsedFault, RolloutPlan, TrafficPoint
from perflib.runs import Run, open_run
from perflib.sentences.rehearsal import rehearsal_sentence
from perflib.workloads import get_workload

_TICK_SEC, _WARM_COUNT = 0.05, 64


def rehearse(
    run_folder: Path, name: str, *, budget_sec: float = 60.0, seed: int = 0, progress: Progress | None = None
) -> Rehearsal:
    """
    Rehearse the rollout of an approved candidate; writes the record, and the plan where there is none yet.

    Args:
        run_folder: Of a finished run.
        name: Of the candidate.
        budget_sec: For all traffic; windows are scaled to fit.
        seed: Decides order, coins and which answers a fault hits.
        progress: Counts the rounds; one of its own if not given.

    Raises:
        ParameterError: If there is no such run or candidate, it is not approved, or its artifact was tidied away.
        DataError: If an artifact is not the plan's.
        SetupError: If a server does not start, or dies.
    """
    run = open_run(Path(run_folder))
    ledger = ledger_of(run)
    plan = current_plan(run, ledger, name)
    make_rounds(plan, budget_sec=budget_sec)  # a wrong budget is said before anything is started
    folders: dict[ArmName, Path] = {
        "baseline": run.artifact_folder("baseline"),
        "candidate": run.artifact_folder(name),
    }
    for folder in folders.values():
        if not (folder / SPEC_FILE).is_file():
            raise ParameterError(f"{folder} has no {SPEC_FILE}, so it cannot be served; make the run again.")
    inputs, asked = _traffic(ledger, seed)
    with (
        host_lock(),
        running_servers(folders, **asked, dice_seed=seed, first_inputs=inputs[:_WARM_COUNT]) as arms,
    ):
        _check_digests(plan, arms)
        rehearsal = _rehearse(plan, arms, inputs, budget_sec=budget_sec, seed=seed, progress=progress)
    run.write(rehearsal, name)
    return rehearsal


def current_plan(run: Run, ledger: Ledger, name: str) -> RolloutPlan:
    """
    Return the plan of an approved candidate; one that is missing, or of another model, is made and written.

    Raises:
        ParameterError: If the candidate may not be shipped.
    """
    require_approved(ledger, name)
    plan = run.read(RolloutPlan, name)
    if plan is not None and plan.candidate_sha256 == model_sha256(ledger, name):
        return plan
    today = datetime.datetime.now(datetime.UTC).date()
    made = plan_rollout(ledger, name, owner="unassigned", approvers=("author", "reviewer"), today=today)
    run.write(made, name)
    return made


def play_all(
    plan: RolloutPlan, bench: Bench, *, budget_sec: float, seed: int, rehearsed: str, progress: Progress
) -> Rehearsal:
    """
    Play every round of a plan.

    Args:
        plan: With its real times.
        bench: With traffic on it.
        budget_sec: For all rounds.
        seed: As it is recorded.
        rehearsed: When, in UTC, as ISO 8601.
        progress: Is told of every round.
    """
    scale_ratio, rounds = make_rounds(plan, budget_sec=budget_sec)
    faults: list[RehearsedFault] = []
    traffic: list[TrafficPoint] = []
    for one in rounds:
        fault, points = play(one, bench)
        faults.append(fault)
        traffic += points
        progress.step(fault.fault)
    return Rehearsal(
        run_id=plan.run_id,
        candidate=plan.candidate,
        candidate_sha256=plan.candidate_sha256,
        baseline_sha256=plan.baseline_sha256,
        rehearsed=rehearsed,
        scale_ratio=scale_ratio,
        seed=seed,
        faults=tuple(faults),
        traffic=tuple(traffic),
        is_passed=all(fault.is_as_planned for fault in faults),
        sentence="",
    )


def finished(rehearsal: Rehearsal, *, lost_count: int) -> Rehearsal:
    """Return a rehearsal with its sentence; it is not passed where a request of a user has no answer."""
    whole = dataclasses.replace(rehearsal, is_passed=rehearsal.is_passed and lost_count == 0)
    return dataclasses.replace(whole, sentence=rehearsal_sentence(whole))


def _rehearse(
    plan: RolloutPlan,
    arms: Mapping[ArmName, ServerArm],
    inputs: Sequence[Any],
    *,
    budget_sec: float,
    seed: int,
    progress: Progress | None,
) -> Rehearsal:
    router = Router(arms, seed=seed)

    def wait(until_sec: float) -> None:
        while True:
            for arm in arms.values():
                arm.check()
            left_sec = until_sec - time.monotonic()
            if left_sec <= 0:
                return
            time.sleep(min(left_sec, _TICK_SEC))

    bench = Bench(router, arms["candidate"], time.monotonic, wait)
    rehearsed = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
    with progress or Progress("rehearsal", ROUND_COUNT) as shown, Users(router, inputs):
        played = play_all(plan, bench, budget_sec=budget_sec, seed=seed, rehearsed=rehearsed, progress=shown)
    return finished(played, lost_count=router.lost_count())


def _traffic(ledger: Ledger, seed: int) -> tuple[list[Any], dict[str, Any]]:
    """Return the inputs of the test split in a seeded order, and how a server finds the workload."""
    params = ledger.summary.params
    asked = {"workload": params["workload"], "seed": int(params.get("seed", 0))}
    workload = get_workload(asked["workload"], seed=asked["seed"])
    workload.prepare()
    inputs = list(workload.splits().test.inputs)
    random.Random(seed).shuffle(inputs)
    return inputs, asked


def _check_digests(plan: RolloutPlan, arms: Mapping[ArmName, ServerArm]) -> None:
    planned_sha256: dict[ArmName, str] = {"baseline": plan.baseline_sha256, "candidate": plan.candidate_sha256}
    for name, planned in planned_sha256.items():
        found = arms[name].sha256
        if found != planned:
            raise DataError(
                f"the {name}'s server has loaded {found[:12]}… where the plan names {planned[:12]}…; "
                "make the run again."
            )
