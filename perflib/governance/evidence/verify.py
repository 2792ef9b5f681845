"""
`perflib evidence verify`: may this pack be believed? Offline, running nothing of it, and with one code for the answer.

    check = verify_pack(folder, trusted=(author, reviewer), today=today)
    check.exit_code  # 0 kept, 2 schema, 3 digest or file, 4 signature, 5 cross-file, 6 policy, 7 stale

First the files are held against the manifest, then the manifest against the signatures, and only what is signed is
read for what it says.
"""

import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from perflib.errors import DataError, ParameterError, PerflibError
from perflib.governance.evidence import strict
from perflib.governance.evidence.layout import BUNDLE_FILE, MANIFEST_FILE
from perflib.governance.evidence.pack import MissingFileError, Pack, open_pack
from perflib.governance.evidence.rules import policy
from perflib.governance.evidence.rules.base import DIGEST, SCHEMA, SIGNATURE, Rule, Setting
from perflib.governance.evidence.rules.book import RULES
from perflib.governance.evidence.signing import check_signatures
from perflib.governance.evidence.strict import shown
from perflib.records import sha256_bytes
from perflib.results.governance import PackCheck, PackProblem, RuleResult

CODES = {
    0: "the pack is whole",
    2: "a document is not what its schema says",
    3: "a file is changed, missing or added",
    4: "signatures are missing or wrong",
    5: "files contradict each other",
    6: "a claim breaks the policy",
    7: "something has expired",
}
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
# Of one rule: who forges a pack forges more than anybody reads.
_MAX_SHOWN_COUNT = 50
_UNSIGNED_WARNING = "Signatures were not checked: whoever changed the pack may have changed its manifest too."
_SHIPPED_KEYS_WARNING = "Keys from inside the pack were trusted: they say that nothing changed since, not who signed."


def verify_pack(
    folder: Path,
    *,
    trusted: Sequence[Path] = (),
    threshold: int = 2,
    is_integrity_only: bool = False,
    trust_on_first_use: bool = False,
    today: datetime.date,
    host_names: Sequence[str] = (),
) -> PackCheck:
    """
    Verify a pack.

    Args:
        folder: Of the pack; only read.
        trusted: Files with the public keys of those whose word counts.
        threshold: How many of them must have signed.
        is_integrity_only: Do not look at signatures, and say so.
        trust_on_first_use: Also trust the keys that lie in the pack, and say so.
        today: In UTC; waivers and plans may have expired.
        host_names: Names that must not stand in the pack, such as this machine's own.

    Raises:
        ParameterError: If the folder is not there, or the threshold is below 1.
    """
    if threshold < 1:
        raise ParameterError(f"threshold is {threshold}; ask for at least 1 signature, or for integrity only.")
    if not folder.is_dir():
        raise ParameterError(f"{folder} is no folder; name the evidence folder of a run.")
    start_sec = time.perf_counter()
    pack, problems, files_count = open_pack(folder)
    rules = [RuleResult("I1", "Files are those of the manifest", files_count, not problems, _said(problems))]
    warnings: list[str] = []
    signed_by: tuple[tuple[str, str], ...] = ()
    if pack is not None:
        if is_integrity_only:
            warnings.append(_UNSIGNED_WARNING)
        else:
            keys = [*trusted, *(_shipped_keys(folder, pack) if trust_on_first_use else [])]
            warnings += [_SHIPPED_KEYS_WARNING] if trust_on_first_use else []
            signed_by, problems = _signatures(pack, keys, threshold)
            title = f"Signed by {threshold} trusted keys"
            rules.append(RuleResult("signature", title, len(keys), not problems, _said(problems)))
        if not problems:
            setting = Setting(today, tuple(host_names))
            for rule in RULES:
                result, found = apply_rule(rule, pack, setting)
                rules.append(result)
                problems += found
                # What is left out is missed by every rule that needs it, and named once.
                if found and rule.name == "I1":
                    break
            warnings += _said_warnings(pack)
    return PackCheck(
        exit_code=min((one.code for one in problems), default=0),
        run_id=shown(pack.manifest.run_id) if pack else "",
        rules=tuple(rules),
        problems=tuple(problems),
        warnings=tuple(warnings),
        signed_by=signed_by,
        wall_sec=time.perf_counter() - start_sec,
    )


