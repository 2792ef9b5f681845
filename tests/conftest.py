"""What several tests share: folders of their own, and one real run of the smoke parameters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from perflib import project
from perflib.pipeline import Outcome, run_params

NOTEBOOKS = Path(__file__).parent / "fixtures" / "notebooks"


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Send runs and the host lock to a folder of this test, and return where runs go."""
    monkeypatch.setenv("PERFLIB_OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("PERFLIB_LOCK_DIR", str(tmp_path / "lock"))
    return tmp_path / "outputs"


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Run `params/smoke.yaml` once, really, for all tests that read a finished run."""
    folder = tmp_path_factory.mktemp("smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFLIB_OUTPUTS_DIR", str(folder / "outputs"))
        patch.setenv("PERFLIB_LOCK_DIR", str(folder / "lock"))
        yield run_params(project.root() / "params" / "smoke.yaml")
