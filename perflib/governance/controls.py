"""
The controls that a pack is held against, each with the places that speak to it.

A place is ``path#/pointer``; ``{name}`` stands for every claimed candidate. ``limit`` says what no file of a pack can
show; a control with a limit is covered partly at best, and one without places is not applicable. Titles are in our
words.
"""

import dataclasses
from typing import Literal

_RMF: Literal["NIST AI RMF 1.0"] = "NIST AI RMF 1.0"
_ANNEX: Literal["EU AI Act Annex IV"] = "EU AI Act Annex IV"

_GATES = "records/validation-{name}.json#/gates"
_SLICES = "records/validation-{name}.json#/slices"
_PROBES = "records/validation-{name}.json#/probes"
_NOTES = "records/validation-{name}.json#/notes"
_TIMES = "records/comparison-{name}.json#/scenarios"
_PLAN = "records/rollout-{name}.json"
_REHEARSAL = "records/rehearsal-{name}.json"
_CARD = "candidates/{name}/MODEL_CARD.md"
_RISKS = "records/risks-run.json#/risks"
_PROVENANCE = "attestations/provenance.json#/predicate"
_LIMITS = "params/guardrails.yaml"


@dataclasses.dataclass(frozen=True)
class Control:
    """One control of a framework."""

    framework: Literal["NIST AI RMF 1.0", "EU AI Act Annex IV"]
    id: str
    title: str
    places: tuple[str, ...]
    limit: str = ""


_NIST = (
    Control(
        _RMF,
        "MEASURE 1.3",
        "People who did not build it take part in judging it",
        ("VERIFY.md",),
        "The signatures of author and reviewer are added after this table; that they are two persons, no file proves.",
    ),
    Control(
        _RMF,
        "MEASURE 2.1",
        "Test sets, metrics and tools are documented",
        (_GATES, "records/validation-{name}.json#/split_sha256", _LIMITS, "sbom/env.cdx.json#/components"),
    ),
    Control(
        _RMF,
        "MEASURE 2.3",
        "Performance is shown under conditions like those of use",
        (_TIMES, f"{_REHEARSAL}#/traffic"),
        "Traffic was played on one class of machines; it was not the users' own.",
    ),
    Control(
        _RMF,
        "MEASURE 2.4",
        "Function and behaviour are watched in production",
        (f"{_PLAN}#/stages", f"{_PLAN}#/triggers"),
        "What will be watched is planned; a pack is made before production.",
    ),
    Control(
        _RMF,
        "MEASURE 2.5",
        "It is valid and reliable, and the limits of generalising are documented",
        (_GATES, _SLICES, _NOTES, _CARD),
    ),
    Control(
        _RMF,
        "MEASURE 2.6",
        "It fails safely, and keeps to the risk that was agreed",
        (f"{_PLAN}#/rollback_action", f"{_REHEARSAL}#/faults", _RISKS),
    ),
    Control(
        _RMF,
        "MEASURE 2.7",
        "Security and resilience are evaluated",
        (_PROBES, "sbom/env.cdx.json#/components", _PROVENANCE),
        "Changed inputs and the supply chain are covered; attacks by people were not tried.",
    ),
    Control(
        _RMF,
        "MEASURE 2.9",
        "The model is explained, validated and documented",
        (_CARD, "candidates/{name}/model.cdx.json#/metadata/component", "report.html"),
        "How single answers come about is not explained.",
    ),
    Control(
        _RMF,
        "MEASURE 2.11",
        "Fairness and bias are evaluated",
        (_SLICES, "records/validation-{name}.json#/gaps", _PROBES),
        "Compared with the baseline only: a bias that both models share is not judged.",
    ),
    Control(
        _RMF,
        "MEASURE 2.12",
        "The environmental impact is assessed",
        ("records/carbon-run.json#/arms", "records/carbon-run.json#/boundary"),
    ),
    Control(
        _RMF,
        "MEASURE 2.13",
        "How well the metrics and tests themselves work is evaluated",
        ("VERIFY.md", _GATES),
        "The verifier recomputes the guardrails; the bad candidates that try them out belong to the project's tests.",
    ),
    Control(
        _RMF,
        "MEASURE 3.1",
        "Known and new risks are tracked over time",
        (_RISKS, "backlog/backlog.csv"),
        "A pack is of one run; the history of runs lies outside it.",
    ),
    Control(
        _RMF,
        "MANAGE 1.1",
        "It is determined whether to go on",
        ("run.json#/candidates", "records/backlog-run.json#/items", "candidates/{name}/gate.json#/predicate"),
    ),
    Control(_RMF, "MANAGE 1.3", "Responses to the main risks are planned", (_RISKS, f"{_PLAN}#/stages")),
    Control(_RMF, "MANAGE 1.4", "The risk that remains is documented", (_RISKS, _CARD)),
    Control(
        _RMF,
        "MANAGE 2.4",
        "There is a way to take it out of use, and somebody is responsible",
        (f"{_PLAN}#/triggers", f"{_PLAN}#/rollback_sec", f"{_PLAN}#/owner", f"{_REHEARSAL}#/is_passed"),
    ),
    Control(
        _RMF,
        "MANAGE 4.1",
        "Monitoring after deployment is planned",
        (f"{_PLAN}#/triggers",),
        "It is planned here; its results come after the pack.",
    ),
)
_HEADINGS = (
    Control(
        _ANNEX,
        "1",
        "General description of the system",
        (_CARD, "run.json#/machine", "report.html"),
        "The model is described; the product around it is not known here.",
    ),
    Control(
        _ANNEX,
        "2",
        "Elements of the system and how it was developed, validated and tested",
        (
            *("records/build-{name}.json#/steps", _GATES, _SLICES, "records/validation-{name}.json#/gaps", _TIMES),
            _PROVENANCE,
        ),
        "How the baseline was trained is described as far as its workload says it.",
    ),
    Control(
        _ANNEX,
        "3",
        "Monitoring, functioning and control",
        (_SLICES, _NOTES, f"{_PLAN}#/stages"),
        "Human oversight belongs to the product that uses the model.",
    ),
    Control(_ANNEX, "4", "Why the performance metrics are appropriate", (_LIMITS, _GATES)),
    Control(
        _ANNEX,
        "5",
        "Risk management system",
        (_RISKS,),
        "A register of one run is a part of such a system, not the system.",
    ),
    Control(
        _ANNEX,
        "6",
        "Changes over the life of the system",
        ("run.json#/candidates", "backlog/backlog.csv", "records/build-{name}.json#/parent_sha256"),
        "The change from the baseline to the candidate is described; earlier ones lie in earlier runs.",
    ),
    Control(
        _ANNEX,
        "7",
        "Harmonised standards that were applied",
        (_LIMITS, "VERIFY.md"),
        "No harmonised standard was applied; the limits name their own sources.",
    ),
    Control(
        _ANNEX,
        "8",
        "EU declaration of conformity",
        (),
        "No conformity is declared: this is a voluntary mapping of a system that is not held to be high-risk.",
    ),
    Control(
        _ANNEX,
        "9",
        "Plan for monitoring after it was put on the market",
        (f"{_PLAN}#/triggers", f"{_PLAN}#/stages"),
        "The plan covers the rollout; monitoring for years is the operator's.",
    ),
)
CONTROLS: tuple[Control, ...] = (*_NIST, *_HEADINGS)
