"""The schema of `run.json` is the one in the repository, and means what it says."""

import json
from pathlib import Path

import jsonschema
import pytest

from perflib.pipeline.schema import SCHEMA_FILE, run_schema, write_schema
from perflib.results import RunSummary, Step


def summary(**changes: object) -> dict[str, object]:
    """Return the plain data of a small run."""
    step = Step("baseline", "01_baseline.ipynb", "done", None, "ab", 1.5, is_modified=False)
    made = RunSummary(
        run_id="20310506-120001_smoke_nogit",
        ulid="01M8102DD86ACRN4WPV77RRFGC",
        status="done",
        reason=None,
        exit_code=0,
        commit="nogit",
        started="2031-05-06T12:00:01+00:00",
        wall_sec=2.5,
        params_name="smoke",
        params={},
        params_sha256="ab",
        guardrails_sha256="ab",
        code_sha256="ab",
        machine={},
        steps=(step,),
        candidates=(),
    )
    return {**json.loads(json.dumps(made.to_dict())), **changes}


def test_the_schema_in_the_repository_is_the_derived_one(tmp_path: Path) -> None:
    """After a change of `RunSummary`, `python -m perflib.pipeline.schema` has to be run and its diff read."""
    assert SCHEMA_FILE.read_bytes() == write_schema(tmp_path / "run.schema.json").read_bytes()


def test_a_summary_fits_the_schema() -> None:
    """What we write is what we promise."""
    jsonschema.Draft202012Validator.check_schema(run_schema())
    jsonschema.validate(summary(), run_schema())


@pytest.mark.parametrize(
    "changes", [{"schema": "perflib/run/2"}, {"status": "finished"}, {"exit_code": "0"}, {"speed": 1}, {"steps": [{}]}]
)
def test_another_shape_does_not_fit(changes: dict[str, object]) -> None:
    """The schema refuses versions, words, types and keys that it does not know."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(summary(**changes), run_schema())
