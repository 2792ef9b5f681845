"""
What the decision rests on: the board of candidates, why they are faster, what holds them back, backlog, cost, history.

Every sentence, table and figure names the records that its numbers come from.
"""

import dataclasses
import html

from perflib import machine, plots, sentences, tables
from perflib.plots.finops import plot_unit_costs
from perflib.plots.rehearsal import plot_rehearsal
from perflib.records import Record
from perflib.reporting.case import WHOLE, Case, place
from perflib.reporting.rollout import faults_table, stages_table
from perflib.reporting.show import show_drawn, show_html, show_text
from perflib.results import (
    Baseline,
    Build,
    Candidate,
    Comparison,
    Failure,
    Gate,
    Ladder,
    Validation,
)
from perflib.results.governance import Backlog, Carbon, Finops, Rehearsal, RolloutPlan
from perflib.results.regression import Check
from perflib.runs import Run
from perflib.search.front import pareto_candidates
from perflib.sentences.rehearsal import rehearsal_sentence, way_back_sentence
from perflib.tables.finops import carbon_table, instance_table, unit_cost_table

_BASELINE = place(Baseline, "baseline")


@dataclasses.dataclass(frozen=True)
class ReportDetails:
    """The second part of the report, for those who look behind the first."""

    case: Case

    @property
    def run(self) -> Run:
        """The run."""
        return self.case.run

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate with its verdict, the finalists first."""
        return self.case.candidates

    def front(self) -> None:
        """Show all candidates: as pictures of speed, quality and size, then in numbers."""
        places = [*self._places(Build, Comparison, Validation, Failure), *self._baseline_place]
        margin_ratio = max((gate.limit for gate in self._gates() if gate.id == "A2"), default=0.01)
        best = pareto_candidates(self.candidates)
        if best:
            drawn = plots.plot_candidates(self.candidates, best, margin_ratio=margin_ratio)
            show_drawn(self.run, drawn, "front", *places)
            show_text(
                "Left: speed one at a time and all at once; a small mark is a small model. Right: what each loses in "
                "accuracy, down to its lower bound. Joined are those that no other approved candidate beats in every "
                "aim.",
                *places,
            )
        if self.candidates:
            show_drawn(self.run, plots.plot_summary(self.candidates, margin_ratio=margin_ratio), "decision", *places)
            show_text(
                "Left: how many times as fast as today, with the interval that the measurement can carry; the grey "
                "line is today's model. Right: how accuracy changes, down to the worst that is still plausible; the "
                "dashed line is the margin that must not be crossed.",
                *places,
            )
        show_html(tables.summary_table(self.candidates, self.case.baseline, caption=self._caption()), *places)
        show_html(tables.reasons_list([one for one in self.candidates if one.is_finalist]), *places)

    def ladder(self) -> None:
        """Show why finalists are faster, or not, step by step, and what one would pick instead of them."""
        for name in (one.name for one in self.candidates if one.is_finalist):
            found = self.run.read(Ladder, name)
            if found is None or not found.totals:
                continue
            here = place(Ladder, name)
            show_html(f"<h2>Why {html.escape(name)} is as fast as it is</h2>", here)
            show_drawn(self.run, plots.plot_waterfall(found), f"report-why-{name}", here)
            show_text(sentences.waterfall_sentence(found), here)
            show_text(
                f"{sentences.consistency_sentence(found)} To doubt it is to measure it again: `perflib compare "
                f"{self.run.run_id}:baseline {self.run.run_id}:{name} --scenario single offline`.",
                here,
            )
            show_html(tables.ladder_table(found), here)
            if found.rivals:
                show_html("<h3>Against what one would pick instead</h3>")
                show_html(tables.rivals_table(found), here)
                show_text(sentences.rivals_sentence(found), here)

    def gates(self) -> None:
        """Show every limit of the recommended candidate; where none is, of the first finalist that was validated."""
        for name in (one.name for one in self.candidates if one.is_finalist):
            validation = self.run.read(Validation, name)
            if validation is not None and validation.gates:
                here = place(Validation, name)
                show_html(f"<h2>Which limits {html.escape(name)} keeps</h2>", here)
                show_drawn(self.run, plots.plot_gate_board(validation), f"report-gates-{name}", here)
                show_drawn(self.run, plots.plot_flips_by_slice(validation), f"report-flips-{name}", here)
                show_text(sentences.slices_sentence(validation), here)
                return

    def backlog(self) -> None:
        """Show what to do next, what it would give back, and which assumption that hangs on."""
        backlog = self.case.backlog
        if backlog is None or not backlog.items:
            return
        here = place(Backlog, WHOLE)
        show_html("<h2>What to do next</h2>")
        show_text(sentences.backlog_sentence(backlog), here)
        show_html(tables.backlog_table(backlog), here)
        ranked = [one for one in backlog.items if one.rank is not None and one.returns is not None]
        if ranked:
            show_drawn(self.run, plots.plot_returns(backlog), "report-returns", here)
        if ranked and ranked[0].tornado:
            drawn = plots.plot_tornado(ranked[0], is_example=backlog.is_example)
            show_drawn(self.run, drawn, "report-tornado", here)
        show_html("<h3>Tried, and not to be shipped</h3>")
        show_html(tables.failed_list(backlog), here)

    def cost(self) -> None:
        """Show what a thousand inferences cost and emit, and how many instances each arm needs."""
        finops, carbon = self.case.finops, self.case.carbon
        if finops is not None and finops.arms:
            here = place(Finops, WHOLE)
            show_html("<h2>What it costs</h2>")
            show_drawn(self.run, plot_unit_costs(finops, names=self._finalist_names()), "report-costs", here)
            show_html(unit_cost_table(finops), here)
            show_html(instance_table(finops), here)
            if finops.notes:
                show_text(" ".join(finops.notes), here)
        if carbon is not None and carbon.arms:
            here = place(Carbon, WHOLE)
            show_html("<h3>Energy and climate</h3>")
            show_html(carbon_table(carbon), here)
            show_text(carbon.boundary, here)

    def rollout(self) -> None:
        """Show the steps to users, what each must keep, and how the way back went when it was tried."""
        plan, best = self.case.plan, self.case.best
        if plan is None or best is None:
            return
        here = place(RolloutPlan, best.name)
        show_html("<h2>How it goes to users, and how it comes back</h2>")
        show_html(stages_table(plan), here)
        rehearsal = self.case.rehearsal
        if rehearsal is None:
            show_text(way_back_sentence(plan, None), here)
            return
        here = place(Rehearsal, best.name)
        show_drawn(self.run, plot_rehearsal(rehearsal), f"report-rehearsal-{best.name}", here)
        show_text(rehearsal_sentence(rehearsal), here)
        show_html(faults_table(rehearsal), here)

    def history(self) -> None:
        """Show what the last check of this run against its history has found."""
        names = self.run.names(Check)
        found = [(one, name) for name in names if (one := self.run.read(Check, name)) is not None]
        if not found:
            return
        check, name = max(found, key=lambda pair: pair[0].checked)
        show_html("<h2>Beside the runs before</h2>")
        show_text(sentences.check_sentence(check), place(Check, name))
        if check.series:
            show_html(tables.series_table(check), place(Check, name))

    @property
    def _baseline_place(self) -> list[str]:
        return [_BASELINE] if self.case.baseline else []

    def _finalist_names(self) -> list[str]:
        return [one.name for one in self.candidates if one.is_finalist]

    def _places(self, *kinds: type[Record]) -> list[str]:
        return [place(kind, name) for kind in kinds for name in self.run.names(kind)]

    def _caption(self) -> str:
        compared = [self.run.read(Comparison, name) for name in self.run.names(Comparison)]
        lives = [len(one.lives) for record in compared if record for one in record.scenarios]
        spread = f"{min(lives)} to {max(lives)}" if len(set(lives)) > 1 else str(max(lives, default=0))
        lives_words = f"{spread} pairs of fresh processes; " if lives else ""
        baseline = self.case.baseline
        count = f"{baseline.test_count:,} test {baseline.unit}." if baseline else ""
        if any(not one.is_finalist for one in self.candidates):
            count += " Only finalists, in bold, may be shipped: named before the run, judged together (Holm)."
        return f"{machine.describe(self.case.card)}. Speed-ups with 90 % intervals; {lives_words}{count}"

    def _gates(self) -> list[Gate]:
        found = (self.run.read(Validation, name) for name in self.run.names(Validation))
        return [gate for one in found if one is not None for gate in one.gates]
