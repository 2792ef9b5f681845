"""
A run is a folder; everything that it says can be traced to a record in it.

    run.json  notebooks/  artifacts/<name>/  records/<kind>-<name>.json  figures/*.svg  traces/  report.html
"""

import dataclasses
from pathlib import Path
from typing import TypeVar

from perflib import project
from perflib.artifact import SPEC_FILE, Artifact, Runtime
from perflib.errors import DataError, ParameterError, did_you_mean
from perflib.records import Record
from perflib.results import Build, Comparison, Failure, Profile, RunSummary, Validation

SUMMARY_FILE = "run.json"

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclasses.dataclass(frozen=True)
class Run:
    """The folder of one run, and where things lie in it."""

    folder: Path

    @property
    def run_id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def report(self) -> Path:
        """The stakeholders' page."""
        return self.folder / "report.html"

    def artifact_folder(self, name: str) -> Path:
        """Return where the baseline or a candidate is kept."""
        return self.folder / "artifacts" / name

    def notebook(self, name: str) -> Path:
        """Return where an executed notebook is kept."""
        return self.folder / "notebooks" / f"{name}.ipynb"

    def figure(self, name: str) -> Path:
        """Return where a figure is kept."""
        return self.folder / "figures" / f"{name}.svg"

    def record_path(self, kind: str, name: str) -> Path:
        """Return where a record is kept."""
        return self.folder / "records" / f"{kind}-{name}.json"

    def write(self, record: Record, name: str) -> Path:
        """Keep a record under its kind (the middle word of its schema) and a name."""
        return record.write(self.record_path(record.schema.split("/")[1], name))

    def read(self, kind: type[AnyRecord], name: str) -> AnyRecord | None:
        """Return a record, or None if there is none of this kind and name."""
        path = self.record_path(kind.schema.split("/")[1], name)
        return kind.read(path) if path.is_file() else None

    def names(self, kind: type[Record]) -> list[str]:
        """Return the names under which records of a kind are kept, sorted."""
        prefix = f"{kind.schema.split('/')[1]}-"
        return sorted(path.stem.removeprefix(prefix) for path in (self.folder / "records").glob(f"{prefix}*.json"))

    def candidate_names(self) -> list[str]:
        """Return every candidate that was built, measured, validated or has failed."""
        found = {name for kind in (Build, Comparison, Validation, Failure) for name in self.names(kind)}
        return sorted(found - {"baseline", "ladder", "why", "breakeven", "report"})

    def profile(self, name: str = "baseline", *, scenario: str = "offline") -> Profile | None:
        """Return the profile of an artifact in one scenario; None where it was not profiled."""
        return self.read(Profile, f"{name}-{scenario}")

    def summary(self) -> RunSummary | None:
        """Return `run.json`, or None where a notebook made this folder by itself."""
        path = self.folder / SUMMARY_FILE
        return RunSummary.read(path) if path.is_file() else None

    def keep_artifact(self, artifact: Artifact, name: str, *, runtime: Runtime) -> Artifact:
        """
        Keep an artifact in the run, served as ``runtime`` says; weights are linked where the file system can.

        An artifact that is already there with the same digest stays.
        """
        folder = self.artifact_folder(name)
        if (folder / SPEC_FILE).is_file():
            kept = Artifact.load(folder)
            if kept.spec == dataclasses.replace(artifact.spec, runtime=runtime):
                return kept
        return artifact.copy_to(folder, runtime=runtime)


def newest_run(outputs: Path | None = None, *, params_name: str | None = None) -> Run | None:
    """Return the newest run that has ended with a result, by its ulid; None if there is none."""
    found: list[tuple[str, Run]] = []
    for path in (outputs or project.outputs_dir()).glob(f"*/{SUMMARY_FILE}"):
        try:
            summary = RunSummary.read(path)
        except DataError:
            continue  # a run of another version, or one that was cut: it is not the newest usable one
        if params_name is None and summary.status != "done":
            continue
        if params_name in (None, summary.params_name):
            found.append((summary.ulid, Run(path.parent)))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def open_run(folder: Path) -> Run:
    """Return the run in a folder; `ParameterError` if there is none."""
    if not (folder / SUMMARY_FILE).is_file() and not (folder / "records").is_dir():
        raise ParameterError(f"{folder} is no run folder (it has no {SUMMARY_FILE}); name one of {folder.parent}.")
    return Run(folder.resolve())


def find_run(word: str | None) -> Run:
    """Return a run by its folder or its name, or the newest for None; `ParameterError` if there is none."""
    if word is None:
        newest = newest_run()
        if newest is None:
            raise ParameterError("there is no finished run yet; make one with `perflib run params/quickstart.yaml`.")
        return newest
    place = Path(word) if Path(word).is_dir() else project.outputs_dir() / word
    if not place.is_dir():
        known = [path.parent.name for path in project.outputs_dir().glob(f"*/{SUMMARY_FILE}")]
        raise ParameterError(f"there is no run {word}; {did_you_mean(word, known)}")
    return open_run(place)
