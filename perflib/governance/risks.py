"""
The risk register of a run: what could go wrong with the candidates that may be shipped, and with what we say of them.

Nothing here is a fixed text: a risk stands in the register because a record says something, and it names the place.

    assess_risks(ledger, backlog, finops).risks[0].evidence
"""

import dataclasses
from collections.abc import Sequence

from perflib.governance.ledger import Ledger
from perflib.governance.risk_facts import (
    ERRORS,
    LATENCY,
    NOBODY,
    answers_at_the_margin,
    changed_answers,
    drift,
    guessed_tail,
    make_risk,
    open_gates,
    small_slices,
    untested,
)
from perflib.machine import MATRIX_FLAGS
from perflib.results.governance import Backlog, Finops, Pointer, Risk, RiskRegister

_COMMON_FLAGS = frozenset({"avx2", "fma", "asimd"})


def assess_risks(ledger: Ledger, backlog: Backlog, finops: Finops) -> RiskRegister:
    """
    Return the risks of the approved finalists of a run, and of the run's own statements.

    Args:
        ledger: What the run left.
        backlog: Names the owners; the owner of a risk is "unassigned" where it names none.
        finops: What is said about money.
    """
    names = ledger.approved
    found = [
        *(answers_at_the_margin(ledger, names), changed_answers(ledger, names), small_slices(ledger, names)),
        *(open_gates(ledger, names), untested(ledger, names), drift(ledger, names)),
        *(_instruction_sets(ledger, names), _one_machine(ledger, names), guessed_tail(ledger, names)),
        *(_disturbed(ledger, names), _quarantined_machine(ledger), _packages(ledger, names)),
        *(_savings(finops, names), _example_prices(finops), _reviewers(backlog, names)),
    ]
    risks = tuple(_owned(one, backlog) for one in found if one is not None)
    return RiskRegister(ledger.summary.run_id, risks)


