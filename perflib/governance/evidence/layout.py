"""
What lies where in a pack, what it is, and which of it changes when the pack is built at another time.

A path that no line of `KINDS` describes does not belong to a pack.

    >>> kind_of("records/predictions-int8.parquet").role
    'raw answers'
"""

import dataclasses
import fnmatch
from typing import Literal

from perflib.errors import ParameterError

Role = Literal["author", "reviewer"]
ROLES: tuple[Role, ...] = ("author", "reviewer")

MANIFEST_FILE = "MANIFEST.json"
BUNDLE_FILE = "bundle.dsse.json"
VERIFY_FILE = "VERIFY.md"
RUN_FILE = "run.json"
REPORT_FILE = "report.html"
RECORDS_FOLDER = "records"
KEY_FILES: dict[Role, str] = {role: f"keys/{role}.pub" for role in ROLES}
# What cannot be listed: the list itself, and what is added when somebody signs it.
UNLISTED = frozenset({MANIFEST_FILE, BUNDLE_FILE, *KEY_FILES.values()})

# Nobody mails or reviews more.
MAX_PACK_BYTES = 10_000_000
# Names that stay ours; the ending says that nothing is to be fetched from there.
PROJECT_URI = "https://perflib.invalid"


@dataclasses.dataclass(frozen=True)
class Kind:
    """Files of one kind: a pattern for their paths, what they are for, and their media type."""

    pattern: str
    role: str
    media_type: str
    is_time_dependent: bool = False


_JSON, _YAML, _CSV, _MARKDOWN = "application/json", "application/yaml", "text/csv", "text/markdown"
_PARQUET, _INTOTO, _CYCLONEDX = (
    "application/vnd.apache.parquet",
    "application/vnd.in-toto+json",
    "application/vnd.cyclonedx+json",
)
KINDS = (
    Kind(VERIFY_FILE, "guide", _MARKDOWN),
    Kind(RUN_FILE, "run", _JSON),
    Kind(REPORT_FILE, "report", "text/html"),
    Kind("records/predictions-*.parquet", "raw answers", _PARQUET),
    Kind("records/probes-*.parquet", "raw answers", _PARQUET),
    Kind("records/*.json", "record", _JSON),
    Kind("params/*.yaml", "parameters", _YAML),
    Kind("attestations/*.json", "statement", _INTOTO),
    Kind("candidates/*/model.cdx.json", "bill of materials", _CYCLONEDX, is_time_dependent=True),
    Kind("candidates/*/MODEL_CARD.md", "model card", _MARKDOWN),
    Kind("candidates/*/*.json", "statement", _INTOTO),
    Kind("decisions/*.md", "decision", _MARKDOWN),
    Kind("backlog/backlog.csv", "backlog", _CSV),
    Kind("finops/focus.csv", "costs", _CSV),
    Kind("finops/SUMMARY.md", "costs", _MARKDOWN),
    Kind("sbom/env.cdx.json", "bill of materials", _CYCLONEDX, is_time_dependent=True),
    Kind("crosswalk.json", "crosswalk", _JSON),
)


def kind_of(path: str) -> Kind:
    """
    Return what a file is by its path below the pack.

    Raises:
        ParameterError: If nothing of a pack lies there.
    """
    for kind in KINDS:
        # In fnmatch a star also takes slashes.
        if path.count("/") == kind.pattern.count("/") and fnmatch.fnmatchcase(path, kind.pattern):
            return kind
    raise ParameterError(f"{path!r} does not belong to a pack; take it out, or put it where its kind lies.")


def is_raw(path: str) -> bool:
    """Whether a path holds answers of a model, example by example."""
    return path.startswith(f"{RECORDS_FOLDER}/") and kind_of(path).role == "raw answers"