def apply_rule(rule: Rule, pack: Pack, setting: Setting) -> tuple[RuleResult, list[PackProblem]]:
    """Ask one rule; what it stumbles over is a problem of the pack, never a traceback."""
    looked_count = 0
    problems: list[PackProblem] = []
    try:
        for look in rule.look(pack, setting):
            looked_count += 1
            if look is not None:
                problems.append(look)
    except PerflibError as error:
        problems.append(_stumbled(rule, shown(error), error))
    # Whatever a hostile file brings a rule to raise must become a verdict on the file.
    except Exception as error:  # noqa: BLE001
        sentence = f"A file is not what it should be, so the rule could not be asked ({type(error).__name__})."
        problems.append(_stumbled(rule, sentence, error))
    return RuleResult(rule.name, rule.title, looked_count, not problems, _said(problems)), problems[:_MAX_SHOWN_COUNT]


def verdict_lines(check: PackCheck) -> tuple[str, ...]:
    """Return a check as lines for a person: one for each rule, then what is wrong, then the verdict."""
    width = max((len(one.title) for one in check.rules), default=0)
    lines = [
        f"{'kept  ' if one.is_kept else 'BROKEN'}  {one.rule:<9}  {one.title:<{width}}  {one.checked_count:>6,} checked"
        for one in check.rules
    ]
    lines += [f"code {one.code}  {one.rule}  {one.path}: {one.sentence}" for one in check.problems]
    lines += [f"signed by {role}: {fingerprint}" for role, fingerprint in check.signed_by]
    lines += [f"warning: {one}" for one in check.warnings]
    lines.append(f"{'OK' if check.exit_code == 0 else 'REFUSED'} ({check.exit_code}): {CODES[check.exit_code]}.")
    return tuple(lines)


def _signatures(
    pack: Pack, keys: Sequence[Path], threshold: int
) -> tuple[tuple[tuple[str, str], ...], list[PackProblem]]:
    """Ask the signatures, and whether what they sign is this manifest with these files."""
    if BUNDLE_FILE not in pack:
        return (), [_unsigned("The pack is not signed; sign it, or ask for integrity only.")]
    if not keys:
        return (), [_unsigned("No key is trusted, so no signature says anything; name the keys that you trust.")]
    try:
        found = check_signatures(pack.folder, keys, threshold=threshold)
    except ParameterError:
        raise
    except PerflibError as error:
        return (), [_unsigned(str(error))]
    except Exception as error:  # noqa: BLE001 -- as for rules
        return (), [_unsigned(f"The signatures cannot be read ({type(error).__name__}); sign the pack again.")]
    problems = [_unsigned(one) for one in found.problems]
    if not problems and len({fingerprint for _, fingerprint in found.signed_by}) < threshold:
        problems.append(_unsigned(f"{len(found.signed_by)} trusted keys signed, and {threshold} are asked for."))
    if not problems:
        problems += [_unsigned(one) for one in _payload_problems(pack, found.payload or b"")]
    return tuple(found.signed_by), problems


def _payload_problems(pack: Pack, payload: bytes) -> Iterator[str]:
    """Yield why a signed statement is not about this pack; it has been read only after its signatures."""
    try:
        statement = strict.load_json(payload, source=f"the payload of {BUNDLE_FILE}")
        subjects = [(one["name"], one["digest"]) for one in statement["subject"]]
        manifest = strict.load_json(pack.content(MANIFEST_FILE), source=MANIFEST_FILE)
        kind, predicate = statement["_type"], statement["predicate"]
    except (DataError, KeyError, TypeError) as error:
        yield f"What was signed is no statement about a pack ({shown(error)}); sign the pack again."
        return
    wanted = {path: {"sha256": sha256} for path, sha256 in pack.digests.items()}
    wanted[MANIFEST_FILE] = {"sha256": sha256_bytes(pack.content(MANIFEST_FILE))}
    if kind != _STATEMENT_TYPE or predicate != manifest or len(subjects) != len(wanted) or dict(subjects) != wanted:
        yield "What was signed is not this manifest with these files; sign the pack again."


def _shipped_keys(folder: Path, pack: Pack) -> list[Path]:
    return [folder / path for path in sorted(pack.files) if path.startswith("keys/")]


def _said_warnings(pack: Pack) -> list[str]:
    """Say what passed and should be known all the same: gates that warn or are waived."""
    try:
        return [shown(one) for one in policy.warnings(pack)]
    except Exception:  # noqa: BLE001 -- what is wrong with the pack has been said by a rule
        return []


def _stumbled(rule: Rule, sentence: str, error: Exception) -> PackProblem:
    return PackProblem(DIGEST if isinstance(error, MissingFileError) else SCHEMA, rule.name, ".", sentence)


def _unsigned(sentence: str) -> PackProblem:
    return PackProblem(SIGNATURE, "signature", BUNDLE_FILE, shown(sentence))


def _said(problems: Sequence[PackProblem]) -> str:
    return problems[0].sentence if problems else "kept"