def _instruction_sets(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    measured = ledger.summary.machine.get("isa_flags", ())
    flags = [flag for flag in MATRIX_FLAGS if flag in measured and flag not in _COMMON_FLAGS]
    timed = [name for name in names if name in ledger.comparisons]
    if not flags or not timed:
        return None
    return make_risk(
        "R-instruction-sets",
        "The speed depends on the processor",
        cause=f"The times were taken on a processor with {', '.join(flags)}.",
        effect="On a processor without them the candidate may be slower than the baseline, or round otherwise.",
        likelihood="possible",
        impact="serious",
        treatment="The rollout plan holds on machines without them; gate A15 asks for a new validation there.",
        residual="Fleets that mix processors get part of the speed-up only.",
        trigger=LATENCY,
        candidates=timed,
        evidence=[Pointer("run.json", "/machine/isa_flags")],
    )


def _one_machine(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    classes = sorted({ledger.comparisons[name].hardware_class for name in names if name in ledger.comparisons})
    if len(classes) != 1:
        return None
    is_virtual = ledger.summary.machine.get("is_virtual") is True
    neighbours = " It is a virtual machine, whose neighbours nobody sees." if is_virtual else ""
    timed = [name for name in names if name in ledger.comparisons]
    return make_risk(
        "R-one-machine",
        "The speed was measured on one class of machines",
        cause=f"All times are from {classes[0]}.{neighbours}",
        effect="Elsewhere the speed-up, and with it every sum of money, may be another.",
        likelihood="likely" if is_virtual else "possible",
        impact="minor",
        treatment="Measure again with perflib compare on the class that serves users before money is promised.",
        residual="Traffic in production is not the traffic that was timed.",
        trigger=LATENCY,
        candidates=timed,
        evidence=[ledger.place("comparison", name, "/hardware_class") for name in timed],
    )


def _disturbed(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    marked = [name for name in names if name in ledger.comparisons and ledger.comparisons[name].marks]
    if not marked:
        return None
    marks = list(dict.fromkeys(mark for name in marked for mark in ledger.comparisons[name].marks))
    return make_risk(
        "R-disturbed",
        "Something disturbed the measurement",
        cause=f"Marked: {'; '.join(marks[:5])}.",
        effect="The interval of the speed-up may be too narrow.",
        likelihood="possible",
        impact="minor",
        treatment="Pairs of lives meet the same disturbance; confirm with fresh lives before all traffic is moved.",
        residual="A disturbance that hits one arm only stays in the numbers.",
        trigger=LATENCY,
        candidates=marked,
        evidence=[ledger.place("comparison", name, "/marks") for name in marked],
    )


def _quarantined_machine(ledger: Ledger) -> Risk | None:
    mark = ledger.provenance.mark if ledger.provenance else None
    if not mark:
        return None
    return make_risk(
        "R-quarantined-machine",
        "The machine was in quarantine",
        cause=f"The run is marked: {mark}",
        effect="Its times are no baseline for others, and may not hold on a sound machine.",
        likelihood="likely",
        impact="serious",
        treatment="Run again on a sound machine before anything is promoted.",
        residual="None, once it was run again.",
        trigger=LATENCY,
        candidates=ledger.approved,
        evidence=[ledger.place("provenance", "run", "/mark")],
    )


def _packages(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    timed = [name for name in names if name in ledger.comparisons]
    if not timed:
        return None
    versions = {name: ledger.comparisons[name].candidate_environment.versions for name in timed}
    pins = sorted({f"{package} {version}" for some in versions.values() for package, version in some.items()})
    lock = [ledger.place("environment-lock", "run", "/packages")] if ledger.lock else []
    return make_risk(
        "R-packages",
        "Another version of a package is another model",
        cause=f"Answers and times belong to {', '.join(pins) or 'packages that were not recorded'}.",
        effect="An upgrade may change the rounding, the speed, or refuse the file.",
        likelihood="possible" if lock else "likely",
        impact="serious",
        treatment=(
            "Install from the run's lock, and validate again after every upgrade."
            if lock
            else "No lock was recorded: pin the versions by hand, and validate again after every upgrade."
        ),
        residual="System libraries and drivers stand in no lock.",
        trigger=ERRORS,
        candidates=timed,
        evidence=[*lock, *(ledger.place("comparison", name, "/candidate_environment/versions") for name in timed)],
    )


def _savings(finops: Finops, names: Sequence[str]) -> Risk | None:
    doubtful = [(place, arm) for place, arm in enumerate(finops.arms) if arm.name in names and arm.realisable != "yes"]
    if not doubtful:
        return None
    return make_risk(
        "R-savings",
        "The saving may stay on paper",
        cause=" ".join(f"{arm.name}: {arm.realisable_sentence}" for _, arm in doubtful),
        effect="Machines that are not given back are paid as before.",
        likelihood="likely" if any(arm.realisable == "no" for _, arm in doubtful) else "possible",
        impact="serious",
        treatment="Name who gives which instances back, and when, before the saving enters a budget.",
        residual="Fixed contracts run on until they end.",
        trigger="instances in use after the rollout, against the plan",
        candidates=[arm.name for _, arm in doubtful],
        evidence=[Pointer("records/finops-run.json", f"/arms/{place}/realisable") for place, _ in doubtful],
    )


def _example_prices(finops: Finops) -> Risk | None:
    if not finops.is_example:
        return None
    return make_risk(
        "R-example-prices",
        "The prices are examples",
        cause="Nobody has said that prices, volumes and effort in params/prices.yaml are theirs.",
        effect="Every sum of money, and the order of the backlog, may be far off.",
        likelihood="likely",
        impact="serious",
        treatment="Enter your own numbers, set example: false, and decide by ratios until then.",
        residual="Forecasts of volume stay forecasts.",
        trigger="the first bill after the rollout, against the estimate",
        candidates=[arm.name for arm in finops.arms if arm.realisable is not None],
        evidence=[Pointer("records/finops-run.json", "/is_example")],
    )


def _reviewers(backlog: Backlog, names: Sequence[str]) -> Risk | None:
    """A run cannot know who will sign; it knows who is named, and whether that is more than one."""
    places = {one.id.removeprefix("OPT-"): place for place, one in enumerate(backlog.items) if one.kind == "candidate"}
    known = [name for name in names if name in places]
    owners = sorted({backlog.items[places[name]].owner for name in known} - {""})
    if not known or len(owners) > 1:
        return None
    return make_risk(
        "R-single-reviewer",
        "Author and reviewer may be one person",
        cause=f"The backlog names {owners[0] if owners else 'nobody'} as owner, and no second person.",
        effect="A mistake in the way of measuring is seen by nobody else.",
        likelihood="possible",
        impact="serious",
        treatment="The pack counts only with two signatures of different keys: author and reviewer.",
        residual="Two keys do not prove two persons; keep them with two.",
        trigger="perflib evidence verify ends with code 4",
        candidates=known,
        evidence=[Pointer("records/backlog-run.json", f"/items/{places[name]}/owner") for name in known],
    )


def _owned(risk: Risk, backlog: Backlog) -> Risk:
    items = [backlog.item(f"OPT-{name}") for name in risk.candidates]
    owners = list(dict.fromkeys(one.owner for one in items if one is not None and one.owner))
    return dataclasses.replace(risk, owner=", ".join(owners) or NOBODY)
