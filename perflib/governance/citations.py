"""Whether the files that a decision rests on are still there, and still what they were."""

from pathlib import Path, PurePosixPath
from typing import Any

from perflib import records
from perflib.errors import DataError
from perflib.results.governance import Cited, Decision


def check_citations(decision: Decision, root: Path) -> list[str]:
    """
    Say what is wrong with the files that a decision cites; empty if every one is there as it was.

    Args:
        decision: To be checked.
        root: What its paths are relative to: the folder of its run, or of a pack.
    """
    sentences = (_citation_problem(decision.id, cited, root) for cited in decision.evidence)
    return [one for one in sentences if one is not None]


def _citation_problem(adr_id: str, cited: Cited, root: Path) -> str | None:
    parts = PurePosixPath(cited.path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in cited.path or not parts.parts:
        return f"{adr_id} cites {cited.path!r}, which is no path below the folder."
    path = root / parts
    if not path.resolve().is_relative_to(root.resolve()) or path.is_symlink():
        return f"{adr_id} cites {cited.path}, which is a link."
    if not path.is_file():
        return f"{adr_id} cites {cited.path}, which is not there."
    sha256 = records.sha256_file(path)
    if sha256 != cited.sha256:
        return f"{adr_id} cites {cited.path} with the sha256 {cited.sha256[:12]}…, and the file has {sha256[:12]}…."
    if cited.pointer and not _resolves(path, cited.pointer):
        return f"{adr_id} cites {cited.pointer} in {cited.path}, which is not in it."
    return None


def _resolves(path: Path, pointer: str) -> bool:
    try:
        value: Any = records.read_json(path)
        for word in pointer.removeprefix("/").split("/"):
            key = word.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (DataError, LookupError, ValueError, TypeError):
        return False
    return pointer.startswith("/")
