"""
Where and under what a run measured, written into the run while it is known.

The history is filled from a run's folder, perhaps days later and elsewhere, so the folder has to say which packages
were installed, which data were asked and which host it was.
"""

import datetime
import hashlib
import os
from pathlib import Path

from perflib.machine import read_text
from perflib.regression.locks import lock_sha256, read_lock
from perflib.results.history import EnvironmentLock, Provenance
from perflib.runs import Run
from perflib.workloads.base import Workload

# The name under which a run keeps its provenance, its lock, and what was checked.
NAME = "run"
# Set by whoever builds the image that this runs in.
IMAGE_DIGEST = "PERFLIB_IMAGE_DIGEST"


def write_provenance(
    run: Run, workload: Workload, *, lock: EnvironmentLock | None = None, mark: str | None = None
) -> Provenance:
    """
    Keep the environment lock and the provenance of a run that is being made now.

    Args:
        run: Where.
        workload: A prepared one; its test split is the data.
        lock: Of the environment that measures; this process's own if not given.
        mark: Why this run is no baseline for others; None for a sound one.
    """
    lock = lock or read_lock()
    run.write(lock, NAME)
    found = Provenance(
        workload=workload.name,
        host_id=host_id(),
        image_digest=os.environ.get(IMAGE_DIGEST) or None,
        lock_sha256=lock_sha256(lock),
        data_sha256=workload.splits().test.digest(),
        recorded=now_utc(),
        mark=mark,
    )
    run.write(found, NAME)
    return found


def read_provenance(run: Run) -> tuple[Provenance, EnvironmentLock] | None:
    """Return what `write_provenance` wrote; None for a run that was made without it."""
    provenance, lock = run.read(Provenance, NAME), run.read(EnvironmentLock, NAME)
    return (provenance, lock) if provenance and lock else None


def host_id(*, etc: Path = Path("/etc")) -> str:
    """Return twelve digits that tell this host from others of its class, and nothing else about it."""
    machine_id = read_text(etc / "machine-id") or os.uname().nodename
    # The machine's own number is private by its manual, so only a keyed digest of it leaves the host.
    return hashlib.blake2b(machine_id.encode(), key=b"perflib", digest_size=6).hexdigest()


def now_utc() -> str:
    """Return the time as records write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
