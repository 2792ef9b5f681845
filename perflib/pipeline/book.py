"""The book of a run: `run.json` while the run goes on, and what of an earlier attempt still stands."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perflib import scraps, verdict
from perflib.pipeline.plan import PlannedStep, executed_path
from perflib.results import Failure, RunSummary, Step
from perflib.runs import SUMMARY_FILE, Run


class Book:
    """`run.json` while it grows; every change is on disk before the next step begins."""

    def __init__(self, run: Run, summary: RunSummary, *, order: Sequence[str]) -> None:
        """Open the book of a run; ``order`` names every step that its params file asks for."""
        self.run, self.summary, self._order = run, summary, tuple(order)
        self._start_sec, self._before_sec = time.monotonic(), summary.wall_sec or 0.0

    def save(self, **changes: Any) -> None:
        """Write the summary with some fields changed."""
        self.summary = dataclasses.replace(self.summary, **changes)
        self.summary.write(self.run.folder / SUMMARY_FILE)

    def stands(self, step: PlannedStep) -> bool:
        """Say whether an earlier execution of this step, with the same inputs, is complete."""
        found = next((one for one in self.summary.steps if one.name == step.name), None)
        if found is None or found.status != "done" or found.inputs_sha256 != step.inputs_sha256:
            return False
        if step.name == "report" and not self.run.report.is_file():
            return False
        return scraps.is_complete(executed_path(step.name, self.run), self.run.run_id)

    def begin(self, step: PlannedStep) -> None:
        """Forget what an earlier attempt left, so that no old record stands beside a new one."""
        for path in self._records_of(step.name):
            path.unlink()
        self._put(step, status="running", reason=None, wall_sec=None)

    def skip(self, step: PlannedStep, sentence: str) -> None:
        """Record a step that this machine cannot do; it is no failure of the run."""
        for path in self._records_of(step.name):
            path.unlink()
        self.run.write(Failure(step.name, "unavailable", sentence), step.name)
        self._put(step, status="skipped", reason="unavailable", wall_sec=None)

    def finish(self, step: PlannedStep, failure: Failure | None, *, wall_sec: float) -> None:
        """Record how a step ended; a failure is a record of its own."""
        if failure is not None:
            self.run.write(failure, step.name)
        status = "done" if failure is None else "failed"
        self._put(step, status=status, reason=failure.reason if failure else None, wall_sec=wall_sec)

    def forget_strangers(self) -> None:
        """Drop steps that the params file no longer names, with their records."""
        for name in [one.name for one in self.summary.steps if one.name not in self._order]:
            for path in self._records_of(name):
                path.unlink()
        self.save(steps=tuple(one for one in self.summary.steps if one.name in self._order))

    def end(self, *, status: str | None = None, reason: str | None = None, exit_code: int | None = None) -> RunSummary:
        """Judge what there is and write the last word; a step that was cut off has failed."""
        steps = tuple(
            dataclasses.replace(one, status="failed", reason=status or "failed") if one.status == "running" else one
            for one in self.summary.steps
        )
        self.summary = dataclasses.replace(self.summary, steps=steps)
        candidates = verdict.judge_run(self.run)
        verdict.mark_quarantine(self.run, candidates)
        failed = [one for one in self.summary.steps if one.status == "failed"]
        skipped = {one.name for one in self.summary.steps if one.status == "skipped"}
        tried = [one for one in candidates if one.name not in skipped]
        code = verdict.exit_code(tried, has_failed_step=bool(failed)) if exit_code is None else exit_code
        self.save(
            status=status or "done",
            reason=reason or (f"{failed[0].name}: {failed[0].reason}" if failed else None),
            exit_code=code,
            candidates=candidates,
            wall_sec=self._before_sec + time.monotonic() - self._start_sec,
        )
        return self.summary

    def _records_of(self, name: str) -> list[Path]:
        """List the files of one step: `-` and `.` also stand in names, so int8 must not take static-int8's."""
        return [path for path in (self.run.folder / "records").glob("*-*") if path.stem.partition("-")[2] == name]

    def _put(self, step: PlannedStep, **fields: Any) -> None:
        made = Step(
            name=step.name,
            notebook=step.notebook.name,
            inputs_sha256=step.inputs_sha256 or "",
            is_modified=step.is_modified,
            **fields,
        )
        others = [one for one in self.summary.steps if one.name != step.name]
        self.save(steps=tuple(sorted([*others, made], key=lambda one: self._order.index(one.name))))
