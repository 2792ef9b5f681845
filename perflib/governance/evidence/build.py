"""
Put a pack together: what a run left, and what was made of it, in a folder that is there whole or not at all.

    build_pack(run.folder, run.folder / "evidence", parts, run_id=…, claimed=("int8",), …)

Raw answers (predictions, probes) are kept only of the candidates that the pack speaks for, and without the texts that
were asked, which are not ours to hand on; examples for people to read stay with the run. Of all other candidates the
records say what was found.
"""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from perflib import units
from perflib.errors import DataError, ParameterError, SetupError
from perflib.governance.evidence import layout, strict
from perflib.governance.evidence.manifest import make_manifest, write_manifest
from perflib.governance.evidence.secrets import secrets
from perflib.governance.evidence.strict import shown
from perflib.records import write_bytes
from perflib.results.governance import Manifest

# Files of these kinds only: a run may also hold what nobody packs, such as a table that somebody made by hand.
_RECORD_PATTERNS = ("*.json", "predictions-*.parquet", "probes-*.parquet")
_TEXTS_PATTERN = "exemplars-*.csv"
_TEXT_COLUMNS = ("before", "after")
_SHOWN_COUNT = 3
# What every private key says of itself; only files that hold one of these words are searched in full.
_KEY_WORDS = (b"PRIVATE KEY", b"PuTTY-User-Key-File")


def build_pack(
    run_folder: Path,
    folder: Path,
    parts: Mapping[str, bytes],
    *,
    run_id: str,
    run_ulid: str,
    built: str,
    claimed: Sequence[str],
    promoted: Sequence[str],
    version: str,
    force: bool = False,
) -> Manifest:
    """
    Build a pack beside its place and put it there when it is whole; the same inputs give the same bytes.

    Args:
        run_folder: With `run.json`, `report.html` and `records/`.
        folder: Where the pack goes; an older, unsigned one is replaced.
        parts: What was made of the run: path below the pack to content.
        run_id: As all others below, for the manifest.
        run_ulid: Of the run.
        built: RFC 3339 in UTC.
        claimed: Candidates that the pack says are approved.
        promoted: Candidates that a person has promoted.
        version: Of perflib.
        force: Whether a signed pack may be replaced; its signatures are lost.

    Raises:
        ParameterError: If the pack that is there is signed, a part leaves the folder or belongs to no pack, a file
            holds a private key, or the pack is larger than 10 MB.
        DataError: If the run lacks a file, or holds a link where a pack needs a file.
        SetupError: If the folder cannot be written.
    """
    _refuse_signed(folder, force=force)
    for path in parts:
        _check_path(path)
    contents = {**_of_run(run_folder, {*claimed, *promoted}), **parts}
    _check_size(contents)
    _check_keys(contents)
    with _beside(folder) as scratch:
        for path, content in sorted(contents.items()):
            write_bytes(scratch / path, content)
        manifest = make_manifest(
            scratch,
            run_id=run_id,
            run_ulid=run_ulid,
            built=built,
            claimed=claimed,
            promoted=promoted,
            version=version,
        )
        write_manifest(scratch, manifest)
    return manifest


def left_out(run_folder: Path, kept: Collection[str]) -> tuple[str, ...]:
    """Return the raw answers of a run that a pack for these candidates leaves out, as paths below the run."""
    others = [path for path in _record_paths(run_folder) if layout.is_raw(path) and _owner(path) not in kept]
    texts = (run_folder / layout.RECORDS_FOLDER).glob(_TEXTS_PATTERN)
    return tuple(sorted([*others, *(f"{layout.RECORDS_FOLDER}/{path.name}" for path in texts)]))


def _of_run(run_folder: Path, kept: Collection[str]) -> dict[str, bytes]:
    dropped = set(left_out(run_folder, kept))
    paths = [layout.RUN_FILE, layout.REPORT_FILE, *(one for one in _record_paths(run_folder) if one not in dropped)]
    for path in paths[:2]:
        if not (run_folder / path).exists():
            raise DataError(f"{run_folder} has no {path}; finish the run, then build its pack.")
    return {path: _content(run_folder, path) for path in paths}


