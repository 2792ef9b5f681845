"""
What the numbers of the report rest on: the profile, the model of today, every candidate, the method and the machine.

Every sentence, table and figure names the records that its numbers come from.
"""

import dataclasses
import html

from perflib import plots, sentences, tables, units
from perflib.artifact import SPEC_FILE, ArtifactSpec
from perflib.reporting.candidates import show_candidate
from perflib.reporting.case import Case, place
from perflib.reporting.show import show_drawn, show_html, show_text
from perflib.results import (
    Baseline,
    Breakeven,
    Ceilings,
    Comparison,
    Findings,
    Profile,
    Roofline,
)
from perflib.runs import SUMMARY_FILE, Run

_BASELINE = place(Baseline, "baseline")


@dataclasses.dataclass(frozen=True)
class ReportBasis:
    """The last part of the report, for those who doubt a number."""

    case: Case

    @property
    def run(self) -> Run:
        """The run."""
        return self.case.run

    def breakeven(self) -> None:
        """Show for which calls a candidate is faster and for which slower; nothing where no map was asked for."""
        for name in self.run.names(Breakeven):
            found, here = self.run.read(Breakeven, name), place(Breakeven, name)
            if found is not None and found.measured_at is not None:
                show_html(f"<h2>Where {html.escape(name)} breaks even</h2>", here)
                show_drawn(self.run, plots.plot_breakeven(found), f"report-breakeven-{name}", here)
                show_text(sentences.breakeven_sentence(found), here)

    def findings(self) -> None:
        """Show what the baseline's profile promised before any experiment, and what came true."""
        findings = self.run.read(Findings, "baseline")
        if findings is None or not findings.findings:
            return
        places = [place(Findings, "baseline"), *(place(Comparison, name) for name in self.run.names(Comparison))]
        show_html("<h2>What the profile promised, and what came true</h2>")
        show_drawn(self.run, plots.plot_findings(findings, self.case.outcomes), "report-findings", *places)
        show_text(
            "Open marks were written down before any experiment; filled ones were measured. A hypothesis is confirmed "
            "when at least half of what it promised (on the log scale) is certain, refuted when that much is ruled "
            "out."
        )
        show_text(sentences.outcomes_sentence(self.case.outcomes), *places)
        show_html(tables.outcomes_table(self.case.outcomes), *places)

    def baseline(self) -> None:
        """Show the model as it is today."""
        show_html("<h2>The model of today</h2>")
        if self.case.baseline is None:
            show_text("The baseline could not be measured in this run; its notebook says why.")
            return
        show_text(sentences.baseline_sentence(self.case.baseline), _BASELINE)
        show_html(tables.baseline_table(self.case.baseline), _BASELINE)
        if any(one.scenario == "single" for one in self.case.baseline.scenarios):
            show_drawn(self.run, plots.plot_latency(self.case.baseline), "report-latency", _BASELINE)
        profile = self.run.profile()
        if profile is not None:
            here = place(Profile, "baseline-offline")
            show_text(f"{sentences.profile_sentence(profile)} {sentences.kinds_sentence(profile)}", here)
            show_drawn(self.run, plots.plot_operators(profile, top_count=6), "report-operators", here)
        self._roofline()

    def every_candidate(self) -> None:
        """Show every candidate: prediction, speed, answers, guardrails; the figures of those that may be shipped."""
        if not self.case.candidates:
            return
        show_html("<h2>The candidates, one by one</h2>")
        if any(not one.is_finalist for one in self.case.candidates):
            show_text("Finalists first. Figures of the others are in their own notebooks, in the run's folder.")
        for candidate in self.case.candidates:
            show_candidate(self.case, candidate, self.case.outcomes)

    def method(self) -> None:
        """Say how the numbers came about, and what they do not say."""
        name = next(iter(self.run.names(Comparison)), None)
        comparison = self.run.read(Comparison, name) if name else None
        if name is None or comparison is None:
            show_text("Nothing was compared in this run.")
            return
        places = [place(Comparison, name), *self._summary_place]
        show_text(
            f"Baseline and candidate are timed in pairs of fresh processes ('lives'), in an order that a recorded "
            f"coin gives (seed {comparison.seed}). In each scenario, 'faster', 'slower' and 'not slower' are each said "
            f"wrongly with probability at most {units.percent(comparison.alpha_ratio, 0)}, whatever the noise of the "
            f"machine looks like; a change of at most {units.percent(comparison.tolerance_ratio)} counts as none. "
            f"E is the evidence that the candidate is faster: {1 / comparison.alpha_ratio:.0f} decides, and it cannot "
            f"more than double with a life. {self._serving(comparison)}",
            *places,
        )
        show_text(
            "What this does not say: speed on another kind of machine, with inputs of other lengths, or under "
            "concurrent load; and whether the answers are fair to every group of people."
        )

    def machine(self) -> None:
        """Show the machine and its ceilings."""
        show_html(tables.machine_table(self.case.card), *self._summary_place)
        ceilings = self.run.read(Ceilings, "machine")
        if ceilings is not None:
            show_html(tables.ceilings_table(ceilings), place(Ceilings, "machine"))

    def sources(self) -> None:
        """Say where every number comes from."""
        digest = self.case.baseline.artifact_sha256[:12] if self.case.baseline else "unknown"
        commit = self.case.summary.commit if self.case.summary else "unknown"
        show_text(
            f"Run `{self.run.run_id}`, commit `{commit}`, baseline artifact `{digest}`. Every number on this page "
            "stands in a file of the run's `records/` folder, with the raw samples it was computed from, and the page "
            "says in which: numbers of the first part carry a pointer each (`data-ev`), blocks of the second part name "
            "their records (`data-ev-block`). `run.json` lists parameters, digests and verdicts.",
            *self._summary_place,
            *([_BASELINE] if self.case.baseline else []),
        )

    @property
    def _summary_place(self) -> list[str]:
        return [SUMMARY_FILE] if self.case.summary else []

    def _roofline(self) -> None:
        names = [f"baseline-{word}" for word in ("single", "offline")]
        rooflines = [one for one in (self.run.read(Roofline, name) for name in names) if one]
        ceilings = self.run.read(Ceilings, "machine")
        if not rooflines or ceilings is None:
            return
        here = [place(Ceilings, "machine"), *(place(Roofline, name) for name in names)]
        here = [one for one in here if self.case.evidence.has(one)]
        show_drawn(self.run, plots.plot_roofline(rooflines, ceilings), "report-roofline", *here)
        for roofline in rooflines:
            show_text(sentences.limit_sentence(roofline, ceilings), *here)

    def _serving(self, comparison: Comparison) -> str:
        if not comparison.is_baseline_runtime:
            return (
                "The candidate is served differently from the baseline, so its speed-up is model and serving together."
            )
        folder = self.run.artifact_folder("baseline")
        if not (folder / SPEC_FILE).is_file():
            return "Both are served the same way, so the speed-ups are of the model alone."
        runtime = ArtifactSpec.read(folder / SPEC_FILE).runtime
        return (
            f"Both are served the same way, in batches of {runtime.batch_example_count} as they come, threads: "
            f"{runtime.thread_count or self.case.card.thread_count}; so the speed-ups are of the model alone."
        )
