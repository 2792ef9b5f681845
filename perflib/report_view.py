"""
The stakeholders' report, section by section, from the records of a run and nothing else.

Each visible cell of `04_report` is one call of this.
"""

import dataclasses
import functools
import html
from pathlib import Path

from IPython.display import HTML, Markdown, display

from perflib import machine, plots, scraps, sentences, tables, units, verdict
from perflib.artifact import SPEC_FILE, ArtifactSpec
from perflib.benchmarking.summary import evidence_paths
from perflib.profiling.outcomes import settle
from perflib.results import (
    Baseline,
    Breakeven,
    Build,
    Candidate,
    Ceilings,
    Comparison,
    EndToEnd,
    FindingOutcome,
    Findings,
    Gate,
    Ladder,
    ModelAlone,
    Prediction,
    Roofline,
    RunSummary,
    Sensitivity,
    Validation,
)
from perflib.runs import Run, open_run
from perflib.search.front import pareto_candidates
from perflib.session import newest_or_smoke, prepare_notebook, show_figure


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
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate with its verdict, the finalists first."""
        return verdict.ranked(verdict.judge_run(self.run))

    @functools.cached_property
    def baseline(self) -> Baseline | None:
        """The baseline's record; None where its notebook failed."""
        return self.run.read(Baseline, "baseline")

    @functools.cached_property
    def summary(self) -> RunSummary | None:
        """The run's own record."""
        return self.run.summary()

    @functools.cached_property
    def card(self) -> machine.MachineCard:
        """The machine on which the run was made."""
        if self.summary is not None:
            return machine.MachineCard.from_dict(self.summary.machine, source="the machine card of run.json")
        return machine.read_card()

    @property
    def _margin_ratio(self) -> float:
        return max((gate.limit for gate in self._gates() if gate.id == "A2"), default=0.01)

    @property
    def unit(self) -> str:
        """What one example is called."""
        return self.baseline.unit if self.baseline else "examples"

    def headline(self) -> None:
        """Say what was found, in one sentence."""
        _say(f"**{verdict.headline(self.candidates)}**")

    def decision_table(self) -> None:
        """Show the decision: baseline first, then every candidate, speed beside quality."""
        lives = [len(one.lives) for name in self.run.names(Comparison) for one in self._comparison(name).scenarios]
        spread = f"{min(lives)} to {max(lives)}" if len(set(lives)) > 1 else str(max(lives, default=0))
        lives_words = f"{spread} pairs of fresh processes; " if lives else ""
        count = f"{self.baseline.test_count:,} test {self.unit}." if self.baseline else ""
        if any(not one.is_finalist for one in self.candidates):
            count += " Only finalists, in bold, may be shipped: named before the run, judged together (Holm)."
        caption = f"{machine.describe(self.card)}. Speed-ups with 90 % intervals; {lives_words}{count}"
        _html(tables.summary_table(self.candidates, self.baseline, caption=caption))

    def decision_figure(self) -> None:
        """Show speed and quality side by side."""
        show_figure(self.run, plots.plot_summary(self.candidates, margin_ratio=self._margin_ratio), "decision")

    def front_section(self) -> None:
        """Show which approved candidates no other beats, where there are several to choose from."""
        if len(self.candidates) < 3:
            return
        _html("<h2>What to choose from</h2>")
        front = pareto_candidates(self.candidates)
        show_figure(self.run, plots.plot_candidates(self.candidates, front, margin_ratio=self._margin_ratio), "front")
        _say(
            "Left: speed one at a time and all at once; a small mark is a small model. Right: what each loses in "
            "accuracy, down to its lower bound. Joined are those that no other approved candidate beats in every aim."
        )

    def ladder_section(self) -> None:
        """Show why finalists are faster, or not, step by step, and what one would pick instead of them."""
        for name in (one.name for one in self.candidates if one.is_finalist):
            found = self.run.read(Ladder, name)
            if found is None or not found.totals:
                continue
            _html(f"<h2>Why {html.escape(name)} is as fast as it is</h2>")
            show_figure(self.run, plots.plot_waterfall(found), f"report-why-{name}")
            _say(sentences.waterfall_sentence(found))
            _say(
                f"{sentences.consistency_sentence(found)} To doubt it is to measure it again: `perflib compare "
                f"{self.run.run_id}:baseline {self.run.run_id}:{name} --scenario single offline`."
            )
            _html(tables.ladder_table(found))
            if found.rivals:
                _html("<h3>Against what one would pick instead</h3>")
                _html(tables.rivals_table(found))
                _say(sentences.rivals_sentence(found))

    def breakeven_section(self) -> None:
        """Show for which calls a candidate is faster and for which slower; nothing where no map was asked for."""
        for name in self.run.names(Breakeven):
            found = self.run.read(Breakeven, name)
            if found is not None and found.measured_at is not None:
                _html(f"<h2>Where {html.escape(name)} breaks even</h2>")
                show_figure(self.run, plots.plot_breakeven(found), f"report-breakeven-{name}")
                _say(sentences.breakeven_sentence(found))

    @functools.cached_property
    def outcomes(self) -> tuple[FindingOutcome, ...]:
        """What became of the baseline's findings; empty where it was not profiled."""
        findings = self.run.read(Findings, "baseline")
        if findings is None:
            return ()
        return settle(findings, {name: self._comparison(name) for name in self.run.names(Comparison)})

    def findings_section(self) -> None:
        """Show what the baseline's profile promised before any experiment, and what came true."""
        findings = self.run.read(Findings, "baseline")
        if findings is None or not findings.findings:
            return
        _html("<h2>What the profile promised, and what came true</h2>")
        show_figure(self.run, plots.plot_findings(findings, self.outcomes), "report-findings")
        _say(
            "Open marks were written down before any experiment; filled ones were measured. A hypothesis is confirmed "
            "when at least half of what it promised (on the log scale) is certain, refuted when that much is ruled out."
        )
        _say(sentences.outcomes_sentence(self.outcomes))
        _html(tables.outcomes_table(self.outcomes))

    def reasons(self) -> None:
        """Show why each finalist got its verdict; of the others their own sections tell it."""
        _html(tables.reasons_list([one for one in self.candidates if one.is_finalist]))

    def baseline_section(self) -> None:
        """Show the model as it is today."""
        if self.baseline is None:
            _say("The baseline could not be measured in this run; its notebook says why.")
            return
        _say(sentences.baseline_sentence(self.baseline))
        _html(tables.baseline_table(self.baseline))
        if any(one.scenario == "single" for one in self.baseline.scenarios):
            show_figure(self.run, plots.plot_latency(self.baseline), "report-latency")
        profile = self.run.profile()
        if profile is not None:
            _say(sentences.profile_sentence(profile))
            _say(sentences.kinds_sentence(profile))
            show_figure(self.run, plots.plot_operators(profile, top_count=6), "report-operators")
        rooflines = [
            one for one in (self.run.read(Roofline, f"baseline-{word}") for word in ("single", "offline")) if one
        ]
        ceilings = self.run.read(Ceilings, "machine")
        if rooflines and ceilings is not None:
            show_figure(self.run, plots.plot_roofline(rooflines, ceilings), "report-roofline")
            for roofline in rooflines:
                _say(sentences.limit_sentence(roofline, ceilings))

    def candidate_sections(self) -> None:
        """Show every candidate: prediction, speed, answers, guardrails; the figures of those that may be shipped."""
        if any(not one.is_finalist for one in self.candidates):
            _say("Finalists first. Figures of the others are in their own notebooks, in the run's `notebooks/` folder.")
        for candidate in self.candidates:
            _html(f"<h3>{html.escape(candidate.name)} {tables.pill(candidate.verdict)}</h3>")
            self._candidate_section(candidate)

    def method(self) -> None:
        """Say how the numbers came about, and what they do not say."""
        comparison = next((self._comparison(name) for name in self.run.names(Comparison)), None)
        if comparison is None:
            _say("Nothing was compared in this run.")
            return
        _say(
            f"Baseline and candidate are timed in pairs of fresh processes ('lives'), in an order that a recorded "
            f"coin gives (seed {comparison.seed}). In each scenario, 'faster', 'slower' and 'not slower' are each said "
            f"wrongly with probability at most {units.percent(comparison.alpha_ratio, 0)}, whatever the noise of the "
            f"machine looks like; a change of at most {units.percent(comparison.tolerance_ratio)} counts as none. "
            f"E is the evidence that the candidate is faster: {1 / comparison.alpha_ratio:.0f} decides, and it cannot "
            f"more than double with a life. {self._serving(comparison)}"
        )
        _say(
            "What this does not say: speed on another kind of machine, with inputs of other lengths, or under "
            "concurrent load; and whether the answers are fair to every group of people."
        )

    def machine_section(self) -> None:
        """Show the machine and its ceilings."""
        _html(tables.machine_table(self.card))
        ceilings = self.run.read(Ceilings, "machine")
        if ceilings is not None:
            _html(tables.ceilings_table(ceilings))

    def sources(self) -> None:
        """Say where every number comes from."""
        digest = self.baseline.artifact_sha256[:12] if self.baseline else "unknown"
        commit = self.summary.commit if self.summary else "unknown"
        _say(
            f"Run `{self.run.run_id}`, commit `{commit}`, baseline artifact `{digest}`. "
            "Every number on this page stands in a file of the run's `records/` folder, with the raw samples it was "
            "computed from; `run.json` lists parameters, digests and verdicts."
        )

    def _candidate_section(self, candidate: Candidate) -> None:
        name = candidate.name
        build, comparison = self.run.read(Build, name), self.run.read(Comparison, name)
        validation = self.run.read(Validation, name)
        prediction = self.run.read(Prediction, name)
        if prediction is not None:
            _say(f"Expected, because {prediction.because}: {units.speedup(prediction.predicted_speedup_ratio)}.")
        if build is None or comparison is None or validation is None:
            _say(f"Not completed: {' '.join(candidate.reasons)}")
            return
        _say(f"{sentences.comparison_sentence(comparison)} {sentences.quality_sentence(validation)}")
        if prediction is not None:
            _say(sentences.prediction_sentence(prediction, comparison))
            _say(sentences.promise_sentence(prediction, comparison, self.outcomes))
        _html(tables.comparison_table(comparison, validation, build))
        if candidate.is_finalist:
            self._evidence(name, comparison, validation)
        else:
            _say(tables.sentences_of(candidate.reasons))
        if any(gate.verdict != "PASS" for gate in validation.gates):
            _html(tables.gates_table(validation, is_open_only=True))
        if validation.notes:
            _say(sentences.notes_sentence(validation))
        _say(sentences.build_sentence(build))
        alone = self.run.read(ModelAlone, name)
        if alone is not None:
            _say(sentences.alone_sentence(comparison, alone))
        whole = self.run.read(EndToEnd, name)
        if whole is not None:
            _say(sentences.end_to_end_sentence(whole))
        sensitivity = self.run.read(Sensitivity, name)
        if sensitivity is not None:
            show_figure(self.run, plots.plot_sensitivity(sensitivity), f"report-sensitivity-{name}")

    def _evidence(self, name: str, comparison: Comparison, validation: Validation) -> None:
        """Show what a finalist's verdict rests on; of the others its own notebook shows it."""
        paths = evidence_paths(comparison)
        if paths:
            show_figure(self.run, plots.plot_lives(paths, name=name), f"report-lives-{name}")
        show_figure(self.run, plots.plot_gate_board(validation), f"report-gates-{name}")
        show_figure(self.run, plots.plot_flips_by_slice(validation), f"report-flips-{name}")
        _say(sentences.slices_sentence(validation))

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
            f"{runtime.thread_count or self.card.thread_count}; so the speed-ups are of the model alone."
        )

    def _comparison(self, name: str) -> Comparison:
        found = self.run.read(Comparison, name)
        assert found is not None
        return found

    def _gates(self) -> list[Gate]:
        found = (self.run.read(Validation, name) for name in self.run.names(Validation))
        return [gate for one in found if one is not None for gate in one.gates]


def _say(text: str) -> None:
    display(Markdown(text))


def _html(text: str) -> None:
    display(HTML(text))
