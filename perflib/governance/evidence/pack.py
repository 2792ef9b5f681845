"""
A pack whose files are those of its manifest, in memory: what was digested is what is judged.

    pack, problems = open_pack(folder)
    pack.json("run.json"), pack.value(Pointer("run.json", "/candidates/0/name"))
"""

import functools
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from perflib.errors import DataError
from perflib.governance.evidence import strict
from perflib.governance.evidence.layout import MANIFEST_FILE, UNLISTED
from perflib.governance.evidence.strict import shown
from perflib.records import Record, sha256_bytes
from perflib.results.governance import Manifest, PackProblem, Pointer

if TYPE_CHECKING:
    import pandas as pd

AnyRecord = TypeVar("AnyRecord", bound=Record)


class MissingFileError(DataError):
    """Add the file: the pack says something that needs it."""


class Pack:
    """
    The files of a pack, by path, and its manifest. Documents are read once, strictly, when a rule asks for them.

    Nothing can be written through it. ``folder`` is for those who read a table by its place.
    """

    def __init__(self, folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.files = dict(files)
        self.digests = {one.path: one.sha256 for one in manifest.files}
        self._json = functools.cache(lambda path: strict.load_json(self.content(path), source=path))

    def __contains__(self, path: str) -> bool:
        return path in self.files

    def paths(self, start: str = "", end: str = "") -> list[str]:
        """Return the listed paths that start and end so, sorted."""
        return sorted(path for path in self.digests if path.startswith(start) and path.endswith(end))

    def content(self, path: str) -> bytes:
        """Return a file's bytes; `MissingFileError` if the pack has none of this path."""
        if path not in self.files:
            raise MissingFileError(f"the pack has no file {shown(path)}; build it again.")
        return self.files[path]

    def text(self, path: str) -> str:
        """Return a file's text; `DataError` if it is not UTF-8."""
        try:
            return self.content(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{shown(path)} is not UTF-8 ({error.reason}); build the pack again.") from error

    def json(self, path: str) -> Any:
        """Return a strict JSON document; it is shared, so nobody may change it."""
        return self._json(path)

    def yaml(self, path: str) -> dict[str, Any]:
        """Return a plain YAML mapping."""
        return strict.load_yaml(self.content(path), source=path)

    def table(self, path: str) -> "pd.DataFrame":
        """Return a Parquet table."""
        return strict.load_table(self.content(path), source=path)

    def record(self, kind: type[AnyRecord], path: str) -> AnyRecord:
        """Return a record; `DataError` if it has another schema, key or type."""
        data = self.json(path)
        if not isinstance(data, dict):
            raise DataError(f"{shown(path)} holds no JSON object; build the pack again.")
        return kind.from_dict(data, source=path)

    def value(self, pointer: Pointer) -> Any:
        """
        Return what a pointer (RFC 6901) points at: a value of a JSON document, or a whole file's text.

        Raises:
            DataError: If nothing is there.
        """
        path, rest = pointer.path, pointer.pointer
        if strict.path_problem(path):
            raise DataError(f"{shown(pointer)} leads out of the pack; point at one of its files.")
        if not path.endswith(".json"):
            if rest not in ("", "/"):
                raise DataError(f"{shown(pointer)} points into a file that is not JSON.")
            return self.content(path)
        return _follow(self.json(path), rest, shown(pointer))


def open_pack(folder: Path) -> tuple[Pack | None, list[PackProblem], int]:
    """
    Read a pack and hold it against its manifest (I1), which must be strict JSON with digests in lower case (I11).

    Returns:
        The pack, or None where something is wrong; what is wrong; how many files were looked at.
    """
    problems: list[PackProblem] = []
    try:
        found = dict(strict.walk(folder))
    except DataError as error:
        return None, [_wrong(".", str(error))], 0
    problems += _odd_files(found)
    if MANIFEST_FILE not in found:
        problems.append(_wrong(MANIFEST_FILE, "The pack has no MANIFEST.json: nothing says what belongs to it."))
    if problems:
        return None, problems, len(found)
    try:
        content = strict.read_plain(folder / MANIFEST_FILE, limit_bytes=strict.MAX_JSON_BYTES)
        manifest = Manifest.from_dict(_object(content), source=MANIFEST_FILE)
    except DataError as error:
        return None, [PackProblem(2, "I11", MANIFEST_FILE, shown(error))], len(found)
    problems += [*_manifest_problems(manifest), *_listed(manifest, found)]
    files = {MANIFEST_FILE: content}
    for path, status in found.items():
        if path == MANIFEST_FILE or problems:
            continue
        try:
            files[path] = strict.read_plain(folder / path, limit_bytes=max(status.st_size, 0))
        except DataError as error:
            problems.append(_wrong(path, str(error)))
    problems += [] if problems else _digest_problems(manifest, files)
    return (None if problems else Pack(folder, manifest, files)), problems, len(found)


def _wrong(path: str, sentence: str) -> PackProblem:
    return PackProblem(3, "I1", shown(path), shown(sentence))


def _object(content: bytes) -> dict[str, Any]:
    data = strict.load_json(content, source=MANIFEST_FILE)
    if not isinstance(data, dict):
        raise DataError("MANIFEST.json holds no JSON object; build the pack again.")
    return data


def _odd_files(found: Mapping[str, Any]) -> Iterator[PackProblem]:
    """Yield what cannot be in any pack, whatever its manifest says; nothing of it has been opened."""
    for path, status in found.items():
        wrong = strict.path_problem(path)
        if stat.S_ISLNK(status.st_mode):
            yield _wrong(path, "This is a symbolic link; a pack holds plain files only.")
        elif not stat.S_ISREG(status.st_mode):
            yield _wrong(path, "This is no plain file; a pack holds plain files only.")
        elif wrong:
            yield _wrong(path, f"This path cannot be in a pack: {wrong}.")
        elif status.st_size > strict.MAX_FILE_BYTES:
            yield _wrong(path, f"{status.st_size:,} bytes are more than any file of a pack has.")
    for path in strict.case_twins(sorted(found)):
        yield _wrong(path, "Another file differs from it in capitals only; some systems see one file.")
    total_bytes = sum(status.st_size for status in found.values())
    if total_bytes > strict.MAX_PACK_BYTES:
        yield _wrong(".", f"{total_bytes:,} bytes are more than any pack has.")


def _manifest_problems(manifest: Manifest) -> Iterator[PackProblem]:
    paths = [one.path for one in manifest.files]
    for one in manifest.files:
        wrong = strict.path_problem(one.path)
        if not strict.is_digest(one.sha256):
            sentence = f"The digest {shown(one.sha256)} is not 64 digits in lower case."
            yield PackProblem(2, "I11", shown(one.path), sentence)
        if wrong:
            yield _wrong(one.path, f"The manifest lists a path that cannot be in a pack: {wrong}.")
        if one.path in UNLISTED:
            yield _wrong(one.path, "The manifest lists what cannot be listed: itself, the signatures or the keys.")
    for path in sorted({path for path in paths if paths.count(path) > 1} | set(strict.case_twins(paths))):
        yield _wrong(path, "The manifest lists it twice, or a path that differs in capitals only.")
    if paths != sorted(paths) and not any(strict.path_problem(path) for path in paths):
        yield PackProblem(2, "I11", MANIFEST_FILE, "The manifest is not sorted by path.")


def _listed(manifest: Manifest, found: Mapping[str, Any]) -> Iterator[PackProblem]:
    sizes = {one.path: one.size_bytes for one in manifest.files}
    for path in sorted(set(sizes) - set(found)):
        yield _wrong(path, "The manifest lists this file, and it is not there.")
    for path in sorted(set(found) - set(sizes) - set(UNLISTED)):
        yield _wrong(path, "This file is there, and the manifest does not list it.")
    for path in sorted(set(found) & set(sizes)):
        if found[path].st_size != sizes[path]:
            yield _wrong(path, f"The file has {found[path].st_size:,} bytes, the manifest says {sizes[path]:,}.")


def _digest_problems(manifest: Manifest, files: Mapping[str, bytes]) -> list[PackProblem]:
    return [
        _wrong(one.path, "The file's digest is not the one in the manifest: it was changed.")
        for one in manifest.files
        if sha256_bytes(files[one.path]) != one.sha256
    ]


def _follow(value: Any, pointer: str, where: str) -> Any:
    if pointer in ("", "#"):
        return value
    if not pointer.startswith("/"):
        raise DataError(f"{where} is no JSON pointer: after # it starts with a slash.")
    for part in pointer[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        # Not int(key): it also takes -1, 01 and digits of other scripts.
        elif isinstance(value, list) and (key == "0" or (key.isascii() and key.isdigit() and key[0] != "0")):
            if len(key) > 9 or int(key) >= len(value):
                raise DataError(f"{where} points at nothing: the list has {len(value)} values.")
            value = value[int(key)]
        else:
            raise DataError(f"{where} points at nothing: there is no `{shown(key)}`.")
    return value
