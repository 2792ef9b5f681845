"""
The report, section by section, from the records of a run and nothing else: first the decision, then what it rests on.

Each visible cell of `04_report` is one call of this. A section whose records are missing leaves no trace.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

from perflib import scraps
from perflib.reporting.basis import ReportBasis
from perflib.reporting.case import Case
from perflib.reporting.details import ReportDetails
from perflib.reporting.money import dangers, savings
from perflib.reporting.show import show_html
from perflib.reporting.words import asks, failures, losses, recommendation
from perflib.runs import Run, open_run
from perflib.session import newest_or_smoke, prepare_notebook


@dataclasses.dataclass(frozen=True)
class ReportView:
    """What a stakeholder reads of one run."""

    run: Run

    @classmethod
    def open(cls, run_dir: str) -> "ReportView":
        """Open a run's records; an empty ``run_dir`` takes the newest finished run, and makes a smoke run for none."""
        prepare_notebook()
        return cls(open_run(Path(run_dir)) if run_dir else newest_or_smoke())

    def finish(self) -> None:
        """Leave the scrap without which the run does not count this notebook as complete."""
        scraps.glue_complete(self.run.run_id)

    @functools.cached_property
    def case(self) -> Case:
        """What the run offers to somebody who decides."""
        return Case(self.run)

    @functools.cached_property
    def details(self) -> ReportDetails:
        """What the decision rests on."""
        return ReportDetails(self.case)

    @functools.cached_property
    def basis(self) -> ReportBasis:
        """What the numbers rest on: profile, method, machine."""
        return ReportBasis(self.case)

    def recommendation(self) -> None:
        """Say what to ship, and how sure that is."""
        self._show(recommendation)

    def savings(self) -> None:
        """Say what it saves, with its range."""
        self._show(savings)

    def losses(self) -> None:
        """Say what gets worse, and for whom."""
        self._show(losses)

    def dangers(self) -> None:
        """Say what could go wrong, and how we get back."""
        self._show(dangers)

    def failures(self) -> None:
        """Say what was tried that did not work."""
        self._show(failures)

    def asks(self) -> None:
        """Say what the reader is asked to decide."""
        self._show(asks)

    def _show(self, section: Callable[[Case], str]) -> None:
        text = section(self.case)
        if text:
            show_html(text)
