"""The part of our house style that a machine can check."""

import ast
import dataclasses
import io
import json
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from perflib import machine, project, results

ROOT = project.root()
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("[!.]*.ipynb"))
MAX_CELL_LINES = 25

UNITS = (
    *("_sec", "_bytes", "_ratio", "_ratios", "_per_sec", "_count", "_percent"),
    *("_watt", "_mhz", "_celsius", "_joule", "_per_example", "_nat", "_db", "_score"),
)
# Floats whose unit is said elsewhere, each with its reason.
WITHOUT_UNIT = {
    *(f"{kind}.{bound}" for kind in ("Interval", "Estimate", "Change") for bound in ("estimate", "low", "high")),
    *("LowerBound.estimate", "LowerBound.low"),  # bounds have the unit of the field that holds them
    *(
        "ScenarioComparison.evidence",
        "MetricComparison.evidence_less",
        "MetricComparison.evidence_more",
    ),  # pure numbers
    "MetricComparison.ratio",  # it is one
    *(f"EvidencePath.log_evidence_{verdict}" for verdict in ("faster", "slower", "no_regression")),
    # A gate compares shares or counts; its sentence says which.
    *(f"Gate.{field}" for field in ("measured", "low", "high", "limit", "warn_limit")),
    "Validation.mcnemar_p",  # a probability, and known by this name
    # The series' own unit, which is a field beside it.
    *("HistoryPoint.value", "SeriesCheck.value", "Nomination.before_value", "Nomination.after_value"),
    "SeriesScan.levels",
    *("Canary.evidence", "Rerun.evidence"),  # pure numbers
    *("Confirmation.ratio", "Culprit.ratio", "Rerun.ratio"),  # they are one
    "Candidate.accuracy_change",  # named so in run.json's contract; a share
}

# --- notebooks --------------------------------------------------------------------------------------------------


def cells_of(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook, their sources as one string."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return [{**cell, "source": "".join(cell["source"])} for cell in document["cells"]]


def code_of(path: Path) -> list[str]:
    """Return the sources of the code cells."""
    return [cell["source"] for cell in cells_of(path) if cell["cell_type"] == "code"]


def tags_of(cell: dict[str, Any]) -> list[str]:
    """Return a cell's tags."""
    return list(cell["metadata"].get("tags", []))


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_a_notebook_has_no_outputs(path: Path) -> None:
    """Results belong to runs; in git they would be stale and large."""
    code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]

    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert {cell["execution_count"] for cell in code} == {None}


@each_notebook
def test_a_notebook_has_the_two_cells_that_the_pipeline_needs(path: Path) -> None:
    """One cell is tagged `parameters`, and the last one `results`."""
    tags = [tags_of(cell) for cell in cells_of(path)]

    assert sum("parameters" in some for some in tags) == 1
    assert [index for index, some in enumerate(tags) if "results" in some] == [len(tags) - 1]


@each_notebook
def test_a_notebook_carries_no_traces_of_a_machine(path: Path) -> None:
    """Kernel python3, no version of Python, nothing of papermill, and ids that stay."""
    document = json.loads(path.read_text(encoding="utf-8"))
    ids = [cell["id"] for cell in document["cells"]]

    assert document["metadata"]["kernelspec"]["name"] == "python3"
    assert "version" not in document["metadata"].get("language_info", {})
    assert "papermill" not in document["metadata"]
    assert all("papermill" not in cell["metadata"] for cell in document["cells"])
    assert len(set(ids)) == len(ids)


@each_notebook
def test_a_notebook_opens_with_a_title(path: Path) -> None:
    """The first cell is prose and starts with a heading."""
    first = cells_of(path)[0]

    assert first["cell_type"] == "markdown"
    assert first["source"].startswith("# ")


@each_notebook
def test_a_notebook_is_a_story_not_a_program(path: Path) -> None:
    """Cells are short, nothing is installed or patched, no path is fixed, no class is defined."""
    for source in code_of(path):
        assert len(source.splitlines()) <= MAX_CELL_LINES, source
        assert re.search(r"%pip|!pip|sys\.path|filterwarnings|^class |[\"']/", source, re.MULTILINE) is None, source


@each_notebook
def test_parameters_are_literals_with_type_and_comment(path: Path) -> None:
    """A default that is derived from another would not follow an override."""
    (source,) = [cell["source"] for cell in cells_of(path) if "parameters" in tags_of(cell)]
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and token.line.strip() != token.string
    }
    for statement in ast.parse(source).body:
        assert isinstance(statement, ast.AnnAssign), ast.unparse(statement)
        assert statement.value is not None
        ast.literal_eval(statement.value)  # raises on anything that is computed

        assert statement.end_lineno in comments, ast.unparse(statement)


