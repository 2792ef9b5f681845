"""The walls of the house, by the syntax trees: what a room may import is written here, and a new room must be added."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import perflib

PACKAGE = Path(perflib.__file__).parent

# A room is a module or a package directly below perflib; it may import itself and the rooms written after it.
_BASE = {"errors", "units", "records", "machine"}
_GROUND = _BASE | {"plugins", "project", "progress", "encoded", "batching", "nvtx", "plain", "plain_yaml", "results"}
_BELOW_PARTS = _GROUND | {"artifact", "engines", "workloads"}
_ROOF = {
    *(
        "scraps",
        "session",
        "experiment",
        "compressing",
        "choosing",
        "endtoend",
        "comparing",
        "validating",
        "calibrating",
        "planted",
        "explaining",
        "viewers",
        "diagnosing",
        "outside",
        "finalists",
        "verdict",
        "watching",
        "cli_watch",
        "casework",
        "governing",
        "rehearsing",
        "cli_evidence",
    ),
    *("report", "report_view", "reporting", "pdf", "pipeline", "search", "ladder", "breakeven", "cli"),
}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "units": {"errors"},
    "records": {"errors", "units"},
    "machine": {"errors", "units", "records"},
    "plugins": _BASE,
    "project": _BASE,
    "progress": _BASE,
    "encoded": _BASE | {"project", "progress"},
    "batching": set(),
    "nvtx": set(),
    "plain": set(),
    "plain_yaml": {"errors"},
    "results": _BASE | {"project", "progress", "encoded"},
    "artifact": _GROUND | {"engines"},
    "engines": _GROUND | {"artifact"},
    "workloads": _GROUND | {"artifact", "engines"},
    "profiling": _BELOW_PARTS,
    "compression": _BELOW_PARTS,
    "benchmarking": _BELOW_PARTS,
    "validation": _BELOW_PARTS,
    "regression": _BELOW_PARTS | {"benchmarking"},
    "governance": _BELOW_PARTS | {"runs", "pointed"},
    "gate_words": {"errors", "units", "results"},
    "plots": _GROUND | {"gate_words", "sentences"},
    "sentences": _GROUND,
    "tables": _GROUND | {"gate_words", "sentences"},
    "pointed": {"errors", "units", "records"},
    "runs": _GROUND | {"artifact"},
    "params": {"errors", "project", "plain_yaml", "benchmarking", "compression"},
    "guardrails": {"errors", "records", "project", "validation", "plain_yaml"},
}
_EVERYTHING = set(ALLOWED) | _ROOF
ALLOWED |= dict.fromkeys(_ROOF | {"__init__", "__main__"}, _EVERYTHING)

# An outside package -> the files, or the package's folder, that may import it.
OWNERS = {
    "scrapbook": ("scraps.py",),
    "papermill": ("pipeline.py", "pipeline/"),
    "openvino": ("engines/openvino_engine.py",),
    "nbconvert": ("report.py",),
    "pynvml": ("benchmarking/gpu.py", "benchmarking/energy.py"),
    "transformers": ("workloads/hf_classifier.py", "workloads/table.py"),
    "onnx": ("engines/onnx_engine.py", "engines/onnx_build.py"),
    "onnxruntime": ("engines/onnx_engine.py", "engines/onnx_build.py"),
    "nncf": ("compression/quantizers/openvino.py",),
    "torch_pruning": ("compression/conv_surgery.py",),
    "optuna": ("search.py", "search/"),
    "sqlalchemy": ("regression/history/",),
    "alembic": ("regression/history/",),
    "fsspec": ("regression/history/",),
    "apprise": ("regression/alerts/",),
    "junitparser": ("regression/alerts/",),
    "pymannkendall": ("regression/changepoints/",),
    "prometheus_client": ("regression/metrics/",),
    "securesystemslib": ("governance/evidence/",),
    "cryptography": ("governance/evidence/",),
    "detect_secrets": ("governance/evidence/secrets.py",),
    "cyclonedx": ("governance/bom.py",),
    "packageurl": ("governance/bom.py", "governance/evidence/"),
    "huggingface_hub": ("governance/cards.py", "workloads/", "compression/students.py"),
}
OPTIONAL = {"pynvml", "openvino", "nncf", "onnx", "onnxruntime", "torchao", "torch_pruning", "optuna", "tensorrt"}


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _room(place: str) -> str:
    return place.split("/", maxsplit=1)[0].removesuffix(".py")


def _is_type_checking(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _nodes(tree: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    """Walk a tree, without what only type checkers read, and without function bodies where those are not asked for."""
    for node in ast.iter_child_nodes(tree):
        if _is_type_checking(node):
            yield from (part for branch in node.orelse for part in ast.walk(branch))  # type: ignore[attr-defined]
            continue
        yield node
        if into_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _nodes(node, into_functions=into_functions)


def imported_modules(source: str, place: str, *, into_functions: bool = True) -> set[str]:
    """Return the full names that a file imports: modules, and what is taken from them, which may be modules too."""
    package = ["perflib", *place.split("/")[:-1]]
    found: set[str] = set()
    for node in _nodes(ast.parse(source), into_functions=into_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(source: str, place: str) -> set[str]:
    """Return the other rooms that a file imports."""
    parts = [name.split(".") for name in imported_modules(source, place)]
    return {part[1] for part in parts if part[0] == "perflib" and len(part) > 1} - {_room(place)}


def forbidden_rooms(source: str, place: str) -> list[str]:
    """Return the rooms that a file imports against the walls."""
    return sorted(rooms_imported(source, place) - ALLOWED[_room(place)])


def _owners_broken(source: str, place: str) -> list[str]:
    outside = {name.split(".")[0] for name in imported_modules(source, place)}
    return sorted(
        name
        for name, owners in OWNERS.items()
        if name in outside
        and not any(place == owner or (owner[-1] == "/" and place.startswith(owner)) for owner in owners)
    )


def test_every_room_is_placed() -> None:
    """A new module directly below perflib has to be given its walls here."""
    assert {_room(_place(path)) for path in _files()} - set(ALLOWED) == set()


@pytest.mark.parametrize("path", _files(), ids=_place)
def test_a_room_imports_only_what_its_walls_allow(path: Path) -> None:
    """The parts do not know each other, and nobody knows the roof but the roof."""
    assert forbidden_rooms(path.read_text(encoding="utf-8"), _place(path)) == []


@pytest.mark.parametrize("path", _files(), ids=_place)
def test_an_outside_package_has_one_owner(path: Path) -> None:
    """What may change under us is imported in one place."""
    assert _owners_broken(path.read_text(encoding="utf-8"), _place(path)) == []


def test_nncf_is_imported_in_one_file_only() -> None:
    """Whichever file quantizes with it is the only one."""
    users = [
        _place(path)
        for path in _files()
        if "nncf" in {name.split(".")[0] for name in imported_modules(path.read_text(encoding="utf-8"), _place(path))}
    ]

    assert len(users) <= 1, users


@pytest.mark.parametrize("path", _files(), ids=_place)
def test_optional_engines_are_not_needed_to_import_perflib(path: Path) -> None:
    """Only an engine's own file imports its package at the top, and only functions import that file."""
    place = _place(path)
    if place.startswith("engines/") and place != "engines/__init__.py":
        pytest.skip("the file of an engine")
    top = imported_modules(path.read_text(encoding="utf-8"), place, into_functions=False)
    optional_files = {f"perflib.engines.{name}_engine" for name in OPTIONAL}

    assert {name.split(".")[0] for name in top} & OPTIONAL == set()
    assert top & optional_files == set()


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("records.py", "from perflib.machine import MachineCard"),
        ("errors.py", "import perflib.units"),
        ("artifact.py", "def f():\n    from perflib import workloads"),
        ("profiling/x.py", "from perflib.compression import stage"),
        ("profiling/x.py", "from ..compression import stage"),
        ("profiling/x.py", "try:\n    from .. import benchmarking\nexcept ImportError:\n    pass"),
        ("governance/x.py", "import perflib.benchmarking.decision as d"),
        ("plots/speed.py", "from perflib.artifact import Artifact"),
        ("workloads/x.py", "from perflib.cli import main"),
        ("validation/gates/x.py", "from perflib.guardrails import Waiver"),
        ("validation/x.py", "from perflib.benchmarking import decision"),
        ("validation/gates/x.py", "from perflib.params import load_run"),
        ("tables/x.py", "from perflib.validation import quality"),
        ("regression/x.py", "from perflib.runs import Run"),
        ("regression/x.py", "from perflib.watching import check"),
        ("sentences/x.py", "from perflib.tables import cells"),
        ("guardrails.py", "from perflib.runs import Run"),
        ("guardrails.py", "from perflib import validating"),
        ("guardrails.py", "from perflib.results import Gate"),
        ("params.py", "from perflib.guardrails import load_guardrails"),
        ("runs.py", "from perflib.validating import known_churn"),
    ],
)
def test_a_hole_in_a_wall_is_found(place: str, source: str) -> None:
    """The test itself sees imports of every form."""
    assert forbidden_rooms(source, place) != []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("regression/x.py", "from perflib.benchmarking import decision"),
        ("cli.py", "from perflib import pipeline, governance"),
        ("guardrails.py", "from perflib.plain_yaml import read_yaml\nfrom perflib.validation.gates import GATES"),
        ("validating.py", "from perflib import guardrails, sentences\nfrom perflib.comparing import find_artifact"),
        ("experiment.py", "from perflib.validating import load_limits"),
        ("tables/gates.py", "from perflib.tables.markup import table\nfrom perflib.results import Gate"),
        ("validation/gates/judge.py", "from perflib.validation import quality\nfrom ..quality import answers"),
        ("profiling/x.py", "from . import ceilings\nfrom perflib.profiling import tensorboard"),
        ("engines/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from perflib.workloads import base"),
    ],
)
def test_what_is_allowed_is_not_called_a_hole(place: str, source: str) -> None:
    """Exceptions, the roof, a room's own files and imports for type checkers pass."""
    assert forbidden_rooms(source, place) == []


def test_a_second_user_of_an_owned_package_is_found() -> None:
    """A package and its parts belong to their owner."""
    assert _owners_broken("from openvino.runtime import Core", "compression/int8.py") == ["openvino"]
    assert _owners_broken("import papermill", "pipeline/run.py") == []
    assert _owners_broken("import papermill", "pipeline.py") == []
    assert _owners_broken("import papermill", "pipelines.py") == ["papermill"]
