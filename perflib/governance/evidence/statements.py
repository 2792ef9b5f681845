"""
What a run and its judgements say, in the forms that other people's tools read: in-toto statements as plain data.

Provenance says how the candidates came about, two test results how a candidate answers and how fast it is, and a
verification result which promises it keeps. The subject is always the model itself, by perflib's digest of its content.
None of them is worth more than the signatures over the pack in which it lies.

    dumps(accuracy_statement(ledger, "int8"))
"""

import datetime
from collections.abc import Mapping
from typing import Any

from perflib.errors import DataError
from perflib.governance.evidence.layout import PROJECT_URI
from perflib.governance.evidence.outcomes import CUT_SHORT, gate_outcome, speed_outcome
from perflib.governance.evidence.signing import STATEMENT_TYPE
from perflib.governance.ledger import Ledger
from perflib.results import Comparison, RunSummary, Validation
from perflib.results.history import EnvironmentLock

PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
TEST_RESULT_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_TYPE = "https://in-toto.io/attestation/svr/v0.2"
BUILD_TYPE = f"{PROJECT_URI}/build/run/v1"

_LEVEL = "SLSA Build L1 at best: perflib says this of itself. It is signed only as a part of the pack."


def provenance_statement(ledger: Ledger) -> dict[str, Any]:
    """
    Return how the candidates of a run were made, as SLSA provenance v1.

    Raises:
        DataError: If the run has made and measured no model at all.
    """
    summary = ledger.summary
    subjects = {name: one.artifact_sha256 for name, one in ledger.builds.items()}
    if not subjects and ledger.baseline is not None:
        subjects = {"baseline": ledger.baseline.artifact_sha256}
    if not subjects:
        raise DataError(f"run {summary.run_id} has made no model, so nothing can be said of where one came from.")
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "params": _resource("run.json#/params", summary.params_sha256, name=summary.params_name),
                "guardrails": _resource("params/guardrails.yaml", summary.guardrails_sha256),
            },
            "internalParameters": {
                "code": {"digest": {"sha256": summary.code_sha256}, "commit": summary.commit},
                "hardware_class": summary.machine.get("hardware_class"),
            },
            "resolvedDependencies": _dependencies(ledger),
        },
        "runDetails": {
            "builder": {"id": f"{PROJECT_URI}/builder/local", "perflib_level": _LEVEL},
            "metadata": {
                "invocationId": summary.ulid,
                "startedOn": _utc(_started(summary)),
                "finishedOn": _utc(_finished(ledger)),
            },
        },
    }
    return _statement(subjects, PROVENANCE_TYPE, predicate)


def accuracy_statement(ledger: Ledger, name: str) -> dict[str, Any]:
    """
    Return what the guardrails say of a candidate's answers, as a test result.

    Raises:
        DataError: If the candidate was not built or not validated.
    """
    validation = _validation(ledger, name)
    configuration = [
        _resource("params/guardrails.yaml", validation.guardrails_sha256, annotations={"profile": validation.profile}),
        {"name": "test split", "digest": {"sha256": validation.split_sha256}},
        {"name": "baseline", "digest": {"sha256": validation.identity.baseline_sha256}},
    ]
    predicate = {"configuration": configuration, **gate_outcome(validation.gates).to_predicate()}
    return _statement(_subject(ledger, name), TEST_RESULT_TYPE, predicate)


def performance_statement(ledger: Ledger, name: str) -> dict[str, Any]:
    """
    Return how fast a candidate is against the baseline, scenario by scenario, as a test result.

    Raises:
        DataError: If the candidate was not built or not measured.
    """
    comparison = _comparison(ledger, name)
    rule = {
        "name": "decision rule",
        "uri": f"{PROJECT_URI}/rule/paired-lives/v1",
        "annotations": {
            "alpha_ratio": comparison.alpha_ratio,
            "mde_ratio": comparison.mde_ratio,
            "tolerance_ratio": comparison.tolerance_ratio,
        },
    }
    configuration = [
        rule,
        {"name": "inputs", "digest": {"sha256": comparison.inputs_sha256}},
        {"name": "baseline", "digest": {"sha256": comparison.baseline_sha256}},
    ]
    predicate = {"configuration": configuration, **speed_outcome(comparison).to_predicate()}
    return _statement(_subject(ledger, name), TEST_RESULT_TYPE, predicate)