def test_a_derived_parameter_would_be_found() -> None:
    """The check itself sees a computed value."""
    (statement,) = ast.parse("half: int = whole // 2").body
    assert isinstance(statement, ast.AnnAssign)
    assert statement.value is not None
    with pytest.raises(ValueError, match="malformed node"):
        ast.literal_eval(statement.value)


# --- files ------------------------------------------------------------------------------------------------------


def project_files() -> Iterator[Path]:
    """Yield every text file that we write."""
    for folder in ("perflib", "notebooks", "params", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts):
                yield path
    yield from (path for path in ROOT.iterdir() if path.is_file())


def test_no_file_names_somebodys_home() -> None:
    """What works only in its author's folder does not work."""
    home = re.compile(r"/(?:home|Users)/[A-Za-z]|/root/[A-Za-z.]|/tmp/[a-z]+/")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in project_files()
        if (match := home.search(path.read_text(encoding="utf-8", errors="replace")))
    ]

    assert found == []


def tree_lines(readme: str) -> list[str]:
    """Return the lines of the first fenced block that is a tree of files."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        if block.startswith("perflib/") or "README.md" in block:
            return [line for line in block.splitlines() if line.strip()]
    return []


def tree_paths(lines: list[str]) -> dict[str, str]:
    """Return path and meaning of each line; two spaces of indentation are one folder deeper."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in lines:
        name, _, meaning = line.strip().partition("  ")
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], name.rstrip("/")]
        found["/".join(above)] = meaning.strip()
    return found


def test_the_readme_tree_is_the_real_one() -> None:
    """Every path that it lists is there, and every module, notebook and params file is listed with its meaning."""
    listed = tree_paths(tree_lines((ROOT / "README.md").read_text(encoding="utf-8")))
    patterns = ("perflib/**/*.py", "notebooks/**/[!.]*.ipynb", "params/**/*.yaml")
    real = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}

    assert [path for path in listed if not (ROOT / path).exists()] == []
    assert sorted(real - set(listed)) == []
    assert [path for path, meaning in listed.items() if not meaning and (ROOT / path).is_file()] == []


def test_a_tree_is_read_by_its_indentation() -> None:
    """The reader of the tree itself is right."""
    tree = "README.md  this\nperflib/\n  engines/   engines\n    a.py   one\n  b.py  two\n"
    readme = f"# x\n```\nls\n```\n```text\n{tree}```\n"

    assert tree_paths(tree_lines(readme)) == {
        "README.md": "this",
        "perflib": "",
        "perflib/engines": "engines",
        "perflib/engines/a.py": "one",
        "perflib/b.py": "two",
    }


# --- records ----------------------------------------------------------------------------------------------------


def float_fields() -> Iterator[tuple[str, str]]:
    """Yield class and name of every field of a record that holds floats or an estimate with bounds."""
    for module in (results, machine):
        for kind in vars(module).values():
            if (
                isinstance(kind, type)
                and dataclasses.is_dataclass(kind)
                and kind.__module__.startswith(module.__name__)
            ):
                hints = get_type_hints(kind)
                for field in dataclasses.fields(kind):
                    if re.search(r"\b(float|Interval|Estimate|LowerBound)\b", str(hints[field.name])):
                        yield kind.__name__, field.name


def test_a_number_says_its_unit_in_its_name() -> None:
    """Exceptions are listed above, each with its reason."""
    nameless = {f"{kind}.{name}" for kind, name in float_fields() if not name.endswith(UNITS)}

    assert nameless - WITHOUT_UNIT == set()
    assert WITHOUT_UNIT - nameless == set()


# --- pins -------------------------------------------------------------------------------------------------------


def pins(lines: list[str]) -> dict[str, str]:
    """Return name and version of ``name==version`` lines, without extras, markers and local versions."""
    found = {}
    for line in lines:
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*==\s*([^\s;+\\]+)", line.strip())
        if match:
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return found


def direct_pins() -> dict[str, str]:
    """Return what pyproject.toml pins for everybody."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return pins(document["project"]["dependencies"])


def test_every_dependency_is_pinned() -> None:
    """A measurement with another version is another measurement."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert len(direct_pins()) == len(document["project"]["dependencies"])
    assert direct_pins()["torch"] == "2.13.0"


def test_the_lock_agrees_with_pyproject() -> None:
    """Whoever installs from the lock gets the same direct dependencies."""
    locked = pins((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())

    assert {name: locked.get(name) for name in direct_pins()} == direct_pins()


def test_the_conda_environment_agrees_with_pyproject() -> None:
    """Conda users get the same versions, from pip."""
    document = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (from_pip,) = [entry["pip"] for entry in document["dependencies"] if isinstance(entry, dict)]
    pinned = pins(from_pip)

    assert {name: pinned.get(name) for name in direct_pins()} == direct_pins()
