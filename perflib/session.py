"""
What a notebook works with: the run it writes to, the workload, the baseline, and how to show things.

    session = Session.begin("01_baseline", run_dir=run_dir, workload=workload)
    session.show(plots.plot_operators(profile), "operators")
    session.finish()

A notebook that the pipeline runs is given its run folder; one that a person opens makes its own under `outputs/`.
"""

import dataclasses
import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from IPython import get_ipython
from IPython.display import HTML, Markdown, display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from perflib import machine, project, records, scraps, tables
from perflib.artifact import Artifact, Runtime
from perflib.benchmarking.question import Question
from perflib.benchmarking.scenarios import get_scenarios
from perflib.compression.build import build_candidate
from perflib.compression.materials import Materials, gather
from perflib.compression.stage import parse_recipe
from perflib.encoded import Encoded
from perflib.errors import PerflibError
from perflib.records import Record
from perflib.results import Build
from perflib.runs import Run, newest_run
from perflib.validation import predictions
from perflib.validation.ask import Material, prepare_material
from perflib.validation.overlaps import check_splits_apart
from perflib.workloads import get_workload
from perflib.workloads.base import Splits, Workload

# Of what is glued into a notebook: the record has all of it.
_LEFT_OUT = frozenset({"lives", "samples_sec", "shapes", "modules", "memory", "points"})


@dataclasses.dataclass(frozen=True)
class Session:
    """One notebook at work; parts that take time (splits, inputs, baseline) are made when first asked for."""

    run: Run
    workload: Workload
    device: str
    seed: int

    @classmethod
    def begin(
        cls,
        notebook: str,
        *,
        run_dir: str,
        workload: str | Mapping[str, Any],
        seed: int = 0,
        device: str = "cpu",
    ) -> "Session":
        """
        Open the run folder (a new one where ``run_dir`` is empty) and find the workload.

        Raises:
            ParameterError: If the workload is unknown.
            SetupError: If the folder cannot be made.
        """
        prepare_notebook()
        found = get_workload(workload, seed=seed)
        folder = Path(run_dir).resolve() if run_dir else project.new_run_dir(notebook)
        return cls(Run(folder), found, device, seed)

    @functools.cached_property
    def card(self) -> machine.MachineCard:
        """The machine card."""
        return machine.read_card()

    @functools.cached_property
    def baseline(self) -> Artifact:
        """The baseline artifact: prepared if need be, and kept in the run."""
        prepared = self.workload.prepare()
        device: Any = self.device
        runtime: Runtime = dataclasses.replace(prepared.spec.runtime, device=device)
        return self.run.keep_artifact(prepared, "baseline", runtime=runtime)

    @functools.cached_property
    def splits(self) -> Splits:
        """The four splits of the data."""
        _ = self.baseline  # the data lie in the cache once the workload is prepared
        return self.workload.splits()

    @functools.cached_property
    def inputs(self) -> Encoded:
        """The encoded test split, in its own order and with its real lengths."""
        return self.workload.encode(self.splits.test.inputs)

    @functools.cached_property
    def materials(self) -> Materials:
        """What candidates are built with: every split but the test split."""
        check_splits_apart(self.splits, unit=self.workload.unit)
        return gather(self.workload, self.splits, seed=self.seed)

    @functools.cached_property
    def material(self) -> Material:
        """What every candidate is asked, beside the baseline."""
        return prepare_material(
            self.workload, self.splits, self.baseline, inputs=self.inputs, seed=self.seed, cache=project.answers_dir()
        )

    def build(self, name: str, recipe: Sequence[Any]) -> tuple[Artifact, Build]:
        """
        Build a recipe from the baseline, or find it built, and put the artifact into the run.

        Raises:
            ParameterError: If the recipe cannot be read.
            StageError: If a stage refuses what comes to it, before any work, or cannot prove its effect.
        """
        return build_candidate(
            name,
            parse_recipe(recipe),
            parent=self.baseline,
            folder=self.run.artifact_folder(name),
            materials=self.materials,
            cache=project.builds_dir(),
        )

    def question(
        self, name: str, scenarios: Sequence[str], *, max_lives_count: int, units_per_life_count: int
    ) -> Question:
        """Return what a comparison of this session asks: on this machine, with its seed."""
        return Question(
            name=name,
            scenarios=get_scenarios(scenarios),
            hardware_class=self.card.hardware_class,
            max_lives_count=max_lives_count,
            units_per_life_count=units_per_life_count,
            seed=self.seed,
        )

    def remember(self, artifact: Artifact, answers: NDArray[Any]) -> None:
        """Put answers of the whole test split where `predict` finds them, so that nobody computes them again."""
        predictions.keep(answers, predictions.cache_path(artifact, self.inputs, cache=project.answers_dir()))

    def show_machine(self) -> None:
        """Show the machine card."""
        display(HTML(tables.machine_table(self.card)))

    def show(self, drawn: tuple[Figure, Any], name: str) -> None:
        """Keep a figure as SVG under its name, and show it with its text alternative."""
        show_figure(self.run, drawn, name)

    def show_table(self, html: str) -> None:
        """Show a table of `perflib.tables`."""
        show_table(html)

    def say(self, sentence: str) -> None:
        """Show a computed sentence; conclusions are never typed."""
        say(sentence)

    def keep(self, record: Record, name: str) -> None:
        """Write a record to the run and glue it for tools that read notebooks."""
        self.run.write(record, name)
        scraps.glue(record.schema.split("/")[1], _without_samples(record.to_dict()))

    def finish(self) -> None:
        """Leave the scrap without which the run does not count this notebook as complete."""
        scraps.glue_complete(self.run.run_id)


