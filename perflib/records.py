"""
What is written so that it can be believed later: strict JSON, atomic writes, digests.

A record is a frozen dataclass that derives from `Record`.
On disk it is one JSON object with `schema` (name and version); unknown is `null`, never NaN, and no key stands twice.
A file is either the old one or the new one: it is written beside its place, synced and renamed.

    >>> dumps({"b": 1, "a": None})
    '{"a":null,"b":1}'
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from perflib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MAX_DOCUMENT_BYTES = 256_000_000


def dumps(value: object, *, indent: int | None = None) -> str:
    """
    Write canonical JSON: sorted keys, no NaN, no needless space.

    Raises:
        DataError: If a number is not finite or a value is not plain data.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        return json.dumps(
            value, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=indent, separators=separators
        )
    except (ValueError, TypeError) as error:
        raise DataError(
            f"a value cannot be written as strict JSON ({error}); write an unknown number as null."
        ) from error


def loads(text: str | bytes, *, source: str = "this document") -> Any:
    """
    Read strict JSON.

    Args:
        text: The document.
        source: Its name in the error sentence.

    Raises:
        DataError: If it is not JSON, holds NaN or Infinity, or repeats a key.
    """

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a number in JSON")

    def finite(digits: str) -> float:
        # 1e999 is correct JSON, but Python reads it as infinity.
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{digits} is too large for a number")
        return value

    def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise ValueError(f"key `{key}` stands twice")
            seen[key] = value
        return seen

    try:
        return json.loads(text, parse_float=finite, parse_constant=refuse_constant, object_pairs_hook=refuse_repeats)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is not strict JSON ({error}); restore it or make it again.") from error


def read_json(path: Path) -> Any:
    """Read one strict JSON file; `DataError` if it is missing, too large or malformed."""
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise DataError(f"{path} is larger than {MAX_DOCUMENT_BYTES} bytes; it is not a record of perflib.")
        return loads(path.read_bytes(), source=str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); make it again.") from error


def write_bytes(path: Path, content: bytes) -> None:
    """
    Put ``content`` at ``path`` so that a reader sees the old file or the new one, never a part.

    Temporary file in the same folder, fsync, rename, fsync of the folder.

    Raises:
        DataError: If the folder cannot be written; the old file is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes private files; a result is as readable as the user's umask allows.
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); free space or choose another folder.") from error


def write_parquet(path: Path, frame: "pd.DataFrame") -> Path:
    """Write a table as compressed Parquet, atomically; return its path. Errors as `write_bytes`."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, compression="zstd", index=False)
    write_bytes(path, buffer.getvalue())
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: object) -> None:
    """Write one strict JSON file atomically, indented for people."""
    write_bytes(path, (dumps(value, indent=1) + "\n").encode())


def sha256_bytes(content: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_json(value: object) -> str:
    """Return the sha256 of a value's canonical JSON."""
    return sha256_bytes(dumps(value).encode())


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file; `DataError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); make it again.") from error


def sha256_files(paths: Iterable[Path], *, root: Path) -> str:
    """Return one sha256 over the names (relative to ``root``) and contents of files."""
    return sha256_json({path.relative_to(root).as_posix(): sha256_file(path) for path in paths})


@dataclasses.dataclass(frozen=True)
class Record:
    """
    The base of every result: plain data with a schema name.

    A child sets `schema` to ``perflib/<kind>/<version>``; a reader refuses any other.
    """

    schema: ClassVar[str] = "perflib/record/1"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for strict JSON."""
        return {"schema": self.schema, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, source: str = "this record") -> Self:
        """
        Rebuild the record, checking schema, keys and types.

        Raises:
            DataError: If anything is missing, unknown or of another type.
        """
        from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

        body = dict(data)
        found = body.pop("schema", None)
        if found != cls.schema:
            raise DataError(f"{source} has schema {found!r} where {cls.schema!r} is needed; make it again.")
        # ConfigDict is set here so that a record stays a plain dataclass for those who only write it.
        strict = with_config(ConfigDict(extra="forbid"))(cls) if "__pydantic_config__" not in cls.__dict__ else cls
        try:
            return TypeAdapter(strict).validate_json(dumps(body), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{source}: `{where}`: {first['msg']}; make the record again.") from error

    def write(self, path: Path) -> Path:
        """Write the record as strict JSON and return its path."""
        write_json(path, self.to_dict())
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record of this kind; `DataError` if it is not one."""
        data = read_json(path)
        if not isinstance(data, dict):
            raise DataError(f"{path} holds no JSON object; make the record again.")
        return cls.from_dict(data, source=str(path))
