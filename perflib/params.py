"""
Params files: what a person writes, checked completely before anything runs.

A params file is code in disguise (papermill writes its keys into a notebook), so keys must be identifiers that a model
knows, values plain YAML of the right type, and the file small, without tags and without anchors.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from perflib import project
from perflib.benchmarking.scenarios import get_scenarios
from perflib.compression.stage import parse_recipe
from perflib.errors import ParameterError, PerflibError, did_you_mean
from perflib.plain_yaml import read_yaml

# More than these may meet the test split in one run, but no more may be shipped from it.
MAX_FINALISTS_COUNT = 5
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
# Names under which a run keeps what is no candidate: an experiment of that name would overwrite it.
_RESERVED = frozenset({"baseline", "machine", "ladder", "why", "breakeven", "report", "run"})


class TableParams(BaseModel):
    """A workload without code: a Hugging Face classifier and a labelled CSV or Parquet file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hf_model: str
    data: str
    text: str
    label: str


class RunParams(BaseModel):
    """One params file of ``perflib run``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workload: str | TableParams
    experiments: list[str] = []
    # The experiment whose recipe is timed step by step, and those that a person would pick instead of it.
    ladder: str = ""
    rivals: list[str] = []
    # Whose speed-up is taken apart by what was changed: the best candidate, every one that was built, or nobody.
    explain: Literal["best", "all", "none"] = "none"
    # The experiment that is held against the baseline over batch sizes and lengths.
    breakeven: str = ""
    # Whether the rollout of the best approved candidate is tried with two real servers, for up to a minute.
    rehearse: Literal["best", "none"] = "none"
    # Those that may be shipped from this run, named before it; all, where there are no more than five.
    finalists: list[str] = []
    scenarios: list[str] = ["single", "offline"]
    guardrails: str = "guardrails.yaml"
    waivers: str = "waivers.yaml"
    # NumPy and scikit-learn take seeds of 32 bits.
    seed: int = Field(0, ge=0, lt=2**32)
    device: Literal["cpu", "cuda"] = "cpu"
    max_lives_count: int = Field(6, ge=5, le=200)
    units_per_life_count: int = Field(2, ge=1, le=20)
    baseline_lives_count: int = Field(3, ge=1, le=50)
    cell_timeout_sec: int = Field(1800, ge=10)
    # Whether frozen reference models are timed first, which tells a sick machine from a slow candidate.
    canary: bool = True

    @field_validator("scenarios")
    @classmethod
    def _scenarios_exist(cls, names: list[str]) -> list[str]:
        get_scenarios(names)
        return names

    @field_validator("experiments")
    @classmethod
    def _experiments_differ(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ParameterError(f"experiments are {names}; name each one once.")
        return names

    @model_validator(mode="after")
    def _ladder_is_of_this_run(self) -> "RunParams":
        for name in (self.ladder, self.breakeven, *self.rivals):
            if name and name not in self.experiments:
                raise ParameterError(f"`{name}` is no experiment of this run; {did_you_mean(name, self.experiments)}")
        if self.rivals and not self.ladder:
            raise ParameterError("rivals are given, but no ladder; name the experiment that they are held against.")
        return self

    @model_validator(mode="after")
    def _few_meet_the_test_to_be_shipped(self) -> "RunParams":
        for name in self.finalists:
            if name not in self.experiments:
                raise ParameterError(f"finalist `{name}` is no experiment of this run; name one of its experiments.")
        if len(set(self.finalists)) != len(self.finalists) or len(self.finalists) > MAX_FINALISTS_COUNT:
            raise ParameterError(
                f"finalists are {self.finalists}; name at most {MAX_FINALISTS_COUNT} experiments, each once."
            )
        if not self.finalists and len(self.experiments) > MAX_FINALISTS_COUNT:
            raise ParameterError(
                f"{len(self.experiments)} experiments would be chosen from by their answers on the test split, which "
                f"finds a good one by chance; name at most {MAX_FINALISTS_COUNT} of them as `finalists`, and the "
                "others are shown without being offered."
            )
        return self


class ExperimentParams(BaseModel):
    """One file of ``params/experiments/``: the overrides of ``02_experiment``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    recipe: list[Any]
    guardrail_profile: str = "lossy"
    predicted_speedup_ratio: float = Field(gt=0)
    because: str

    @field_validator("name")
    @classmethod
    def _is_word(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ParameterError(f"experiment name {name!r} is no short word of a-z, 0-9, `.` and `-`.")
        if name in _RESERVED:
            raise ParameterError(f"experiment name {name!r} is taken by the run itself; call it otherwise.")
        return name

    @field_validator("recipe")
    @classmethod
    def _stages_exist(cls, recipe: list[Any]) -> list[Any]:
        parse_recipe(recipe)
        return recipe


def load_run(path: Path) -> RunParams:
    """Read and check a run's params file; `ParameterError` names the key, its value and what to do."""
    document = read_yaml(path)
    if isinstance(document.get("workload"), dict):
        # By itself first: of a union that fails pydantic would name the other branch.
        _checked(TableParams, document["workload"], path)
    params: RunParams = _checked(RunParams, document, path)
    return params


def load_recipe(path: Path) -> tuple[str, list[Any]]:
    """
    Read a recipe from a file of its own (``recipe:`` and nothing else) or from an experiment's.

    Returns:
        The experiment's name, or the file's where it has none, and the lines.

    Raises:
        ParameterError: If it is neither.
    """
    found = read_yaml(path)
    if set(found) == {"recipe"}:
        found = {"name": path.stem, "predicted_speedup_ratio": 1.0, "because": "nobody predicted anything", **found}
    one: ExperimentParams = _checked(ExperimentParams, found, path)
    return one.name, one.recipe


def load_experiments(params: RunParams, folder: Path | None = None) -> tuple[ExperimentParams, ...]:
    """Read every experiment that a run names; `ParameterError` for one that does not exist or does not fit."""
    folder = folder or project.root() / "params" / "experiments"
    known = {file.stem: file for file in folder.glob("*.yaml")}
    experiments = []
    for name in params.experiments:
        if name not in known:
            raise ParameterError(f"experiment `{name}` has no file in {folder}; {did_you_mean(name, known)}")
        experiment = _checked(ExperimentParams, read_yaml(known[name]), known[name])
        if experiment.name != name:
            raise ParameterError(f"{known[name]} says name: {experiment.name}; a file is called as its experiment.")
        experiments.append(experiment)
    return tuple(experiments)


def _checked(model: "type[Any]", document: Mapping[str, Any], path: Path) -> Any:
    for key in document:
        if key not in model.model_fields:
            raise ParameterError(f"`{key}` is not a parameter of {path}; {did_you_mean(key, model.model_fields)}")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ParameterError(_first_problem(error, path)) from error
    except PerflibError as error:
        raise ParameterError(f"{path}: {error}") from error


def _first_problem(error: ValidationError, path: Path) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{path} lacks `{where}`; add it, as in params/quickstart.yaml."
    return f"`{where}` in {path} is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}."
