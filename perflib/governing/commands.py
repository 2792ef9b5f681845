"""What the commands of governance do, with names instead of objects: weigh a run again, build and sign its pack."""

import dataclasses
import datetime
import os
from collections.abc import Sequence
from pathlib import Path

from perflib.errors import ParameterError
from perflib.governance.backlog.edits import unknown_ids
from perflib.governance.evidence.signing import sign_pack
from perflib.governance.evidence.verify import verify_pack
from perflib.governing.govern import govern
from perflib.governing.pack import EVIDENCE, make_pack
from perflib.governing.sources import keep_run_sources, read_sources
from perflib.results.governance import Backlog, Manifest, PackCheck, Rehearsal
from perflib.runs import Run, find_run


@dataclasses.dataclass(frozen=True)
class Weighed:
    """A run whose decision was made again from today's prices and edits."""

    run: Run
    backlog: Backlog
    notes: tuple[str, ...]


def moment() -> datetime.datetime:
    """
    Return the time that a pack is built at: SOURCE_DATE_EPOCH where it is set, else now; in UTC, whole seconds.

    Raises:
        ParameterError: If SOURCE_DATE_EPOCH is no whole number of seconds.
    """
    word = os.environ.get("SOURCE_DATE_EPOCH")
    if word is None:
        return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    try:
        return datetime.datetime.fromtimestamp(int(word), datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ParameterError(
            f"SOURCE_DATE_EPOCH is {word!r}; give whole seconds since 1970, or leave it out."
        ) from error


def weigh(word: str | None) -> Weighed:
    """
    Make the decision's records of a finished run again, after a change of prices, efforts or statuses.

    Args:
        word: A run folder or a run's name; None for the newest.

    Raises:
        ParameterError: If there is no such run, or what people wrote cannot be.
        DataError: If a record is damaged.
    """
    return weigh_run(find_run(word))


def weigh_run(run: Run) -> Weighed:
    """Make the decision's records of a run again; raises as `weigh` does."""
    sources, summary = read_sources(), run.summary()
    if summary is not None:
        keep_run_sources(run, summary)
    govern(run, sources, today=moment().date())
    backlog = run.read(Backlog, "run")
    assert backlog is not None, "it was written just now"
    notes = unknown_ids(sources.edits.get(backlog.workload, {}), backlog)
    return Weighed(run, backlog, notes)


def build_named(word: str | None, *, is_forced: bool = False) -> tuple[Manifest, Path]:
    """
    Build the evidence pack of a finished run.

    Args:
        word: A run folder or a run's name; None for the newest.
        is_forced: Whether a pack that is signed may be replaced.

    Raises:
        ParameterError: If there is no such run, it has no report, or its pack is signed.
        DataError: If a record is damaged.
    """
    run = find_run(word)
    return make_pack(run, built=moment(), is_forced=is_forced), run.folder / EVIDENCE


def sign_named(folder: Path, *, key: Path, role: str) -> str:
    """
    Sign a pack as its author or as its reviewer, and return the key's fingerprint.

    Raises:
        ParameterError: If the role is neither, the key cannot be used, or there is no pack.
        DataError: If the pack is not what its manifest says.
    """
    if role == "author":
        return sign_pack(folder, key=key, role="author")
    if role == "reviewer":
        return sign_pack(folder, key=key, role="reviewer")
    raise ParameterError(f"role `{role}` is not known; sign as author or as reviewer.")


def verify_named(
    folder: Path, *, trusted: Sequence[Path], threshold: int, is_integrity_only: bool, trust_on_first_use: bool
) -> PackCheck:
    """Verify a pack as of today; see `perflib.governance.evidence.verify.verify_pack`."""
    return verify_pack(
        folder,
        trusted=trusted,
        threshold=threshold,
        is_integrity_only=is_integrity_only,
        trust_on_first_use=trust_on_first_use,
        today=datetime.datetime.now(datetime.UTC).date(),
    )


def rehearse_named(word: str, *, budget_sec: float, seed: int = 0) -> tuple[Run, Rehearsal]:
    """
    Rehearse the rollout of a candidate with two real servers on this machine.

    Args:
        word: ``RUN:NAME``.
        budget_sec: For all traffic, 5 to 600; starting the servers comes before it.
        seed: Of the coin that splits the traffic.

    Raises:
        ParameterError: If there is no such run or candidate, or it is not approved.
        SetupError: If a server does not start.
    """
    from perflib.rehearsing import rehearse

    run_word, _, name = word.rpartition(":")
    if not run_word or not name:
        raise ParameterError(f"`{word}` is rehearsed as RUN:NAME; give both.")
    run = find_run(run_word)
    return run, rehearse(run.folder, name, budget_sec=budget_sec, seed=seed)
