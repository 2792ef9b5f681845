"""Scraps survive a real kernel, our reader and the real scrapbook."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from perflib import scraps
from perflib.errors import DataError, ParameterError

CELLS = (
    """
import dataclasses
import numpy as np, pandas as pd
import matplotlib.pyplot as plt
from IPython.display import Markdown
from perflib import scraps

@dataclasses.dataclass(frozen=True)
class Point:
    low: float
    high: float | None
""",
    """
scraps.glue("number", 1.42)
scraps.glue("numpy_number", np.int64(7))
scraps.glue("array", np.array([[1.0, np.nan], [np.inf, 2.0]]))
scraps.glue("pair", (1, "two"))
scraps.glue("point", {"point": Point(0.5, float("nan"))})
scraps.glue("text", "true")
scraps.glue("again", 1)
scraps.glue("again", 2)
""",
    """
scraps.glue("table", pd.DataFrame({"name": ["a", "b"], "time_sec": [0.1, np.nan]}), view=Markdown("a **table**"))
""",
    """
figure, axes = plt.subplots(label='Bars: "int8" is the shortest')
axes.bar([1, 2], [3, 4])
scraps.glue("figure_data", [3, 4], view=figure)
""",
    """
scraps.glue_complete("20261101-120000_test_abc1234")
""",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Execute a notebook that glues one of each kind."""
    import papermill

    folder = tmp_path_factory.mktemp("scraps")
    notebook = new_notebook(cells=[new_code_cell(source.strip()) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "in.ipynb")
    (folder / "runs").mkdir()
    papermill.execute_notebook(str(folder / "in.ipynb"), str(folder / "runs" / "out.ipynb"), progress_bar=False)
    return folder / "runs" / "out.ipynb"


def finished(value: object, *, kind: str = "json", count: int | None = 1) -> dict[str, Any]:
    """Return a minimal executed notebook that holds one completion scrap."""
    payload = {"name": "complete", "data": value, "encoder": kind, "version": 1}
    output = new_output("display_data", data={f"application/scrapbook.scrap.{kind}+json": payload})
    cells = [new_markdown_cell("# A"), new_code_cell("glue()", execution_count=count, outputs=[output])]
    return json.loads(nbformat.writes(new_notebook(cells=cells)))


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    """Write a notebook given as data and return its path."""

    def save(notebook: object) -> Path:
        path = tmp_path / "out.ipynb"
        path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook))
        return path

    return save


def test_our_reader_returns_every_value(executed: Path) -> None:
    """Plain, numpy, dataclass and table values come back, unknown numbers as None, the later of two with one name."""
    found = scraps.read(executed)

    assert found["number"] == 1.42
    assert found["numpy_number"] == 7
    assert found["array"] == [[1.0, None], [None, 2.0]]
    assert found["pair"] == [1, "two"]
    assert found["point"] == {"point": {"low": 0.5, "high": None}}
    assert found["text"] == "true"
    assert found["again"] == 2
    assert list(found["table"]["name"]) == ["a", "b"]
    assert np.isnan(found["table"]["time_sec"][1])


def test_scrapbook_itself_reads_what_we_glued(executed: Path) -> None:
    """The real scrapbook returns the same data, from one notebook and from a folder of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scrapbook

        theirs = scrapbook.read_notebook(str(executed)).scraps
        book = scrapbook.read_notebooks(str(executed.parent))

    ours = scraps.read(executed)
    assert {name: value for name, value in ours.items() if name != "table"} == {
        name: scrap.data for name, scrap in theirs.items() if name != "table"
    }
    assert ours["table"].equals(theirs["table"].data)
    assert theirs["table"].display["data"]["text/markdown"] == "a **table**"
    assert book.notebook_scraps["out"]["number"].data == 1.42


def test_a_figure_is_shown_once_with_its_alt_text(executed: Path) -> None:
    """Data and picture travel in one output, the label is the alternative text, and the kernel adds no second copy."""
    cell = nbformat.read(executed, as_version=4).cells[3]

    (output,) = cell.outputs
    assert {"image/png", "application/scrapbook.scrap.json+json"} <= set(output.data)
    assert output.metadata["image/png"]["alt"] == 'Bars: "int8" is the shortest'
    assert output.metadata["scrapbook"] == {"name": "figure_data", "data": True, "display": True}


def test_a_finished_notebook_is_complete_for_its_run_only(executed: Path) -> None:
    """The completion scrap counts for the run that left it."""
    assert scraps.is_complete(executed, "20261101-120000_test_abc1234")
    assert not scraps.is_complete(executed, "20261101-120000_test_abc1234-2")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), np.float64("nan"), np.float32("-inf")])
def test_an_unknown_value_is_refused(value: object) -> None:
    """A bare None or a number that is not finite is no scrap."""
    with pytest.raises(ParameterError, match="`x` has no value"):
        scraps.glue("x", value)


@pytest.mark.parametrize("value", [object(), {1, 2}, [b"bytes"], {"deep": [object()]}, 1 + 2j])
def test_a_value_that_is_not_data_is_refused(value: object) -> None:
    """What JSON cannot hold is named in one sentence."""
    with pytest.raises(ParameterError, match="`x` holds a "):
        scraps.glue("x", value)


def test_a_figure_without_label_is_refused() -> None:
    """A picture that cannot be heard is not glued."""
    from matplotlib.figure import Figure

    with pytest.raises(ParameterError, match="set_label"):
        scraps._represent("x", Figure())


def test_glue_outside_a_notebook_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A plain script may call the same function."""

    @dataclasses.dataclass
    class Pair:
        a: int

    scraps.glue("x", Pair(1), view="seen")
    scraps.glue_complete("run")

    assert capsys.readouterr() == ("", "")


def test_a_completion_scrap_is_recognised(saved: Any) -> None:
    """Markdown, and an empty code cell that was never sent to the kernel, do not hide completeness."""
    notebook = finished({"complete": True, "run_id": "r"})
    notebook["cells"].append(json.loads(json.dumps(new_code_cell(""))))

    assert scraps.is_complete(saved(notebook), "r")


@pytest.mark.parametrize(
    "notebook",
    [
        "",
        "[]",
        "{}",
        '{"cells": 3}',
        '{"cells": [3]}',
        '{"cells": [{"outputs": 3}]}',
        '{"cells": [{"cell_type": "code", "source": null, "execution_count": null}]}',
        '{"cells": [{"outputs": [{"data": {"application/scrapbook.scrap.json+json": 7}}]}]}',
        finished(None),
        finished([True]),
        finished({"complete": False, "run_id": "r"}),
        finished({"complete": 1, "run_id": "r"}),
        finished({"complete": True}),
        finished({"complete": True, "run_id": "other"}),
        finished({"complete": True, "run_id": "r"}, count=None),
    ],
)
def test_anything_else_is_incomplete(saved: Any, notebook: object) -> None:
    """A malformed notebook, another run or a cell that was not executed is never called complete."""
    assert not scraps.is_complete(saved(notebook), "r")


def test_a_missing_notebook_is_incomplete(tmp_path: Path) -> None:
    """No file, no completion."""
    assert not scraps.is_complete(tmp_path / "none.ipynb", "r")


@pytest.mark.parametrize("value", ["not base64!", "QUJD", 7, None])
def test_a_damaged_table_is_refused(saved: Any, value: object) -> None:
    """A pandas scrap that holds no Parquet is a data error in one sentence."""
    with pytest.raises(DataError, match="holds no table"):
        scraps.read(saved(finished(value, kind="pandas")))
