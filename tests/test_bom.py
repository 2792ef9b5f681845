"""Bills of materials: valid by the library's own strict schema, about the right model, the same bytes every time."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from perflib.errors import ParameterError
from perflib.governance.bom import environment_bom, model_bom
from perflib.governance.ledger import Ledger
from perflib.results import Candidate
from perflib.results.history import EnvironmentLock, LockedPackage
from tests.ledgers import make_ledger
from tests.synthetic_records import full_validation

BUILT = "2026-03-01T09:00:00+01:00"
EVIL = 'x</script><img src=x onerror=alert(1)>\n"=1+1'


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a run whose int8 was asked everything."""
    made = make_ledger(tmp_path / "run")
    return dataclasses.replace(made, validations={**made.validations, "int8": full_validation()})


def problem(text: str) -> str:
    """Return what the strict schema of CycloneDX 1.6 finds wrong; empty for nothing."""
    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) or "")


def metrics(text: str) -> list[dict[str, Any]]:
    """Return the numbers of a model's bill."""
    card = json.loads(text)["metadata"]["component"]["modelCard"]
    return list(card["quantitativeAnalysis"]["performanceMetrics"])


def test_the_validator_can_say_no() -> None:
    """The oracle of these tests finds a wrong document."""
    assert problem('{"bomFormat": "CycloneDX", "specVersion": "1.6", "unknown": 1}')


def test_a_models_bill_keeps_to_the_schema(ledger: Ledger) -> None:
    """It is about a model of this digest, made from the baseline."""
    text = model_bom(ledger, "int8", built=BUILT)
    about = json.loads(text)["metadata"]["component"]

    assert problem(text) == ""
    assert about["type"] == "machine-learning-model"
    assert about["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert about["pedigree"]["ancestors"][0]["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]


def test_every_number_carries_its_slice_and_its_bounds(ledger: Ledger) -> None:
    """A change of accuracy has a lower bound; a gated slice has both; a speed-up has its interval."""
    found = metrics(model_bom(ledger, "int8", built=BUILT))

    assert {
        "type": "accuracy_change",
        "value": "-0.0057",
        "confidenceInterval": {"lowerBound": "-0.0136"},
    } in found
    assert {
        "type": "speedup_ratio_offline",
        "value": "2.0",
        "confidenceInterval": {"lowerBound": "1.9", "upperBound": "2.1"},
    } in found
    sliced = [one for one in found if one.get("slice") == "negation = yes" and one["type"] == "accuracy_change"]
    assert [sorted(one["confidenceInterval"]) for one in sliced] == [["lowerBound", "upperBound"]]


def test_what_it_needs_to_run_is_a_component(ledger: Ledger) -> None:
    """The packages of the engine are listed with their purl, and the model depends on them."""
    document = json.loads(model_bom(ledger, "int8", built=BUILT))

    assert [one["purl"] for one in document["components"]] == ["pkg:pypi/torch@2.13.0"]
    assert {"ref": f"model:{'1' * 64}", "dependsOn": ["pkg:pypi/torch@2.13.0"]} in document["dependencies"]


def test_the_environment_lists_every_package(ledger: Ledger) -> None:
    """All packages of the lock, and Python itself."""
    assert ledger.lock is not None
    text = environment_bom(ledger.lock, built=BUILT)

    assert problem(text) == ""
    assert sorted(one["purl"] for one in json.loads(text)["components"]) == [
        *("pkg:generic/python@3.11.7", "pkg:pypi/numpy@2.4.6", "pkg:pypi/torch@2.13.0"),
    ]


def test_the_same_records_give_the_same_bytes(ledger: Ledger) -> None:
    """Neither clock nor chance is in it; the order of a lock does not matter; another model has another number."""
    packages = (LockedPackage("torch", "2.13.0"), LockedPackage("a", "1"), LockedPackage("numpy", "2.4.6"))
    first = model_bom(ledger, "int8", built=BUILT)
    other = model_bom(ledger, "bf16", built=BUILT)

    assert model_bom(ledger, "int8", built=BUILT) == first
    assert json.loads(first)["metadata"]["timestamp"] == "2026-03-01T08:00:00+00:00"
    assert json.loads(first)["serialNumber"] != json.loads(other)["serialNumber"]
    assert environment_bom(EnvironmentLock("3.11.7", packages), built=BUILT) == environment_bom(
        EnvironmentLock("3.11.7", packages), built=BUILT
    )


def test_foreign_words_stay_words(ledger: Ledger) -> None:
    """Markup and quotes in names and texts break neither the JSON nor the schema."""
    validation = dataclasses.replace(ledger.validations["int8"], notes=(EVIL,))
    comparison = ledger.comparisons["int8"]
    environment = dataclasses.replace(comparison.candidate_environment, versions={"torch": EVIL})
    evil = dataclasses.replace(
        ledger,
        validations={"int8": validation},
        comparisons={"int8": dataclasses.replace(comparison, candidate_environment=environment)},
    )
    text = model_bom(evil, "int8", built=BUILT)

    assert problem(text) == ""
    card = json.loads(text)["metadata"]["component"]["modelCard"]
    assert EVIL in card["considerations"]["technicalLimitations"]


def test_what_was_never_built_has_no_bill(ledger: Ledger) -> None:
    """An unknown name, a failed candidate and a wrong time are refused in a sentence."""
    failed = Candidate("onnx", "failed", (), None, None, None, None)
    with_failed = dataclasses.replace(ledger, candidates=(*ledger.candidates, failed))

    with pytest.raises(ParameterError, match="no candidate `int4`"):
        model_bom(ledger, "int4", built=BUILT)
    with pytest.raises(ParameterError, match="onnx was never built"):
        model_bom(with_failed, "onnx", built=BUILT)
    with pytest.raises(ParameterError, match="is no time"):
        model_bom(ledger, "int8", built="yesterday")
    with pytest.raises(ParameterError, match="has no time zone"):
        model_bom(ledger, "int8", built="2026-03-01T09:00:00")