def _content(run_folder: Path, path: str) -> bytes:
    content = strict.read_plain(run_folder / path, limit_bytes=strict.MAX_FILE_BYTES)
    return _without_texts(content, path) if PurePosixPath(path).match("probes-*.parquet") else content


def _without_texts(content: bytes, path: str) -> bytes:
    """Return a table of probes without what was asked, as small as it gets: answers have nothing that repeats."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is no Parquet file ({error}); validate the candidate again.") from error
    kept = table.select([name for name in table.column_names if name not in _TEXT_COLUMNS]).replace_schema_metadata(
        None
    )
    buffer = io.BytesIO()
    parquet.write_table(kept, buffer, compression="zstd", compression_level=19, use_dictionary=False)
    return buffer.getvalue()


def _record_paths(run_folder: Path) -> list[str]:
    folder = run_folder / layout.RECORDS_FOLDER
    found = {path.name for pattern in _RECORD_PATTERNS for path in folder.glob(pattern)}
    # A name that starts with a dot is a file that is being written.
    return sorted(f"{layout.RECORDS_FOLDER}/{name}" for name in found if not name.startswith("."))


def _owner(path: str) -> str:
    """Return whose raw answers these are: the file's name after its kind."""
    return PurePosixPath(path).stem.partition("-")[2]


def _refuse_signed(folder: Path, *, force: bool) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ParameterError(f"{folder} is a link or a file; name a folder for the pack.")
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / layout.MANIFEST_FILE).is_file():
        raise ParameterError(f"{folder} holds something that is no pack; it stays, so name another folder.")
    if (folder / layout.BUNDLE_FILE).exists() and not force:
        raise ParameterError(
            f"{folder} is signed, and a new pack needs new signatures; say so with --force, or keep this one."
        )


def _check_path(path: str) -> None:
    wrong = strict.path_problem(path)
    if wrong:
        raise ParameterError(f"the part {shown(path)!r} cannot be in a pack: {wrong}.")
    if path in layout.UNLISTED:
        raise ParameterError(f"the part {shown(path)!r} is written when the pack is listed or signed; leave it out.")
    layout.kind_of(path)


def _check_size(contents: Mapping[str, bytes]) -> None:
    total_bytes = sum(len(content) for content in contents.values())
    if total_bytes > layout.MAX_PACK_BYTES:
        largest = sorted(contents, key=lambda path: (-len(contents[path]), path))[:_SHOWN_COUNT]
        named = ", ".join(f"{path} ({units.size(len(contents[path]))})" for path in largest)
        raise ParameterError(
            f"the pack would have {total_bytes:,} bytes, and {layout.MAX_PACK_BYTES:,} are the most; "
            f"the largest files are {named}: claim fewer candidates or shorten these."
        )


def _check_keys(contents: Mapping[str, bytes]) -> None:
    for path, content in contents.items():
        # Also in a binary file a key in PEM is plain ASCII.
        if any(word in content for word in _KEY_WORDS) and "a private key" in secrets(content.decode("latin-1")):
            raise ParameterError(f"{path} holds a private key, and a pack goes to others; take it out, make a new key.")


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Give a new folder that takes this one's place when nothing was raised."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            # Not the holder itself: mkdtemp makes a folder that only its owner can read.
            scratch = holder / "new"
            scratch.mkdir()
            yield scratch
            _replace(folder, scratch, holder / "old")
        finally:
            shutil.rmtree(holder, ignore_errors=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be written ({error.strerror}); choose another folder.") from error


def _replace(folder: Path, scratch: Path, old: Path) -> None:
    # A folder cannot be renamed onto one that holds files, so the old one steps aside first.
    is_there = folder.exists()
    if is_there:
        folder.rename(old)
    try:
        scratch.rename(folder)
    except OSError:
        if is_there:
            old.rename(folder)
        raise
