"""
What was good: the artifacts that a suspect is held against, and which candidate a person has promoted.

    promote("outputs/RUN:int8", reason="ships on Monday")
"""

import dataclasses
import getpass
from collections.abc import Sequence
from pathlib import Path

from ulid import ULID

from perflib import project
from perflib.artifact import Artifact
from perflib.errors import DataError, ParameterError
from perflib.regression.history.store import History
from perflib.regression.kept import Kept
from perflib.regression.reruns import State
from perflib.results.history import Good, Promotion
from perflib.runs import Run, find_run
from perflib.verdict import is_offered
from perflib.watching.points import good_of_run
from perflib.watching.provenance import now_utc, read_provenance


def kept_folder() -> Path:
    """Return where artifacts and locks of good runs are kept."""
    return project.outputs_dir() / "history" / "kept"


def promotions_folder() -> Path:
    """Return where promotions are kept."""
    return project.outputs_dir() / "promotions"


def keep_good(run: Run, candidate: str, *, role: str, history: History, kept: Kept) -> Good:
    """
    Keep a candidate of a run, its artifact and its lock, as one that others are held against.

    Raises:
        ParameterError: If the run has no such artifact, or was made without provenance.
        DataError: If the artifact is damaged, or larger than all that may be kept.
    """
    good, provenance = good_of_run(run, candidate, role=role), read_provenance(run)
    # Between keeping and remembering nobody else may clear away what nobody remembers.
    with kept.locked():
        kept.keep_artifact(Artifact.load(run.artifact_folder(candidate)))
        if provenance is not None:
            kept.keep_lock(provenance[1])
        history.put_good(good)
        left = set(kept.retain(history.goods()))
        for one in history.goods():
            if one not in left:
                history.drop_good(one)
    return good


def last_good(goods: Sequence[Good], *, before_run_ulid: str) -> Good | None:
    """Return the newest good run before another."""
    earlier = [one for one in goods if one.run_ulid < before_run_ulid]
    return max(earlier, key=lambda one: one.run_ulid, default=None)


def state_of(good: Good, kept: Kept) -> State:
    """
    Return what a good run is rerun with.

    Raises:
        DataError: If its artifact or its lock is not kept any more, or is damaged.
    """
    artifact, lock = kept.artifact(good.artifact_sha256), kept.lock(good.lock_sha256)
    if artifact is None or lock is None:
        what = "artifact" if artifact is None else "environment lock"
        raise DataError(
            f"the {what} of the last good run {good.run_id} is not kept any more; mark a newer run as good with "
            "`perflib promote`."
        )
    return State(artifact, lock, good.data_sha256, good.run_id)


@dataclasses.dataclass(frozen=True)
class Grounds:
    """What a promotion rests on beside the verdict: the digest of the pack, waived gates, money that is vouched for."""

    manifest_sha256: str | None = None
    waivers: tuple[str, ...] = ()
    roi_p10_ratio: float | None = None


_NO_GROUNDS = Grounds()


def promote(word: str, *, reason: str, history: History, kept: Kept, grounds: Grounds = _NO_GROUNDS) -> Promotion:
    """
    Say that a candidate of a run is the good one from now on, and keep it.

    Args:
        word: ``RUN:NAME``, as elsewhere.
        reason: Why, for whoever asks later.
        grounds: What the promotion cites.
        history: Remembers the good run.
        kept: Keeps artifact and lock.

    Raises:
        ParameterError: If there is no such run or candidate, or it is quarantined, or no reason is given.
    """
    run_word, _, name = word.rpartition(":")
    if not run_word or not reason.strip():
        raise ParameterError(f"`{word}` is promoted as RUN:NAME with a --reason; give both.")
    run = find_run(run_word)
    summary = run.summary()
    if summary is None:
        raise ParameterError(f"{run.folder} has no summary; promote a candidate of a run that `perflib run` made.")
    judged = {one.name: one for one in summary.candidates}
    if name in judged and not is_offered(judged[name]):
        what = judged[name].verdict if judged[name].verdict != "approved" else "shown only, no finalist"
        raise ParameterError(f"candidate `{name}` of {run.run_id} is {what}; promote one that is approved.")
    good = keep_good(run, name, role="promoted", history=history, kept=kept)
    promotion = Promotion(
        ulid=str(ULID()),
        workload=good.workload,
        candidate=name,
        run_id=good.run_id,
        run_ulid=good.run_ulid,
        hardware_class=good.hardware_class,
        artifact_sha256=good.artifact_sha256,
        lock_sha256=good.lock_sha256,
        promoted=now_utc(),
        promoted_by=user_name(),
        reason=reason.strip(),
        **dataclasses.asdict(grounds),
    )
    promotion.write(promotions_folder() / f"{promotion.ulid}.json")
    return promotion


def promotions() -> list[Promotion]:
    """Return every promotion, oldest first."""
    found: list[Promotion] = []
    for path in promotions_folder().glob("*.json"):
        try:
            found.append(Promotion.read(path))
        except DataError:
            continue  # a file of another version is no promotion of ours
    return sorted(found, key=lambda one: one.ulid)


def promoted_candidate(workload: str) -> str | None:
    """Return the name of the candidate of a workload that was promoted last; None where none was."""
    mine = [one.candidate for one in promotions() if one.workload == workload]
    return mine[-1] if mine else None


def user_name() -> str:
    """Return who is asking, as records write it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # a container's user may have no name
