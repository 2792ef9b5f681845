"""
What a notebook leaves for people and tools that read notebooks: scraps, in scrapbook's own format.

The records of a run are its contract; scraps repeat the few values that somebody may look for in the notebook itself.
The scrapbook package loses a value that is glued together with its display, writes NaN as the word ``nan``, and refuses
numpy numbers, so its wire format is spoken here and nowhere else: one MIME bundle carries the data and, if there is
one, the picture. ``scrapbook.read_notebook`` reads what we write.

    >>> glue("speedup_ratio", 1.42)  # outside a notebook the value is checked and nothing is shown
"""

import base64
import binascii
import dataclasses
import io
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perflib.errors import DataError, ParameterError
from perflib.records import Record, dumps, read_json

COMPLETE = "complete"

_PREFIX = "application/scrapbook.scrap."


def glue(name: str, data: object, *, view: object = None) -> None:
    """
    Leave a value in the output of this cell, together with how it looks.

    Args:
        name: What a reader asks for.
        data: Plain data, numpy values, a dataclass, or a small pandas DataFrame.
        view: What people see, such as a Figure or Markdown; a Figure's label is its alternative text.

    Raises:
        ParameterError: If the value is unknown (None, NaN) or not plain data, or a Figure has no label.

    Example:
        >>> glue("accuracy_ratio", float("nan"))
        Traceback (most recent call last):
        ...
        perflib.errors.ParameterError: scrap `accuracy_ratio` has no value (nan); glue it only where it is known.
    """
    encoder, value = _encode(name, data)
    if not _is_in_ipython():
        return  # IPython's display would print the raw bundle
    from IPython.display import display

    bundle, metadata = _represent(name, view) if view is not None else ({}, {})
    bundle[f"{_PREFIX}{encoder}+json"] = {"name": name, "data": value, "encoder": encoder, "version": 1}
    metadata["scrapbook"] = {"name": name, "data": True, "display": view is not None}
    display(bundle, metadata=metadata, raw=True)


def read(path: Path) -> dict[str, Any]:
    """
    Read the scraps of an executed notebook; of two with one name the later counts.

    Raises:
        DataError: If the notebook or a scrap in it is malformed.
    """
    return {name: _decode(path, name, encoder, value) for name, encoder, value in _payloads(path, _cells(path))}


def glue_complete(run_id: str) -> None:
    """Leave the completion scrap: the last cell of this notebook was reached in this run."""
    glue(COMPLETE, {"complete": True, "run_id": run_id})


def is_complete(path: Path, run_id: str) -> bool:
    """
    Tell whether the notebook ran to its end in this run.

    The notebook's own status cannot be asked: after a time-out or a dead kernel papermill calls every cell completed.

    Args:
        path: The executed notebook.
        run_id: The run that `glue_complete` was told.
    """
    try:
        cells = _cells(path)
        left = {name: value for name, _, value in _payloads(path, cells)}.get(COMPLETE)
    except DataError:
        return False
    is_left = isinstance(left, dict) and left.get("complete") is True and left.get("run_id") == run_id
    return is_left and not any(_is_skipped(cell) for cell in cells)


def _is_skipped(cell: dict[str, Any]) -> bool:
    """Tell whether code was not executed; an empty cell is never sent to the kernel, so it cannot be."""
    is_empty = cell.get("source") in ("", [], [""])
    return cell.get("cell_type") == "code" and cell.get("execution_count") is None and not is_empty


def _is_in_ipython() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and shell.get_ipython() is not None


def _encode(name: str, data: object) -> tuple[str, object]:
    """Choose scrapbook's encoder and bring the value into its form."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return "pandas", base64.b64encode(data.to_parquet(engine="pyarrow")).decode()
    value = _plain(name, data)
    if value is None:  # scrapbook's schema forbids it, and one such scrap makes all the others unreadable
        raise ParameterError(f"scrap `{name}` has no value ({data}); glue it only where it is known.")
    dumps(value)
    return ("text" if isinstance(value, str) else "json"), value


def _plain(name: str, data: object) -> object:  # noqa: PLR0911 - one line per kind of value
    """Turn a value into what JSON knows; a number that is not finite becomes None."""
    if isinstance(data, np.generic | np.ndarray):
        return _plain(name, data.tolist())
    if isinstance(data, float):
        return float(data) if math.isfinite(data) else None
    if data is None or isinstance(data, str | bool | int):
        return data
    if isinstance(data, Record):
        return _plain(name, data.to_dict())
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return {field.name: _plain(name, getattr(data, field.name)) for field in dataclasses.fields(data)}
    if isinstance(data, Mapping):
        return {str(key): _plain(name, value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(name, value) for value in data]
    raise ParameterError(
        f"scrap `{name}` holds a {type(data).__name__}; glue numbers, text, lists, dicts or a DataFrame."
    )


def _represent(name: str, view: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a view's MIME bundle and metadata."""
    from matplotlib.figure import Figure

    if not isinstance(view, Figure):
        from IPython.core.formatters import format_display_data

        bundle, metadata = format_display_data(view)
        return dict(bundle), dict(metadata)
    alt = str(view.get_label()).strip()
    if not alt:
        raise ParameterError(
            f"the figure of scrap `{name}` has no alternative text; describe it with fig.set_label(…)."
        )
    content = io.BytesIO()
    view.savefig(content, format="png", dpi=200, bbox_inches="tight")
    if "matplotlib.pyplot" in sys.modules:  # or the kernel would show it a second time when the cell ends
        sys.modules["matplotlib.pyplot"].close(view)
    return {"image/png": base64.b64encode(content.getvalue()).decode(), "text/plain": alt}, {"image/png": {"alt": alt}}


def _cells(path: Path) -> list[dict[str, Any]]:
    notebook = read_json(path)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise DataError(f"{path} is not a notebook; run it again.")
    return cells


def _payloads(path: Path, cells: list[dict[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """Yield name, encoder and raw value of each scrap."""
    for cell in cells:
        outputs = cell.get("outputs", [])
        for output in outputs if isinstance(outputs, list) else []:
            data = output.get("data", {}) if isinstance(output, dict) else {}
            for kind, payload in data.items() if isinstance(data, dict) else []:
                if not kind.startswith(_PREFIX):
                    continue
                try:
                    yield str(payload["name"]), str(payload["encoder"]), payload["data"]
                except (KeyError, TypeError) as error:
                    raise DataError(
                        f"{path} holds a scrap that cannot be understood; run the notebook again."
                    ) from error


def _decode(path: Path, name: str, encoder: str, value: Any) -> Any:
    if encoder != "pandas":
        return value
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(io.BytesIO(base64.b64decode(value, validate=True)), engine="pyarrow")
    except (binascii.Error, TypeError, ValueError, OSError, pa.ArrowException) as error:
        raise DataError(f"scrap `{name}` of {path} holds no table; run the notebook again.") from error
