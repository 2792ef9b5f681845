"""
What people wrote that a run's decision rests on: limits, waivers, prices, and their edits of the backlog.

A run keeps copies of the files as they were, because a file in `params/` goes on changing and its digest alone shows
nobody what it said.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from perflib import project
from perflib.errors import SetupError
from perflib.governance.backlog.edits import Edit, load_edits
from perflib.governance.prices import load_prices
from perflib.records import sha256_file
from perflib.results import RunSummary
from perflib.results.governance import PriceBook
from perflib.runs import Run

PRICES_FILE, EDITS_FILE = "prices.yaml", "backlog.yaml"


@dataclasses.dataclass(frozen=True)
class Sources:
    """Prices, volumes and efforts, and what people wrote about items by workload and id."""

    book: PriceBook
    edits: Mapping[str, Mapping[str, Edit]]


def read_sources() -> Sources:
    """
    Read prices and edits from ``params/``.

    Raises:
        ParameterError: If a file is missing where it is needed, or says what cannot be.
    """
    return Sources(load_prices(PRICES_FILE), load_edits(EDITS_FILE))


def params_folder(run: Run) -> Path:
    """Return where a run keeps the files that people wrote, as they were."""
    return run.folder / "params"


def keep_run_sources(run: Run, summary: RunSummary) -> None:
    """
    Copy the files that people wrote into the run; one that does not exist is left out.

    Args:
        run: The run.
        summary: Names the files and the digest of the limits that were registered; limits that were changed since are
            not those of this run, and are not copied.

    Raises:
        SetupError: If the disk does not take them.
    """
    folder, asked = params_folder(run), summary.params
    guardrails = str(asked.get("guardrails", "guardrails.yaml"))
    names = {
        str(asked.get("waivers", "waivers.yaml")): "waivers.yaml",
        PRICES_FILE: PRICES_FILE,
        EDITS_FILE: EDITS_FILE,
    }
    limits = _source(guardrails)
    if limits.is_file() and sha256_file(limits) == summary.guardrails_sha256:
        names[guardrails] = "guardrails.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in names.items():
            if _source(source).is_file():
                shutil.copyfile(_source(source), folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be written ({error.strerror}); free space or name another folder."
        ) from error


def _source(name: str) -> Path:
    return project.root() / "params" / name
