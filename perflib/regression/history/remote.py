"""
A history in a shared place: any folder or bucket that fsspec knows, so that a job that starts empty has a past.

    push(history, "s3://team/perflib", kept_dir=kept)
    pull(history, "s3://team/perflib", kept_dir=kept)

A push adds one object with the rows that are not there yet, named by its content, and never changes another's. So two
pushes at once lose nothing; at worst some rows stand there twice.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from perflib.artifact import SPEC_FILE, Artifact
from perflib.errors import DataError, PerflibError, SetupError
from perflib.records import dumps, loads, sha256_bytes, write_bytes
from perflib.regression.history.exchange import add_rows, frame_of, read_rows, rows_of, write_frame
from perflib.regression.history.store import History
from perflib.results.history import Good

_RESULTS, _GOODS, _KEPT = "results", "goods", "kept"


def push(history: History, url: str, *, kept_dir: Path | None = None) -> int:
    """
    Add what is here to a shared place.

    Args:
        history: Whose results and good runs.
        url: Of fsspec.
        kept_dir: Artifacts and locks that good runs need; None for results alone.

    Returns:
        How many results were new there.

    Raises:
        SetupError: If the place cannot be reached or written.
    """
    with _opened(url) as (files, root), tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        there = [row["content_sha256"] for row in _rows_there(files, root, Path(folder))]
        rows = rows_of(history, without=there)
        if rows:
            content = write_frame(frame_of(rows), Path(folder) / "new.parquet").read_bytes()
            _put(files, f"{root}/{_RESULTS}/{sha256_bytes(content)}.parquet", content)
        for one in history.goods():
            content = dumps(one.to_dict()).encode()
            _put(files, f"{root}/{_GOODS}/{sha256_bytes(content)}.json", content)
        for path in sorted(kept_dir.rglob("*")) if kept_dir and kept_dir.is_dir() else []:
            name = path.relative_to(kept_dir).as_posix() if kept_dir else ""
            if path.is_file() and not any(part.startswith(".") for part in PurePosixPath(name).parts):
                _put(files, f"{root}/{_KEPT}/{name}", path.read_bytes())
    return len(rows)


def pull(history: History, url: str, *, kept_dir: Path | None = None) -> int:
    """
    Take what is in a shared place.

    Args:
        history: Gets results and good runs.
        url: Of fsspec.
        kept_dir: Gets artifacts and locks; None for results alone.

    Returns:
        How many results were new here.

    Raises:
        SetupError: If the place cannot be reached.
        DataError: If something there is not what was pushed; nothing damaged is taken.
    """
    with _opened(url) as (files, root), tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        rows = {row["content_sha256"]: row for row in _rows_there(files, root, Path(folder))}
        added_count = add_rows(history, list(rows.values()))
        if kept_dir is not None:
            _pull_kept(files, f"{root}/{_KEPT}", kept_dir)
        for name in _names(files, f"{root}/{_GOODS}"):
            text = files.cat_file(f"{root}/{_GOODS}/{name}")
            if f"{sha256_bytes(text)}.json" != name:
                raise DataError(
                    f"{name} in {_GOODS} of the shared place was changed; push it again from where it is whole."
                )
            history.put_good(Good.from_dict(_object(loads(text, source=name)), source=name))
    return added_count


@contextlib.contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """Open a shared place; what its library says is told without the address, which may hold a secret."""
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
        yield files, str(root).rstrip("/")
    except PerflibError:
        raise
    except (ValueError, ImportError) as error:
        protocol = url.partition("://")[0] if "://" in url else "file"
        raise SetupError(
            f"no place of the kind `{protocol}` can be opened here ({type(error).__name__}); check the word, or "
            "install the package of fsspec for it."
        ) from error
    except Exception as error:
        raise SetupError(
            f"the shared place cannot be used ({type(error).__name__}); check its address, your rights and the network."
        ) from error


def _rows_there(files: Any, root: str, folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in _names(files, f"{root}/{_RESULTS}"):
        content = files.cat_file(f"{root}/{_RESULTS}/{name}")
        if f"{sha256_bytes(content)}.parquet" != name:
            raise DataError(f"{name} in the shared place was changed after it was pushed; remove it there.")
        path = folder / name
        path.write_bytes(content)
        rows += read_rows(path)
    return rows


def _pull_kept(files: Any, root: str, kept_dir: Path) -> None:
    """Take artifacts and locks whose files are what their records say, each folder whole or not at all."""
    if not files.exists(root):
        return
    found: dict[str, dict[str, bytes]] = {}
    for path in files.find(root):
        name = PurePosixPath(str(path).split(f"{root.lstrip('/')}/", 1)[-1])
        if name.is_absolute() or ".." in name.parts or len(name.parts) < 2 or len(name.parts) > 3:
            raise DataError(f"{name} in the shared place lies where nothing is kept; remove it there.")
        if not (kept_dir / name).exists():
            found.setdefault("/".join(name.parts[:2]), {})[name.as_posix()] = files.cat_file(path)
    for place, contents in found.items():
        _take(kept_dir, place, contents)


def _take(kept_dir: Path, place: str, contents: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=_made(kept_dir)) as work:
        for name, content in contents.items():
            write_bytes(Path(work) / name, content)
        source, target = Path(work) / place, kept_dir / place
        if (source / SPEC_FILE).is_file() and Artifact.load(source).digest != source.name:
            raise DataError(f"artifact {source.name} in the shared place is another one; remove it there.")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            source.rename(target)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _names(files: Any, folder: str) -> list[str]:
    if not files.exists(folder):
        return []
    return sorted(PurePosixPath(str(path)).name for path in files.find(folder))


def _put(files: Any, path: str, content: bytes) -> None:
    if not files.exists(path):
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        files.pipe_file(path, content)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError("a good run in the shared place is no JSON object; remove it there.")
    return value
