"""
Read what a stranger wrote: every file of a pack is looked at before it is opened, and none of it is ever run.

What is a link, is no plain file, is too large or bears a name that two systems read differently is refused, with one
sentence. JSON is strict, YAML is plain, and a table's size is known before it is unpacked.

    >>> load_yaml(b"a: [1, 2]", source="params/a.yaml")
    {'a': [1, 2]}
"""

import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from perflib import records
from perflib.errors import DataError
from perflib.plain_yaml import StrictLoader

if TYPE_CHECKING:
    import pandas as pd

# A pack of ours is below 10 MB. Python needs up to 25 bytes for one of JSON, a table up to 1,000 for one of Parquet.
MAX_FILE_COUNT = 2_000
MAX_DEPTH_COUNT = 8
MAX_NAME_BYTES = 200
MAX_FILE_BYTES = 32_000_000
MAX_PACK_BYTES = 128_000_000
MAX_JSON_BYTES = 16_000_000
MAX_YAML_BYTES = 1_000_000
MAX_TABLE_ROWS_COUNT = 2_000_000
MAX_TABLE_CELLS_COUNT = 40_000_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_digest(text: object) -> bool:
    """Whether a text is a sha256 as we write it: 64 digits, no capitals."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def shown(text: object) -> str:
    """Return a foreign text for one line on a terminal: no control codes, and not without end."""
    line = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text)[:200])
    return line if len(line) <= 160 else f"{line[:157]}…"


def path_problem(path: str) -> str:
    """
    Return what is wrong with the path of a file in a pack; nothing for a plain one.

    Example:
        >>> path_problem("records/../x"), path_problem("records/build-int8.json")
        ('it has a part `..`', '')
    """
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "it is absolute"
    if ".." in parts:
        return "it has a part `..`"
    if len(path.encode(errors="replace")) > MAX_NAME_BYTES or len(parts) > MAX_DEPTH_COUNT:
        return f"it is longer than {MAX_NAME_BYTES} bytes or deeper than {MAX_DEPTH_COUNT} folders"
    odd = next((part for part in parts if not _NAME.fullmatch(part)), None)
    return "" if odd is None else f"its part `{shown(odd)}` is no plain name"


def case_twins(paths: Sequence[str]) -> list[str]:
    """Return the paths that some systems hold for one of the paths before them."""
    seen: set[str] = set()
    twins = []
    for path in paths:
        folded = unicodedata.normalize("NFKC", path).casefold()
        if folded in seen:
            twins.append(path)
        seen.add(folded)
    return twins


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """
    Yield the path below ``folder`` and the own status of everything in it that is no folder, sorted by path.

    Links are not followed. Folders that are deeper than a pack goes are yielded themselves and not entered.

    Raises:
        DataError: If a folder cannot be read, or there are more files than a pack has.
    """
    found: list[tuple[str, os.stat_result]] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    path = f"{below}/{entry.name}".lstrip("/")
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder and path.count("/") < MAX_DEPTH_COUNT:
                        waiting.append(path)
                    else:
                        found.append((path, entry.stat(follow_symlinks=False)))
                    if len(found) + len(waiting) > MAX_FILE_COUNT:
                        raise DataError(f"the pack has more than {MAX_FILE_COUNT:,} files; it is none of ours.")
        except OSError as error:
            raise DataError(
                f"{shown(below) or 'the pack'} cannot be read ({error.strerror}); copy it again."
            ) from error
    yield from sorted(found, key=lambda pair: pair[0])


def read_plain(path: Path, *, limit_bytes: int) -> bytes:
    """
    Read a plain file of at most so many bytes; a link, a pipe or a device is not opened.

    Raises:
        DataError: If it is none, is larger, or cannot be read.
    """
    try:
        # Not blocking: opening a pipe would wait for somebody to write into it.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise DataError(f"{shown(path.name)} is no plain file; the pack must hold plain files only.")
            content = file.read(limit_bytes + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path.name)} cannot be read as a plain file ({error}); copy it again.") from error
    if len(content) > limit_bytes:
        raise DataError(f"{shown(path.name)} is larger than {limit_bytes:,} bytes; it is no file of a pack.")
    return content


def load_json(content: bytes, *, source: str) -> Any:
    """Read strict JSON in UTF-8; `DataError` for a repeated key, NaN, Infinity, or more than `MAX_JSON_BYTES`."""
    if len(content) > MAX_JSON_BYTES:
        raise DataError(f"{shown(source)} is larger than {MAX_JSON_BYTES:,} bytes; no document of a pack is.")
    try:
        # json.loads guesses UTF-16 and UTF-32; two readers must never see two documents in one file.
        return records.loads(content.decode("utf-8"), source=shown(source))
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(source)} is not UTF-8 ({error.reason}); make it again.") from error


def load_yaml(content: bytes, *, source: str) -> dict[str, Any]:
    """Read a mapping in plain YAML: no tags, anchors or repeated keys; `DataError` for anything else."""
    if len(content) > MAX_YAML_BYTES:
        raise DataError(f"{shown(source)} is larger than {MAX_YAML_BYTES:,} bytes; no parameters of a pack are.")
    try:
        document = yaml.load(content.decode("utf-8"), Loader=StrictLoader)  # noqa: S506 -- a stricter SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{shown(source)} is not plain YAML ({shown(' '.join(str(error).split()))}).") from error
    if not isinstance(document, dict):
        raise DataError(f"{shown(source)} holds no `key: value` lines; make it again.")
    return document


def load_table(content: bytes, *, source: str) -> "pd.DataFrame":
    """Read a Parquet table by pyarrow; `DataError` if it is none, or too large before it is unpacked."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        rows_count, columns_count = file.metadata.num_rows, file.metadata.num_columns
        if rows_count > MAX_TABLE_ROWS_COUNT or rows_count * columns_count > MAX_TABLE_CELLS_COUNT:
            raise DataError(f"{shown(source)} has {rows_count:,} rows of {columns_count:,} columns: no table of ours.")
        # Plain columns only: what pandas wrote about its own types is not asked.
        frame: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
        return frame
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise DataError(f"{shown(source)} is no Parquet table ({shown(error)}); make it again.") from error
