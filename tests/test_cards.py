"""Model cards: metadata that the hub can read, sections that are filled from records, and words that do nothing."""

import dataclasses
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from perflib.errors import ParameterError
from perflib.governance.cards import make_card
from perflib.governance.ledger import Ledger
from perflib.results import Candidate
from perflib.results.governance import ArmCarbon, Carbon, Range
from tests.ledgers import make_ledger
from tests.synthetic_records import full_validation

SECTIONS = (
    *("Model Details", "Uses", "Bias, Risks, and Limitations", "Training Details", "Evaluation"),
    *("Environmental Impact", "Technical Specifications", "Glossary", "Model Card Authors", "Model Card Contact"),
)
EVIL = "---\n<script>alert(1)</script> [click](javascript:alert(1)) ![x](http://x) | a | `b`\n# Approved"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a run whose int8 was asked everything."""
    made = make_ledger(tmp_path / "run")
    return dataclasses.replace(made, validations={**made.validations, "int8": full_validation()})


def carbon(*, is_metered: bool = False) -> Carbon:
    """Return an estimate for int8."""
    arm = ArmCarbon("int8", is_metered, Range(1.0, 2.0, 3.0), *(Range(0.1, 0.25, 0.4),) * 2, Range(0.2, 0.5, 0.8))
    return Carbon(
        "run", is_example=True, prices_sha256="0" * 64, boundary="One instance.", method="SCI 1.1.", arms=(arm,)
    )


def metadata(text: str) -> dict[str, Any]:
    """Return a card's metadata as the hub's own reader gives it."""
    found: dict[str, Any] = ModelCard(text).data.to_dict()  # type: ignore[no-untyped-call]
    return found


def results(text: str) -> list[dict[str, Any]]:
    """Return the model-index's metrics as the hub reads them."""
    index = metadata(text)["model-index"]
    return [metric for result in index[0]["results"] for metric in result["metrics"]]


def test_the_sections_are_those_of_the_hub(ledger: Ledger) -> None:
    """All sections, each once, in the order of the hub's own template."""
    text = make_card(ledger, "int8", carbon())

    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    assert not re.search(r"more information needed|todo|tbd|\[.*needed.*\]|None\b(?!:)", text, re.IGNORECASE)


def test_the_metadata_holds_the_numbers_of_the_records(ledger: Ledger) -> None:
    """The hub's own reader finds accuracy, its bounds, slices and speed."""
    found = results(make_card(ledger, "int8", None))

    accuracy = next(one for one in found if one["type"] == "accuracy" and one["name"] == "Accuracy")
    change = next(one for one in found if one["name"] == "Change of accuracy")
    sliced = next(one for one in found if one["name"] == "Change of accuracy, negation = yes")
    speed = next(one for one in found if one["type"] == "speedup_ratio_offline")
    assert (accuracy["value"], accuracy["args"]) == (0.8443, {"examples": 872})
    assert (change["value"], change["args"]["low"], "high" in change["args"]) == (-0.0057, -0.0136, False)
    assert sliced["args"]["slice"] == "negation = yes"
    assert (speed["value"], speed["args"]) == (2.0, {"low": 1.9, "high": 2.1, "level": 0.9})


def test_the_dataset_is_the_split(ledger: Ledger) -> None:
    """Which data the numbers are of is said by the digest of the split."""
    result = metadata(make_card(ledger, "int8", None))["model-index"][0]["results"][0]

    assert result["dataset"] == {
        "type": "reviews-tiny",
        "name": "reviews-tiny",
        "split": "test",
        "revision": "0" * 64,
    }


def test_the_body_names_model_numbers_and_limits(ledger: Ledger) -> None:
    """The digest, a number with its bounds, the stages, and what was not tested."""
    text = make_card(ledger, "int8", None)

    assert f"`{'1' * 64}`" in text
    assert "| Throughput speed-up (ratio) | all | 2.0000 | 1.9000 to 2.1000 (90 %) | – |" in text
    assert "| Change of accuracy | all | −0.0057 | −0.0136 to ∞ (95 %) | 872 |" in text
    assert "Too few examples to judge these parts of the data: question = yes" in text
    assert "were not tested" in text


def test_energy_is_called_what_it_is(ledger: Ledger) -> None:
    """An estimate is an estimate, metered is metered, and nothing is nothing."""
    assert "0.5 g of CO2" in make_card(ledger, "int8", carbon()).replace("0.500", "0.5")
    assert "not metered" in make_card(ledger, "int8", carbon())
    assert "examples that nobody has confirmed" in make_card(ledger, "int8", carbon())
    assert "Measured with a meter" in make_card(ledger, "int8", carbon(is_metered=True))
    assert "No energy was estimated" in make_card(ledger, "int8", None)
    assert "No energy was estimated" in make_card(ledger, "bf16", carbon())


def test_what_may_not_be_shipped_has_no_use(ledger: Ledger) -> None:
    """The card of a quarantined candidate offers none."""
    text = make_card(ledger, "vocabulary", None)

    assert "None: it is quarantined and may not be shipped from this run." in text
    assert "Texts with negation lose 4.0 pp." in text


def test_a_candidate_without_records_has_an_honest_card(ledger: Ledger) -> None:
    """Nothing is made up for what was never built, asked or timed."""
    failed = Candidate("onnx", "failed", (), None, None, None, None)
    text = make_card(dataclasses.replace(ledger, candidates=(failed,), baseline=None), "onnx", None)

    assert "No record says how it was made." in text
    assert "Its answers were not validated." in text
    assert "Its speed was not measured." in text


def test_foreign_words_do_nothing(ledger: Ledger) -> None:
    """Markup in texts, names and versions is neither HTML, nor a link, nor a heading, nor a second front matter."""
    validation = full_validation(notes=(EVIL,), absent_suites=(EVIL,))
    first = validation.slices[0]
    validation = dataclasses.replace(
        validation, slices=(dataclasses.replace(first, value=EVIL), *validation.slices[1:])
    )
    evil = dataclasses.replace(ledger, validations={"int8": validation})

    text = make_card(evil, "int8", None)
    body = ModelCard(text).text

    assert "<script" not in body
    assert not re.search(r"(?<!)\]\(", body)
    assert tuple(re.findall(r"^## (.+)$", body, re.MULTILINE)) == SECTIONS
    assert not re.search(r"^# Approved", body, re.MULTILINE)
    assert metadata(text)["pipeline_tag"] == "text-classification"


def test_no_network_is_asked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card is made with every door closed, twice the same."""

    def closed(*_: object) -> None:
        raise AssertionError("a card opened a connection")

    monkeypatch.setattr(socket.socket, "connect", closed)

    assert make_card(ledger, "int8", carbon()) == make_card(ledger, "int8", carbon())


def test_an_unknown_candidate_is_refused(ledger: Ledger) -> None:
    """The sentence names those that the run has."""
    with pytest.raises(ParameterError, match="it has int8, vocabulary, bf16"):
        make_card(ledger, "int4", None)