def gate_statement(ledger: Ledger, name: str) -> dict[str, Any]:
    """
    Return which promises a candidate keeps, as a simple verification result; one that it does not keep is absent.

    Raises:
        DataError: If the candidate was not built, not measured or not validated.
    """
    comparison, validation = _comparison(ledger, name), _validation(ledger, name)
    accuracy = gate_outcome(validation.gates).result
    verdicts = [] if comparison.stop in CUT_SHORT else [one.verdict for one in comparison.scenarios]
    kept = {
        "PERFLIB_ACCURACY_PASS": accuracy == "PASSED",
        "PERFLIB_ACCURACY_PASS_WITH_WARNINGS": accuracy == "WARNED",
        "PERFLIB_NOREGRESSION_PASS": bool(verdicts) and all(one in ("PASS", "IMPROVEMENT") for one in verdicts),
        "PERFLIB_IMPROVEMENT": "IMPROVEMENT" in verdicts,
        "PERFLIB_APPROVED": name in ledger.approved,
    }
    predicate = {
        "verifier": {
            "id": f"{PROJECT_URI}/verifier/gate/v1",
            "policies": [_resource("params/guardrails.yaml", validation.guardrails_sha256)],
        },
        "timeCreated": _utc(_finished(ledger)),
        "properties": [word for word, is_kept in kept.items() if is_kept],
    }
    return _statement(_subject(ledger, name), VERIFICATION_TYPE, predicate)


def _statement(subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(subjects.items())],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def _subject(ledger: Ledger, name: str) -> dict[str, str]:
    if name not in ledger.builds:
        raise DataError(f"{name} was never built, so there is no model to speak of; choose another candidate.")
    return {name: ledger.builds[name].artifact_sha256}


def _validation(ledger: Ledger, name: str) -> Validation:
    if name not in ledger.validations:
        raise DataError(f"{name} was never validated, so nothing is known of its answers; choose another candidate.")
    return ledger.validations[name]


def _comparison(ledger: Ledger, name: str) -> Comparison:
    if name not in ledger.comparisons:
        raise DataError(f"{name} was never measured, so nothing is known of its speed; choose another candidate.")
    return ledger.comparisons[name]


def _dependencies(ledger: Ledger) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if ledger.baseline is not None:
        found.append({"name": "baseline", "digest": {"sha256": ledger.baseline.artifact_sha256}})
    if ledger.provenance is not None:
        found.append({"name": "test split", "digest": {"sha256": ledger.provenance.data_sha256}})
        found.append({"name": "environment lock", "digest": {"sha256": ledger.provenance.lock_sha256}})
    return [*found, *(_packages(ledger.lock) if ledger.lock is not None else [])]


def _packages(lock: EnvironmentLock) -> list[dict[str, Any]]:
    from packageurl import PackageURL

    python = {"name": "python", "uri": PackageURL("generic", name="python", version=lock.python).to_string()}
    found = [(one.name, PackageURL("pypi", name=one.name, version=one.version).to_string()) for one in lock.packages]
    return [python, *({"name": name, "uri": uri} for name, uri in sorted(found))]


def _resource(uri: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {"uri": uri, "digest": {"sha256": sha256}, **more}


def _started(summary: RunSummary) -> datetime.datetime:
    return _moment(summary.started, f"`started` of run {summary.run_id}")


def _finished(ledger: Ledger) -> datetime.datetime:
    """Return the run's end; while it has none, when its results were recorded."""
    started = _started(ledger.summary)
    if ledger.summary.wall_sec is not None:
        # Whole seconds: a pack that is built in the same second must not seem older than its run.
        return started + datetime.timedelta(seconds=int(ledger.summary.wall_sec))
    if ledger.provenance is not None:
        return max(started, _moment(ledger.provenance.recorded, f"`recorded` of run {ledger.summary.run_id}"))
    return started


def _moment(text: str, what: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{what} is {text!r}, which is no time; make the run again.") from error
    if moment.tzinfo is None:
        raise DataError(f"{what} is {text!r}, without a time zone; make the run again.")
    return moment.astimezone(datetime.UTC)


def _utc(moment: datetime.datetime) -> str:
    return moment.replace(tzinfo=None).isoformat() + "Z"
