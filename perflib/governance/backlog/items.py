"""
The items of a backlog: every candidate of a run, also those that did not work, and every finding that nobody tried.

    approved, and may be offered   validated
    approved, but no finalist      proposed: name it a finalist of the next run
    undecided                      proposed: measure again
    quarantined, failed            rejected; it stays with its reasons, so that nobody tries it twice
    promoted by a person           accepted
    never tried                    proposed

What a person wrote counts for more, except that nobody can accept by a word what its gates refuse.
"""

from collections.abc import Mapping

from perflib import units
from perflib.errors import ParameterError
from perflib.governance.backlog.edits import Edit
from perflib.governance.backlog.pointers import candidate_pointers, hypothesis_pointers
from perflib.governance.backlog.recipes import Recipe, effort_days, recipe_words, rests_on, stages, technique
from perflib.governance.backlog.risk import guessed_risk, measured_risk, slice_words, worst_slice
from perflib.governance.backlog.untried import Untried, expected_ratio, untried
from perflib.governance.ledger import Ledger
from perflib.results import Candidate, Comparison, Gate, Interval, Prediction
from perflib.results.governance import BacklogItem, Finops, ItemStatus, PriceBook

MEMORY_METRIC = "peak memory"
LATENCY_SCENARIO, THROUGHPUT_SCENARIO = "single", "offline"
# There is still something to do about these.
OPEN_STATUSES: tuple[ItemStatus, ...] = ("proposed", "validated", "accepted")
_CLAIMS: tuple[ItemStatus, ...] = ("validated", "accepted", "shipped")


def make_items(ledger: Ledger, finops: Finops, book: PriceBook, edits: Mapping[str, Edit]) -> tuple[BacklogItem, ...]:
    """
    Make the items of a run, without returns and ranks.

    Args:
        ledger: What the run left.
        finops: For whether a saving is realisable.
        book: For effort.
        edits: What people wrote, by id.

    Raises:
        ParameterError: If an edit claims for a candidate what its gates refuse, or the book knows no effort of a stage.
    """
    own = [_of_candidate(ledger, one, finops, book, edits.get(f"OPT-{one.name}", Edit())) for one in ledger.candidates]
    open_ones = [_of_untried(one, book, edits.get(one.id, Edit())) for one in untried(ledger)]
    return tuple(sorted((*own, *open_ones), key=lambda item: item.id))


def _of_candidate(ledger: Ledger, one: Candidate, finops: Finops, book: PriceBook, edit: Edit) -> BacklogItem:
    name, recipes = one.name, _recipes(ledger)
    build, comparison = ledger.builds.get(name), ledger.comparisons.get(name)
    validation, arm = ledger.validations.get(name), finops.arm(name)
    words = technique(recipes.get(name, ()))
    risk, risk_sentence = measured_risk(validation, comparison)
    needed = {f"OPT-{other}" for other in rests_on(name, recipes, ledger.approved)}
    status = _status(ledger, one, edit)
    return BacklogItem(
        id=f"OPT-{name}",
        kind="candidate",
        title=f"{name}: {words}" if words else name,
        technique=words,
        status=status,
        hypothesis=_prediction(ledger.predictions.get(name)),
        verdict=one.verdict,
        accuracy_verdict=validation.verdict if validation else None,
        reasons=one.reasons,
        latency_ratio=_speed(comparison, LATENCY_SCENARIO),
        throughput_ratio=_speed(comparison, THROUGHPUT_SCENARIO),
        size_ratio=one.size_ratio,
        memory_ratio=_memory(comparison),
        accuracy_change_ratio=validation.accuracy_change_ratio if validation else None,
        negative_flip_ratio=validation.negative_flip_count / validation.example_count if validation else None,
        worst_slice=slice_words(worst_slice(validation)),
        effort_days=edit.effort_days or effort_days(recipes.get(name, ()), book),
        risk=risk,
        risk_sentence=risk_sentence,
        dependencies=tuple(sorted(needed | set(edit.depends_on))),
        build_sec=build.build_sec if build else None,
        returns=None,
        tornado=(),
        rice=None,
        realisable=arm.realisable if arm else None,
        is_eligible=name in ledger.approved and status in OPEN_STATUSES,
        rank=None,
        owner=edit.owner,
        people_words=edit.note,
        evidence=candidate_pointers(ledger, name, finops),
    )


