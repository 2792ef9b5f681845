"""
Promote with evidence: a candidate whose gates pass, or whose open gates somebody answers for today.

    promote_named("20261101-120000_full_abcdef0:int8", reason="ships on Monday")
"""

import datetime

from perflib.errors import ParameterError
from perflib.governing.pack import manifest_sha256
from perflib.guardrails import load_waivers, waived_gates
from perflib.results import Build, Validation
from perflib.results.governance import Backlog
from perflib.results.history import Promotion
from perflib.runs import Run, find_run
from perflib.watching.goods import Grounds, promote
from perflib.watching.open import open_watch


def promote_named(word: str, *, reason: str, today: datetime.date | None = None) -> Promotion:
    """
    Say that a candidate is the good one from now on, with what that rests on.

    Args:
        word: ``RUN:NAME``.
        reason: Why, for whoever asks later.
        today: In UTC; tests pass their own.

    Raises:
        ParameterError: If there is no such candidate, it is not approved, a gate is open without a waiver that is valid
            today, or no reason is given.
    """
    run_word, _, name = word.rpartition(":")
    grounds = _grounds(find_run(run_word), name, today) if run_word else Grounds()
    with open_watch() as watch:
        return promote(word, reason=reason, history=watch.history, kept=watch.kept, grounds=grounds)


def _grounds(run: Run, name: str, today: datetime.date | None) -> Grounds:
    return Grounds(
        manifest_sha256=manifest_sha256(run), waivers=_waivers(run, name, today), roi_p10_ratio=_vouched_roi(run, name)
    )


def _waivers(run: Run, name: str, today: datetime.date | None) -> tuple[str, ...]:
    """Return the waivers of a candidate's open gates as they stand today."""
    validation, build, summary = run.read(Validation, name), run.read(Build, name), run.summary()
    if validation is None or build is None or summary is None:
        return ()  # the baseline, or a folder that is refused with its own sentence
    needed = [gate.id for gate in validation.gates if gate.verdict in ("FAIL", "INCONCLUSIVE")]
    if not needed:
        return ()
    given = waived_gates(
        load_waivers(summary.params.get("waivers", "waivers.yaml"), today=today), build.artifact_sha256
    )
    missing = [gate for gate in needed if gate not in given]
    if missing:
        raise ParameterError(
            f"candidate `{name}` of {run.run_id} has no valid waiver for {', '.join(missing)}; promote one whose gates "
            "pass, or let somebody answer for it in params/waivers.yaml."
        )
    return tuple(f"{gate}: {given[gate]}" for gate in needed)


def _vouched_roi(run: Run, name: str) -> float | None:
    """Return the conservative ROI, unless it is made of example prices."""
    backlog = run.read(Backlog, "run")
    item = backlog.item(f"OPT-{name}") if backlog else None
    if backlog is None or backlog.is_example or item is None or item.returns is None:
        return None
    return item.returns.roi_ratio.p10
