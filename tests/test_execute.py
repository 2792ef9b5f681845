"""What became of a notebook is found out from kernels that really fail, not from papermill's metadata."""

import json
import shutil
from pathlib import Path

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from perflib.errors import SetupError
from perflib.pipeline.execute import execute, executed_path
from perflib.pipeline.plan import PlannedStep
from perflib.results import Failure
from perflib.runs import Run
from tests.conftest import NOTEBOOKS

SENTENCE = "workload `reviews-tinny` is not known; did you mean `reviews-tiny`?"


def step_of(name: str, run: Run) -> PlannedStep:
    """Plan one of the fixture notebooks as an experiment."""
    return PlannedStep(name, NOTEBOOKS / f"{name}.ipynb", {"run_dir": str(run.folder)}, "ab", is_modified=False)


def run_fixture(name: str, folder: Path, *, cell_timeout_sec: int = 120) -> Failure | None:
    """Execute one of the fixture notebooks in a real kernel."""
    run = Run(folder)
    return execute(step_of(name, run), run, cell_timeout_sec=cell_timeout_sec)


def test_a_notebook_that_reaches_its_end_is_no_failure(tmp_path: Path) -> None:
    """A good notebook gives None, and nothing but the executed notebook is left."""
    folder = tmp_path / "a run {tag}"  # F4: papermill would look for a parameter of this name

    assert run_fixture("good", folder) is None
    assert [path.name for path in (folder / "notebooks").iterdir()] == ["02_good.ipynb"]


def test_an_error_is_told_with_its_cell(tmp_path: Path) -> None:
    """The sentence names the notebook, the cell and the error, and the executed notebook is kept."""
    failure = run_fixture("raises", tmp_path)

    assert failure is not None
    assert failure.reason == "cell-error"
    assert failure.sentence.startswith(
        "raises.ipynb for raises: cell 3 said: ZeroDivisionError: division by zero (see "
    )
    assert str(executed_path("raises", Run(tmp_path))) in failure.sentence
    assert "ZeroDivisionError" in executed_path("raises", Run(tmp_path)).read_text(encoding="utf-8")


def test_our_own_error_is_told_as_its_sentence(tmp_path: Path) -> None:
    """A PerflibError is for the reader, so neither its class nor a traceback stands before it."""
    failure = run_fixture("raises_perflib_error", tmp_path)

    assert failure is not None
    assert failure.reason == "cell-error"
    assert f"cell 3 said: {SENTENCE} (see " in failure.sentence


def test_our_own_error_is_one_line_in_the_notebook(tmp_path: Path) -> None:
    """`Session.begin` takes the traceback away, and papermill still sees a failed cell."""
    made = tmp_path / "executed.ipynb"
    with pytest.raises(PapermillExecutionError) as caught:
        papermill.execute_notebook(
            str(NOTEBOOKS / "raises_perflib_error.ipynb"), str(made), {"run_dir": str(tmp_path)}, progress_bar=False
        )
    cells = json.loads(made.read_text(encoding="utf-8"))["cells"]
    errors = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"]

    assert (caught.value.ename, caught.value.evalue) == ("ParameterError", SENTENCE)
    assert [output["traceback"] for output in errors] == [[f"ParameterError: {SENTENCE}"]]


def test_a_killed_kernel_is_not_a_success(tmp_path: Path) -> None:
    """Papermill's notebook says that every cell completed (F6); we say that the kernel died."""
    failure = run_fixture("dies", tmp_path)

    assert failure is not None
    assert failure.reason == "kernel-died"
    assert "out of memory" in failure.sentence
    assert executed_path("dies", Run(tmp_path)).is_file()


def test_a_cell_that_hangs_times_out(tmp_path: Path) -> None:
    """The sentence names the limit and the parameter that sets it."""
    failure = run_fixture("hangs", tmp_path, cell_timeout_sec=3)

    assert failure is not None
    assert failure.reason == "timeout"
    assert "longer than 3 s; raise cell_timeout_sec" in failure.sentence
    assert executed_path("hangs", Run(tmp_path)).is_file()


@pytest.mark.parametrize("name", ["stops_early", "incomplete"])
def test_a_notebook_that_does_not_reach_its_end_is_incomplete(name: str, tmp_path: Path) -> None:
    """`sys.exit(0)` is no error to papermill, and a missing completion scrap none to anybody else."""
    failure = run_fixture(name, tmp_path)

    assert failure is not None
    assert failure.reason == "incomplete"
    assert executed_path(name, Run(tmp_path)).is_file()


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What papermill cannot write is an error of the machine, and the earlier notebook stays (F10)."""
    run = Run(tmp_path)
    target = executed_path("good", run)
    target.parent.mkdir()
    shutil.copy(NOTEBOOKS / "good.ipynb", target)

    def fill_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", fill_disk)
    with pytest.raises(SetupError, match="No space left on device"):
        execute(step_of("good", run), run, cell_timeout_sec=10)

    assert target.read_bytes() == (NOTEBOOKS / "good.ipynb").read_bytes()


def test_executed_notebooks_are_called_as_their_step(tmp_path: Path) -> None:
    """The number says which template it was, the word which experiment."""
    run = Run(tmp_path)
    names = [executed_path(name, run).name for name in ("baseline", "int8", "report")]

    assert names == ["01_baseline.ipynb", "02_int8.ipynb", "04_report.ipynb"]
