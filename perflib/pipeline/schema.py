"""
The JSON Schema of `run.json`, for CI jobs that read it without perflib.

It is derived from `perflib.results.RunSummary` and kept in the repository, so that a change of the
format shows in review; ``python -m perflib.pipeline.schema`` writes it again.
"""

from pathlib import Path
from typing import Any

from perflib.records import write_json
from perflib.results import RunSummary

SCHEMA_FILE = Path(__file__).resolve().parents[1] / "schemas" / "run.schema.json"


def run_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run's summary as it stands on disk."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(RunSummary).json_schema()
    schema["properties"]["schema"] = {"const": RunSummary.schema}
    schema["required"] = sorted([*schema["required"], "schema"])
    for shape in (schema, *schema["$defs"].values()):
        shape["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_schema(path: Path = SCHEMA_FILE) -> Path:
    """Write the schema to its place in the package."""
    write_json(path, run_schema())
    return path


if __name__ == "__main__":
    print(write_schema())
