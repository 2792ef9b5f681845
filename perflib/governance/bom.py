"""
Bills of materials in CycloneDX 1.6 JSON: of a candidate's model with its model card, and of the environment.

The library writes the document; it knows no model cards, so that part is put in as plain JSON, and a test holds the
whole against the library's own strict schema. Clock and chance are kept out: the caller says when it was built, and the
serial number is made of the digest.
"""

import datetime
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perflib import records
from perflib.errors import ParameterError
from perflib.governance.card_facts import CardMetric, card_metrics, limits
from perflib.governance.ledger import Ledger
from perflib.governance.models import model_sha256
from perflib.results.history import EnvironmentLock

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

# Names our serial numbers: the same digest gives the same number everywhere.
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://perflib.invalid/cyclonedx")
_SHORT = 12


def model_bom(ledger: Ledger, name: str, *, built: str) -> str:
    """
    Return the bill of a candidate's model: its digest, what it was made from, what it needs to run, its numbers.

    Args:
        ledger: What the run left.
        name: Of the candidate.
        built: When the document is made, RFC 3339.

    Raises:
        ParameterError: If the run has no such candidate, nothing was built, or ``built`` is no time.
    """
    ledger.candidate(name)
    sha256 = model_sha256(ledger, name)
    if not sha256:
        raise ParameterError(f"{name} was never built, so there is no model to describe; choose another candidate.")
    model = _model(f"{ledger.workload}-{name}", sha256)
    if ledger.baseline is not None:
        from cyclonedx.model.component import Pedigree

        model.pedigree = Pedigree(ancestors=[_model(ledger.workload, ledger.baseline.artifact_sha256, role="baseline")])
    comparison = ledger.comparisons.get(name)
    packages = _packages(comparison.candidate_environment.versions if comparison else {})
    document = _document(_bom(model, packages, built))
    document["metadata"]["component"]["modelCard"] = _model_card(ledger, name)
    return _text(document)


def environment_bom(lock: EnvironmentLock, *, built: str) -> str:
    """
    Return the bill of the environment that a run measured in: every installed package with its purl.

    Args:
        lock: The packages.
        built: When the document is made, RFC 3339.

    Raises:
        ParameterError: If ``built`` is no time.
    """
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    sha256 = records.sha256_json(lock.to_dict())
    platform = Component(
        name="environment",
        type=ComponentType.PLATFORM,
        version=sha256[:_SHORT],
        bom_ref=f"environment:{sha256}",
        description=f"Python {lock.python} with every installed package",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
    python = _package("python", lock.python, kind="generic")
    installed = _packages({one.name: one.version for one in lock.packages})
    return _text(_document(_bom(platform, [python, *installed], built)))


def _bom(about: "Component", parts: "list[Component]", built: str) -> "Bom":
    from cyclonedx.model.bom import Bom, BomMetaData

    metadata = BomMetaData(component=about, timestamp=_moment(built))
    number = uuid.uuid5(_SPACE, f"{about.bom_ref.value}")
    bom = Bom(components=parts, metadata=metadata, serial_number=number)
    bom.register_dependency(about, parts)
    return bom


def _model(name: str, sha256: str, *, role: str = "model") -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        version=sha256[:_SHORT],
        bom_ref=f"{role}:{sha256}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )


def _packages(versions: Mapping[str, str]) -> "list[Component]":
    return [_package(name, version) for name, version in sorted(versions.items())]


def _package(name: str, version: str, *, kind: str = "pypi") -> "Component":
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    purl = PackageURL(kind, name=name, version=version)
    sort = ComponentType.PLATFORM if kind == "generic" else ComponentType.LIBRARY
    return Component(name=name, type=sort, version=version, purl=purl, bom_ref=purl.to_string())


def _document(bom: "Bom") -> dict[str, Any]:
    from cyclonedx.output.json import JsonV1Dot6

    found: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    return found


def _text(document: Mapping[str, Any]) -> str:
    return records.dumps(document, indent=1) + "\n"


def _model_card(ledger: Ledger, name: str) -> dict[str, Any]:
    validation = ledger.validations.get(name)
    parameters: dict[str, Any] = {"task": "classification"}
    if validation is not None:
        # As a component of data: only what identifies the split, never its texts.
        split = {"type": "dataset", "name": f"{ledger.workload}, test split, sha256 {validation.split_sha256}"}
        parameters["datasets"] = [split]
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": [_metric(one) for one in card_metrics(ledger, name)]},
        "considerations": {
            "useCases": [f"{ledger.workload}, in place of the baseline"],
            "technicalLimitations": list(limits(ledger, name)),
        },
    }


def _metric(metric: CardMetric) -> dict[str, Any]:
    found: dict[str, Any] = {"type": metric.kind, "value": repr(metric.value)}
    if metric.part:
        found["slice"] = metric.part
    bounds = {"lowerBound": metric.low, "upperBound": metric.high}
    known = {key: repr(value) for key, value in bounds.items() if value is not None}
    return {**found, "confidenceInterval": known} if known else found


def _moment(built: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(built)
    except ValueError as error:
        raise ParameterError(f"{built!r} is no time; write it such as 2026-03-01T08:00:00+00:00.") from error
    if moment.tzinfo is None:
        raise ParameterError(f"{built!r} has no time zone; write it such as 2026-03-01T08:00:00+00:00.")
    return moment.astimezone(datetime.UTC)
