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


# Their engines and compiled packages stay loaded; a later test that collects garbage in the same process has crashed.
_ENGINE_TESTS = {
    *("test_inductor", "test_onnxruntime", "test_engine_stage", "test_engines", "test_parity", "test_quantize"),
    *("test_ranges", "test_qat", "test_every_stage", "test_bad_recipes", "test_distil", "test_teaching"),
    *("test_vocabulary", "test_prune", "test_sensitivity", "test_folding", "test_search", "test_choosing"),
    "test_counted_engines",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that load many engines, so that they run in a process of their own."""
    for item in items:
        if item.path.stem in _ENGINE_TESTS:
            item.add_marker("engines")