def _untried_title(one: Untried) -> str:
    """Name what is to be tried; a finding without an experiment of ours names what is to be looked into."""
    words = one.experiment or recipe_words(one.recipe)
    return f"try {words}" if words else f"look into {one.findings[0].rule.replace('-', ' ')}"


def _of_untried(one: Untried, book: PriceBook, edit: Edit) -> BacklogItem:
    names = stages(one.recipe)
    risk, risk_sentence = guessed_risk(names)
    status: ItemStatus = edit.status or "proposed"
    if status in _CLAIMS:
        raise ParameterError(
            f"params/backlog.yaml says that {one.id} is {status}, but nothing of it was measured; "
            "build it in a run first, and write `proposed` until then."
        )
    promising = [found for found in one.findings if found.predicted_speedup_ratio > 1]
    return BacklogItem(
        id=one.id,
        kind="hypothesis",
        title=_untried_title(one),
        technique=technique(one.recipe),
        status=status,
        hypothesis=" ".join(_claim(found.claim, found.predicted_speedup_ratio) for found in one.findings),
        verdict=None,
        accuracy_verdict=None,
        reasons=tuple(found.evidence for found in one.findings),
        latency_ratio=expected_ratio(one, LATENCY_SCENARIO),
        throughput_ratio=expected_ratio(one, THROUGHPUT_SCENARIO),
        size_ratio=None,
        memory_ratio=None,
        accuracy_change_ratio=None,
        negative_flip_ratio=None,
        worst_slice="",
        effort_days=edit.effort_days or effort_days(one.recipe, book),
        risk=risk,
        risk_sentence=risk_sentence,
        dependencies=tuple(sorted(edit.depends_on)),
        build_sec=None,
        returns=None,
        tornado=(),
        rice=None,
        realisable=None,
        is_eligible=bool(promising) and status in OPEN_STATUSES,
        rank=None,
        owner=edit.owner,
        people_words=edit.note,
        evidence=hypothesis_pointers(one),
    )


def _status(ledger: Ledger, one: Candidate, edit: Edit) -> ItemStatus:
    if edit.status is not None:
        _check_claim(ledger, one, edit.status)
        return edit.status
    if one.name in ledger.promoted:
        return "accepted"
    if one.name in ledger.approved:
        return "validated"
    return "proposed" if one.verdict in ("approved", "undecided") else "rejected"


def _check_claim(ledger: Ledger, one: Candidate, status: ItemStatus) -> None:
    """Refuse a claim that the gates do not bear; a waived gate counts as a warning and bears it."""
    is_borne = one.verdict == "approved" if status == "validated" else one.name in ledger.approved
    if status not in _CLAIMS or is_borne:
        return
    validation = ledger.validations.get(one.name)
    broken = [f"{gate.id} {gate.verdict}" for gate in (validation.gates if validation else ()) if _is_broken(gate)]
    if broken:
        why = f"its gates say {', '.join(broken)}; write a waiver for each in params/waivers.yaml and run again,"
    elif one.verdict == "approved":
        why = "it was no finalist of its run; name it among `finalists` and run again,"
    else:
        why = f"it is {one.verdict} ({' '.join(one.reasons) or 'no reason was kept'});"
    raise ParameterError(f"params/backlog.yaml says that OPT-{one.name} is {status}, but {why} or change the status.")


def _is_broken(gate: Gate) -> bool:
    return gate.counts_as in ("FAIL", "INCONCLUSIVE")


def _recipes(ledger: Ledger) -> dict[str, Recipe]:
    return {name: build.recipe for name, build in ledger.builds.items()}


def _speed(comparison: Comparison | None, scenario: str) -> Interval | None:
    found = comparison.scenarios if comparison else ()
    return next((one.speedup_ratio for one in found if one.scenario == scenario), None)


def _memory(comparison: Comparison | None) -> Interval | None:
    found = comparison.metrics if comparison else ()
    return next((one.ratio for one in found if one.metric == MEMORY_METRIC), None)


def _prediction(one: Prediction | None) -> str:
    return "" if one is None else _claim(one.because, one.predicted_speedup_ratio)


def _claim(words: str, predicted_ratio: float) -> str:
    text = words.rstrip(".")
    return f"{text[:1].upper()}{text[1:]}; predicted {units.speedup(predicted_ratio)}."
