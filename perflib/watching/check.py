"""
`perflib check`: history nominates, a paired rerun decides, and one alert says so.

    checked = check_run(run, watch, is_confirming=True)
    checked.exit_code    # 0 nothing confirmed, 3 a regression, 5 not decided

The run is compared with the runs before it and enters the history afterwards.
"""

import dataclasses
from collections.abc import Callable, Sequence

from perflib import machine
from perflib.errors import PerflibError
from perflib.regression.changepoints.detect import has_returned
from perflib.regression.confirm import confirm, inconclusive
from perflib.regression.reruns import Bench, Case, State
from perflib.results.history import CANARY, METRICS, Good, HistoryPoint, SeriesKey
from perflib.results.regression import Alert, Canary, Check, Confirmation, Nomination, Quarantine, SeriesCheck
from perflib.runs import Run
from perflib.sentences import watch_noise_sentence
from perflib.watching.goods import keep_good, last_good, promoted_candidate, state_of
from perflib.watching.memory import exclude_runs, excluded_runs, leave_out, on_one_level, rebase, rebases
from perflib.watching.open import Watch
from perflib.watching.points import BASELINE, points_of_run
from perflib.watching.provenance import NAME, now_utc, read_provenance
from perflib.watching.series import check_series
from perflib.watching.telling import alert_of, conclude

LAST_COUNT = 512
_QUIET = Quarantine(is_quarantined=False, reasons=(), clean_count=0)

MakeBench = Callable[[Run], Bench]
OwnerOf = Callable[[Alert], str | None]


@dataclasses.dataclass(frozen=True)
class Checked:
    """A check, the alerts that it opened or changed, and the run that it is about."""

    check: Check
    alerts: tuple[Alert, ...]
    run: Run


def check_run(
    run: Run,
    watch: Watch,
    *,
    make_bench: MakeBench | None,
    is_again: bool = False,
    owner_of: OwnerOf | None = None,
    seed: int = 0,
) -> Checked:
    """
    Look at a run against the history of its hardware class.

    Args:
        run: A finished one with provenance.
        watch: History, alerts and what is kept.
        make_bench: Makes the bench that reruns suspects; None nominates only.
        is_again: Rerun also what an open alert tells already.
        owner_of: Names who is responsible for an alert.
        seed: Of permutations and coins.

    Raises:
        ParameterError: If the run cannot enter a history.
        DataError: If history or records are damaged.
    """
    points = points_of_run(run)
    looking = _Looking(run, watch, points, seed, is_again=is_again)
    series = looking.series()
    for closed in watch.book.close_returned(looking.returned(series)):
        leave_out(watch.history, closed)
    suspects = [one.nomination for one in series if one.state == "nominated" and one.nomination is not None]
    quarantine = looking.quarantine
    confirmations: tuple[Confirmation, ...] = ()
    if suspects and make_bench is not None and not quarantine.is_quarantined:
        confirmations = looking.confirm(suspects, make_bench(run))
    watch.history.append(points)
    alerts = looking.file_alerts(suspects, confirmations, owner_of or _nobody)
    looking.remember(series, confirmations)
    code, sentence = conclude(series, confirmations, quarantine, is_confirming=make_bench is not None)
    check = looking.record(series, confirmations, alerts, exit_code=code, sentence=sentence)
    run.write(check, NAME)
    if code == 0:
        looking.keep_goods()
    return Checked(check, alerts, run)


def _nobody(_: Alert) -> None:
    """Name no owner."""


