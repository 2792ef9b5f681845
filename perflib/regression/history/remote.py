"""
A history in a shared place: any folder or bucket that fsspec knows, so that a job that starts empty has a past.

    push(history, "s3://team/perflib", kept_dir=kept)
    pull(history, "s3://team/perflib", kept_dir=kept)

A push adds one object with the rows that are not there yet, named by its content, and never changes another's. So two
pushes at once lose nothing; at worst some rows stand there twice. Of a document, such as an alert, the copy with the
most revisions counts; where two were changed apart from each other, all take the same one.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import select

from perflib.artifact import Artifact
from perflib.errors import DataError
from perflib.records import dumps, loads, sha256_bytes
from perflib.regression.alerts.documents import TURNS
from perflib.regression.history.contents import document_bytes, document_of, document_row, good_sha256, insert_newer
from perflib.regression.history.exchange import add_rows, frame_of, read_rows, rows_of, write_frame
from perflib.regression.history.rows import Row
from perflib.regression.history.shared_place import SharedPlace, opened
from perflib.regression.history.store import History
from perflib.regression.history.tables import document
from perflib.regression.kept import GOOD_COUNT, LIMIT_BYTES, Kept
from perflib.regression.locks import lock_sha256
from perflib.regression.retention import choose_goods
from perflib.results.history import EnvironmentLock, Good

_RESULTS, _GOODS, _DOCUMENTS = "results", "goods", "documents"
_KEPT, _ARTIFACTS, _LOCKS = "kept", "artifacts", "locks"
# Who works at this moment is of no use elsewhere.
_STAYING = (TURNS,)


def push(history: History, url: str, *, kept_dir: Path | None = None) -> int:
    """
    Add what is here to a shared place.

    Args:
        history: Whose results, good runs and documents.
        url: Of fsspec.
        kept_dir: Artifacts and locks that good runs need; None leaves them out.

    Returns:
        How many results were new there.

    Raises:
        SetupError: If the place cannot be reached or written.
        DataError: If something here or there is damaged.
    """
    with opened(url) as place:
        rows = rows_of(history, without={row["content_sha256"] for row in _rows_there(place)})
        if rows:
            _push_rows(place, rows)
        # What a good run needs is there before the good run itself.
        for name, path in _kept_files(kept_dir):
            place.put(f"{_KEPT}/{name}", path.read_bytes())
        for one in history.goods():
            place.put(f"{_GOODS}/{good_sha256(one)}.json", dumps(one.to_dict()).encode())
        for row in _documents_here(history):
            place.put(_document_name(row), document_bytes(row))
    return len(rows)


def pull(history: History, url: str, *, kept_dir: Path | None = None) -> int:
    """
    Take what is in a shared place.

    Of the good runs and their artifacts only those are taken that would be kept here too.

    Args:
        history: Gets results, good runs and documents.
        url: Of fsspec.
        kept_dir: Gets artifacts and locks; None leaves them out.

    Returns:
        How many results were new here.

    Raises:
        SetupError: If the place cannot be reached.
        DataError: If something there is not what was pushed, or another result of a run is here; nothing damaged is
            taken.
    """
    with opened(url) as place:
        goods = _goods_there(place)
        documents = _documents_there(place)
        added_count = add_rows(history, list({row["content_sha256"]: row for row in _rows_there(place)}.values()))
        with history.writing() as connection:
            for row in documents:
                insert_newer(connection, row)
        _take_goods(place, history, goods, kept_dir)
    return added_count


def _push_rows(place: SharedPlace, rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        content = write_frame(frame_of(rows), Path(folder) / "new.parquet").read_bytes()
    place.put(f"{_RESULTS}/{sha256_bytes(content)}.parquet", content)


def _rows_there(place: SharedPlace) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        path = Path(folder) / "rows.parquet"
        for name in place.names(_RESULTS):
            path.write_bytes(place.read_named(f"{_RESULTS}/{name}"))
            rows += read_rows(path)
    return rows


def _documents_here(history: History) -> list[Row]:
    with history.reading() as connection:
        rows = [dict(row) for row in connection.execute(select(document)).mappings()]
    for row in rows:
        document_of(row)
    return [row for row in rows if row["kind"] not in _STAYING]


def _document_name(row: Row) -> str:
    return f"{_DOCUMENTS}/{row['kind']}/{row['ulid']}/{row['revision']:010d}-{row['content_sha256']}.json"


def _documents_there(place: SharedPlace) -> list[Row]:
    """Return the last revision of each document, checked."""
    newest: dict[str, str] = {}
    for name in place.names(_DOCUMENTS):
        folder, _, file = name.rpartition("/")
        newest[folder] = max(newest.get(folder, ""), file)
    rows = []
    for folder, file in newest.items():
        name = f"{_DOCUMENTS}/{folder}/{file}"
        data = _object(place.read_named(name), name)
        try:
            row = document_row(data["kind"], data["ulid"], data["revision"], _object(data["content"], name))
            is_same = _document_name(row) == name
        except (KeyError, TypeError, ValueError):
            is_same = False
        if not is_same:
            raise DataError(f"{name} in the shared place is no document of a history; remove it there.")
        rows.append(row)
    return [row for row in rows if row["kind"] not in _STAYING]


def _goods_there(place: SharedPlace) -> list[Good]:
    names = [f"{_GOODS}/{name}" for name in place.names(_GOODS)]
    return [Good.from_dict(_object(place.read_named(name), name), source=name) for name in names]


def _take_goods(place: SharedPlace, history: History, there: Sequence[Good], kept_dir: Path | None) -> None:
    chosen = _chosen(history.goods(), there)
    if kept_dir is None:
        for one in chosen:
            history.put_good(one)
        return
    kept, names = Kept(kept_dir), place.names(_KEPT)
    # Between keeping and remembering nobody else may clear away what nobody remembers.
    with kept.locked():
        for digest in sorted({one.artifact_sha256 for one in chosen}):
            _take_artifact(place, kept, digest, names)
        for digest in sorted({one.lock_sha256 for one in chosen}):
            if kept.lock(digest) is None and f"{_LOCKS}/{digest}.json" in names:
                _take_lock(place, kept, digest)
        for one in chosen:
            history.put_good(one)


def _chosen(here: Sequence[Good], there: Sequence[Good]) -> list[Good]:
    """Return the goods of the shared place that would not be given up here at once."""
    known = {good_sha256(one) for one in here}
    new = [one for one in there if good_sha256(one) not in known]
    every = sorted([*here, *new], key=lambda one: one.run_ulid)
    sizes = {one.artifact_sha256: {(0, place): one.size_bytes} for place, one in enumerate(every)}
    left = choose_goods(every, sizes, limit_bytes=LIMIT_BYTES, good_count=GOOD_COUNT)
    return [one for one in left if good_sha256(one) not in known]


def _take_artifact(place: SharedPlace, kept: Kept, digest: str, names: Sequence[str]) -> None:
    mine = [name for name in names if PurePosixPath(name).parent == PurePosixPath(_ARTIFACTS, digest)]
    # Asked first, because it refuses a digest that is none and would lead out of the folder.
    if kept.artifact(digest) is not None or not mine:
        return
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=kept.folder) as work:
        folder = Path(work) / digest
        for name in mine:
            place.fetch(f"{_KEPT}/{name}", folder / PurePosixPath(name).name)
        found = Artifact.load(folder)
        if found.digest != digest:
            raise DataError(f"artifact {digest[:12]}… in the shared place is another one; remove it there.")
        kept.keep_artifact(found)


def _take_lock(place: SharedPlace, kept: Kept, digest: str) -> None:
    name = f"{_KEPT}/{_LOCKS}/{digest}.json"
    lock = EnvironmentLock.from_dict(_object(place.read(name), name), source=name)
    if lock_sha256(lock) != digest:
        raise DataError(f"environment lock {digest[:12]}… in the shared place is another one; remove it there.")
    kept.keep_lock(lock)


def _kept_files(kept_dir: Path | None) -> Iterator[tuple[str, Path]]:
    """Give every file that is kept with its name there; hidden ones are at work."""
    for path in sorted(kept_dir.rglob("*")) if kept_dir is not None else []:
        name = path.relative_to(kept_dir) if kept_dir is not None else path
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), path


def _object(content: Any, name: str) -> dict[str, Any]:
    value = loads(content, source=name)
    if not isinstance(value, dict):
        raise DataError(f"{name} in the shared place is no JSON object; remove it there.")
    return value
