"""A check as JUnit XML, which every CI system shows: a test case for each series."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from perflib import units
from perflib.records import write_bytes
from perflib.regression.alerts.escaping import xml_words
from perflib.regression.alerts.quantities import change_words, measured_words
from perflib.results.regression import Check, Confirmation, SeriesCheck

if TYPE_CHECKING:
    from junitparser import TestCase


def write_junit(check: Check, path: Path) -> Path:
    """
    Write a check as JUnit XML and return the path.

    A series fails where a paired rerun confirmed that it is worse. It is skipped, with the reason, where nothing could
    be said: too few points, a quarantined machine, a suspicion that is not decided or already told.

    Raises:
        DataError: If the file cannot be written.
    """
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(xml_words(f"perflib check {check.run_id}"))
    suite.add_property("hardware class", xml_words(check.hardware_class))
    suite.add_property("machine", xml_words(check.machine))
    suite.add_property("run", xml_words(check.run_id))
    suite.timestamp = xml_words(check.checked)
    suite.add_testcases([_case(check, one) for one in check.series])
    document = JUnitXml("perflib")
    document.add_testsuite(suite)
    written = io.BytesIO()
    document.write(written)
    write_bytes(path, written.getvalue())
    return path


def _case(check: Check, series: SeriesCheck) -> "TestCase":
    from junitparser import Failure, Skipped, TestCase

    key = series.series
    case = TestCase(xml_words(str(key)), classname=xml_words(f"{key.workload}.{key.candidate}"))
    failure, reason = _failure(check, series), _reason(check, series)
    if failure is not None:
        case.result = [Failure(xml_words(failure), "regression")]
    elif reason is not None:
        case.result = [Skipped(xml_words(reason))]
    return case


def _confirmation(check: Check, series: SeriesCheck) -> Confirmation | None:
    if series.nomination is None:
        return None
    place = (series.series.candidate, series.nomination.family)
    return next((one for one in check.confirmations if (one.candidate, one.family) == place), None)


def _failure(check: Check, series: SeriesCheck) -> str | None:
    confirmation = _confirmation(check, series)
    if series.nomination is None or confirmation is None:
        return None
    if not series.nomination.is_worse or confirmation.verdict != "CONFIRMED":
        return None
    return f"{change_words(series.nomination)}; side by side {measured_words(confirmation)}. {confirmation.sentence}"


def _reason(check: Check, series: SeriesCheck) -> str | None:
    if check.quarantine.is_quarantined:
        return f"the machine is in quarantine: {'; '.join(check.quarantine.reasons)}"
    if series.state in ("first", "too few"):
        return f"too few points to judge by: {series.point_count}"
    if series.state == "known":
        return "already told by an open alert"
    nomination, confirmation = series.nomination, _confirmation(check, series)
    if nomination is None or not nomination.is_worse:
        return None
    if confirmation is None:
        seen = series.visible_effect_ratio
        least = "" if seen is None else f" (steps of {units.percent(seen)} are seen at once)"
        return f"nominated but not run side by side: {change_words(nomination)}{least}"
    return None if confirmation.verdict == "WITHDRAWN" else confirmation.sentence