class _Looking:
    """One check at work."""

    def __init__(self, run: Run, watch: Watch, points: Sequence[HistoryPoint], seed: int, *, is_again: bool) -> None:
        self._run, self._watch, self._points, self._seed = run, watch, points, seed
        self._any = points[0]
        self._excluded = excluded_runs(watch.history)
        promoted = promoted_candidate(self._any.workload)
        self._watched = [BASELINE, *([promoted] if promoted else [])]
        # A suspicion that was not decided is asked again.
        self._is_again = is_again
        self._known = {key: one for key, one in watch.book.known_series().items() if one.state in ("OPEN", "ACKED")}

    @property
    def quarantine(self) -> Quarantine:
        """The state in which the run's machine was when it ran."""
        mark = self._any.mark
        return Quarantine(is_quarantined=True, reasons=(mark,), clean_count=0) if mark else _QUIET

    def series(self) -> tuple[SeriesCheck, ...]:
        """Check every watched series."""
        return tuple(self._one(point) for point in self._points if point.candidate in self._watched)

    def _one(self, point: HistoryPoint) -> SeriesCheck:
        history = self._watch.history
        found = history.series(point.key, last_count=LAST_COUNT, before_run_ulid=point.run_ulid, with_marked=False)
        sound = [one for one in found if one.run_ulid not in self._excluded]
        starts = rebases(history, self._watch.book, point.key)
        good = last_good(self._goods(point.candidate), before_run_ulid=point.run_ulid)
        found_now = check_series(
            [*on_one_level(sound, starts), point],
            # An exact metric is held against the last good run, or against where its level began anew since.
            reference_ulid=max([*([good.run_ulid] if good else []), *starts], default=None),
            is_known=point.key in self._known and not self._is_again,
            seed=self._seed,
        )
        return found_now if found_now.state != "known" else self._known_one(found_now)

    def _known_one(self, one: SeriesCheck) -> SeriesCheck:
        """Say of a series with an open alert whether this run is as bad as was told."""
        told = next(each for each in self._known[one.series].nominations if each.series == one.series)
        is_worse = abs(one.value - told.after_value) < abs(one.value - told.before_value)
        return dataclasses.replace(one, nomination=told if is_worse else None)

    def returned(self, series: Sequence[SeriesCheck]) -> list[SeriesKey]:
        """Return the series of open alerts that are back where they were."""
        back = []
        for one in series:
            alert = self._known.get(one.series)
            told = next((each for each in alert.nominations if each.series == one.series), None) if alert else None
            if told is not None and self._is_back(one, told):
                back.append(one.series)
        return back

    def _is_back(self, one: SeriesCheck, told: Nomination) -> bool:
        metric = METRICS[one.series.metric]
        if metric.is_exact:
            return abs(one.value - told.before_value) < abs(one.value - told.after_value)
        past = self._watch.history.series(one.series, last_count=LAST_COUNT, before_run_ulid=self._any.run_ulid)
        since = [point.value for point in past if point.run_ulid >= told.since_run_ulid]
        return has_returned([*since, one.value], before_value=told.before_value, after_value=told.after_value)

    def confirm(self, suspects: Sequence[Nomination], bench: Bench) -> tuple[Confirmation, ...]:
        """Rerun every suspected candidate beside its last good run."""
        found: list[Confirmation] = []
        for candidate in sorted({one.series.candidate for one in suspects}):
            mine = tuple(one for one in suspects if one.series.candidate == candidate)
            found += self._confirm_one(candidate, mine, bench)
        return tuple(found)

    def _confirm_one(
        self, candidate: str, nominations: tuple[Nomination, ...], bench: Bench
    ) -> tuple[Confirmation, ...]:
        oldest = min(one.since_run_ulid for one in nominations)
        good = last_good(self._goods(candidate), before_run_ulid=oldest)
        if good is None:
            why = "no run before the change is kept as good, so there is nothing to run it against"
            return inconclusive(candidate, nominations, why)
        try:
            case = Case(candidate, state_of(good, self._watch.kept), self._suspect(candidate), nominations)
            return confirm(case, bench)
        except PerflibError as error:
            return inconclusive(candidate, nominations, str(error))

    def _suspect(self, candidate: str) -> State:
        from perflib.artifact import Artifact

        provenance = read_provenance(self._run)
        assert provenance is not None, "points_of_run has refused a run without provenance"
        artifact = Artifact.load(self._run.artifact_folder(candidate))
        return State(artifact, provenance[1], provenance[0].data_sha256, self._run.run_id)

    def _goods(self, candidate: str) -> list[Good]:
        return self._watch.history.goods(
            workload=self._any.workload, candidate=candidate, hardware_class=self._any.hardware_class
        )

    def file_alerts(
        self,
        suspects: Sequence[Nomination],
        confirmations: Sequence[Confirmation],
        owner_of: OwnerOf,
    ) -> tuple[Alert, ...]:
        """File what was nominated; what was confirmed is open, and may be told."""
        if not suspects:
            return ()
        book, alerts = self._watch.book, []
        for candidate in sorted({one.series.candidate for one in suspects}):
            mine = [one for one in suspects if one.series.candidate == candidate]
            decided = [one for one in confirmations if one.candidate == candidate]
            found = alert_of(mine, decided, point=self._any, machine=self._machine())
            alerts += [book.raise_alert(dataclasses.replace(one, owner=owner_of(one))) for one in found]
        return tuple({alert.ulid: alert for alert in alerts}.values())

    def remember(self, series: Sequence[SeriesCheck], confirmations: Sequence[Confirmation]) -> None:
        """Leave out what a machine disturbed, and let what became better begin a new level."""
        history = self._watch.history
        by_family = {(one.candidate, one.family): one for one in confirmations}
        for one in series:
            if one.nomination is None or one.state == "known":
                continue
            if one.state == "better":
                rebase(history, one.series, one.nomination.since_run_ulid, reason=f"better since {self._run.run_id}")
                continue
            said = by_family.get((one.series.candidate, one.nomination.family))
            if said is not None and said.verdict in ("MACHINE", "WITHDRAWN"):
                exclude_runs(history, self._since(one.nomination), reason=said.sentence)

    def _since(self, nomination: Nomination) -> list[str]:
        """Return the runs from the first suspect one to this one."""
        past = self._watch.history.series(nomination.series, last_count=LAST_COUNT)
        return [point.run_ulid for point in past if point.run_ulid >= nomination.since_run_ulid]

    def keep_goods(self) -> None:
        """Keep what the watch found nothing wrong with as the next run's last good one."""
        present = {point.candidate for point in self._points}
        for candidate in [name for name in self._watched if name in present]:
            role = "good" if self._goods(candidate) else "baseline"
            keep_good(self._run, candidate, role=role, history=self._watch.history, kept=self._watch.kept)

    def record(
        self,
        series: tuple[SeriesCheck, ...],
        confirmations: tuple[Confirmation, ...],
        alerts: Sequence[Alert],
        *,
        exit_code: int,
        sentence: str,
    ) -> Check:
        """Return all that was found."""
        appeared, disappeared = self._coming_and_going()
        canaries = tuple(one for name in self._run.names(Canary) if (one := self._run.read(Canary, name)))
        return Check(
            run_id=self._run.run_id,
            run_ulid=self._any.run_ulid,
            checked=now_utc(),
            hardware_class=self._any.hardware_class,
            host_id=self._any.host_id,
            machine=self._machine(),
            quarantine=self.quarantine,
            canaries=canaries,
            noise_sentence=watch_noise_sentence(series, canaries),
            series=series,
            appeared=appeared,
            disappeared=disappeared,
            confirmations=confirmations,
            alert_ulids=tuple(alert.ulid for alert in alerts),
            exit_code=exit_code,
            sentence=sentence,
        )

    def _machine(self) -> str:
        summary = self._run.summary()
        assert summary is not None, "points_of_run has refused a run without summary"
        return machine.describe(machine.MachineCard.from_dict(summary.machine))

    def _coming_and_going(self) -> tuple[tuple[SeriesKey, ...], tuple[SeriesKey, ...]]:
        history, now = self._watch.history, {point.key for point in self._points}
        before_ulid = history.newest_run_ulid(self._any.hardware_class, self._any.workload, before=self._any.run_ulid)
        before = {point.key for point in history.run_points(before_ulid)} if before_ulid else now
        same = {key for key in before if key.workload != CANARY}
        mine = {key for key in now if key.workload != CANARY}
        return tuple(sorted(mine - same)), tuple(sorted(same - mine))
