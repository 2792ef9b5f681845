"""
One candidate in the report's second part: what was expected of it, its speed, its answers, and what they rest on.

Figures are shown of finalists only; those of the others stand in their own notebooks.
"""

import html
from collections.abc import Sequence

from perflib import plots, sentences, tables, units
from perflib.benchmarking.summary import evidence_paths
from perflib.reporting.case import Case, place
from perflib.reporting.show import show_drawn, show_html, show_text
from perflib.results import (
    Build,
    Candidate,
    Comparison,
    EndToEnd,
    Failure,
    FindingOutcome,
    Findings,
    ModelAlone,
    Prediction,
    Sensitivity,
    Validation,
)

_KINDS = (Build, Comparison, Validation, Failure)


def show_candidate(case: Case, candidate: Candidate, outcomes: Sequence[FindingOutcome]) -> None:
    """Show all that is known of a candidate; of one that was not completed, why."""
    name, run = candidate.name, case.run
    own = [place(kind, name) for kind in _KINDS if case.evidence.has(place(kind, name))]
    show_html(f"<h3>{html.escape(name)} {tables.pill(candidate.verdict)}</h3>", *own)
    prediction = run.read(Prediction, name)
    if prediction is not None:
        expected = units.speedup(prediction.predicted_speedup_ratio)
        show_text(f"Expected, because {prediction.because}: {expected}.", place(Prediction, name))
    build, comparison = run.read(Build, name), run.read(Comparison, name)
    validation = run.read(Validation, name)
    if build is None or comparison is None or validation is None:
        show_text(f"Not completed: {' '.join(candidate.reasons)}", *own)
        return
    show_text(f"{sentences.comparison_sentence(comparison)} {sentences.quality_sentence(validation)}", *own)
    if prediction is not None:
        findings = [one for one in (place(Findings, "baseline"),) if case.evidence.has(one)]
        show_text(
            f"{sentences.prediction_sentence(prediction, comparison)} "
            f"{sentences.promise_sentence(prediction, comparison, outcomes)}",
            *(place(Prediction, name), place(Comparison, name), *findings),
        )
    show_html(tables.comparison_table(comparison, validation, build), *own)
    if candidate.is_finalist:
        _show_lives(case, name, comparison)
    else:
        show_text(tables.sentences_of(candidate.reasons), *own)
    if any(gate.verdict != "PASS" for gate in validation.gates):
        show_html(tables.gates_table(validation, is_open_only=True), *own)
    if validation.notes:
        show_text(sentences.notes_sentence(validation), *own)
    show_text(sentences.build_sentence(build), *own)
    _show_rest(case, name, comparison)


def _show_lives(case: Case, name: str, comparison: Comparison) -> None:
    paths = evidence_paths(comparison)
    if paths:
        drawn = plots.plot_lives(paths, name=name)
        show_drawn(case.run, drawn, f"report-lives-{name}", place(Comparison, name))


def _show_rest(case: Case, name: str, comparison: Comparison) -> None:
    """Show what was measured of it beside the comparison."""
    alone = case.run.read(ModelAlone, name)
    if alone is not None:
        text = sentences.alone_sentence(comparison, alone)
        show_text(text, place(ModelAlone, name), place(Comparison, name))
    whole = case.run.read(EndToEnd, name)
    if whole is not None:
        show_text(sentences.end_to_end_sentence(whole), place(EndToEnd, name))
    sensitivity = case.run.read(Sensitivity, name)
    if sensitivity is not None:
        drawn = plots.plot_sensitivity(sensitivity)
        show_drawn(case.run, drawn, f"report-sensitivity-{name}", place(Sensitivity, name))