def prepare_notebook() -> None:
    """Let a `PerflibError` in this notebook end its cell with one sentence, not with a traceback of our insides."""
    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((PerflibError,), _show_sentence)


def _show_sentence(shell: Any, kind: type[BaseException], error: BaseException, *_: Any, **__: Any) -> None:
    # It stays an error: JupyterLab stops and papermill fails on this output, as on any other.
    shell._showtraceback(kind, error, [f"{kind.__name__}: {error}"])


def say(sentence: str) -> None:
    """Show a computed sentence; conclusions are never typed."""
    display(Markdown(sentence))


def show_table(html: str) -> None:
    """Show a table of `perflib.tables`."""
    display(HTML(html))


def show_figure(run: Run, drawn: tuple[Figure, Any], name: str) -> None:
    """Keep a figure as SVG in the run, show it, and glue its text alternative."""
    _write_svg(run, drawn[0], name)
    scraps.glue(f"figure-{name}", str(drawn[0].get_label()), view=drawn[0])
    plt.close(drawn[0])


def keep_figure(run: Run, drawn: tuple[Figure, Any], name: str) -> None:
    """Keep a figure as SVG in the run, where there is no notebook to show it."""
    _write_svg(run, drawn[0], name)
    plt.close(drawn[0])


def _write_svg(run: Run, figure: Figure, name: str) -> None:
    buffer = io.BytesIO()
    # No date: the same results give the same bytes.
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Description": str(figure.get_label())})
    records.write_bytes(run.figure(name), buffer.getvalue())


def newest_or_smoke() -> Run:
    """Return the newest finished run; where there is none, make a smoke run and say so."""
    found = newest_run()
    if found is None:
        display(Markdown("There is no finished run yet, so a smoke run on a tiny model is made now (about a minute)."))
        from perflib.pipeline import run_params

        found = run_params(project.root() / "params" / "smoke.yaml").run
    return found


def _without_samples(data: Any) -> Any:
    """Drop raw samples, lists of lives and long tables: they are in the record, and a notebook stays small."""
    if isinstance(data, dict):
        return {key: _without_samples(value) for key, value in data.items() if key not in _LEFT_OUT}
    if isinstance(data, list | tuple):
        return [_without_samples(value) for value in data]
    return data
