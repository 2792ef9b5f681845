"""From a finished run to its decision: records, decisions, the pack, and a promotion that cites it."""

import dataclasses
import datetime
import json
import shutil
from pathlib import Path

import pytest
import yaml

from perflib import project
from perflib.errors import ParameterError
from perflib.governance.evidence.keys import make_key
from perflib.governing.commands import build_named, moment, rehearse_named, sign_named, verify_named, weigh
from perflib.governing.govern import decisions_folder, govern
from perflib.governing.pack import EVIDENCE, manifest_sha256, refuse_signed
from perflib.governing.promoting import promote_named
from perflib.governing.sources import keep_run_sources, params_folder, read_sources
from perflib.records import sha256_file
from perflib.results import Gate, Validation
from perflib.results.governance import Backlog, Carbon, Finops, PriceBook, RiskRegister, RolloutPlan
from perflib.runs import Run
from perflib.watching.goods import promotions
from tests.ledgers import CANDIDATES, make_ledger
from tests.tiny_artifact import write_artifact

TODAY = datetime.date(2026, 3, 2)


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of params files that a test may change."""
    root = tmp_path / "project"
    shutil.copytree(project.root() / "params", root / "params")
    for name in ("notebooks", "perflib"):
        (root / name).mkdir()
    monkeypatch.setenv("PERFLIB_ROOT", str(root))
    return root / "params"


@pytest.fixture
def run(own_folders: Path, params: Path) -> Run:
    """Return a made-up run of which one finalist is approved, with the registered limits of the shipped file."""
    ledger = make_ledger(own_folders / "20260301-080000_made_abcdef0")
    summary = dataclasses.replace(
        ledger.summary,
        params={**ledger.summary.params, "finalists": ["int8"]},
        guardrails_sha256=sha256_file(params / "guardrails.yaml"),
    )
    summary.write(ledger.folder / "run.json")
    (ledger.folder / "report.html").write_text("<!DOCTYPE html>\n<main><p>int8 is twice as fast.</p></main>\n")
    return Run(ledger.folder)


def edit(path: Path, **change: object) -> None:
    """Change top-level keys of a YAML file."""
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))


# --- the decision's records -----------------------------------------------------------------------------------------


def test_a_run_gets_all_that_a_decision_rests_on(run: Run) -> None:
    """Prices in force, costs, carbon, backlog, risks, a plan for what may be shipped, and a decision for each."""
    govern(run, read_sources(), today=TODAY)

    assert all(run.read(kind, "run") is not None for kind in (PriceBook, Finops, Carbon, Backlog, RiskRegister))
    assert run.names(RolloutPlan) == ["int8"]
    assert len(list((decisions_folder() / "reviews-tiny").glob("*.md"))) == len(CANDIDATES)


def test_the_same_day_gives_the_same_bytes(run: Run) -> None:
    """Nothing of chance or clock gets into the records."""
    govern(run, read_sources(), today=TODAY)
    before = {path.name: path.read_bytes() for path in (run.folder / "records").iterdir()}
    govern(run, read_sources(), today=TODAY)

    assert {path.name: path.read_bytes() for path in (run.folder / "records").iterdir()} == before


def test_the_plan_of_a_candidate_that_may_not_be_shipped_any_more_goes(run: Run) -> None:
    """A plan in the folder says that somebody may follow it."""
    govern(run, read_sources(), today=TODAY)
    found = run.read(Validation, "int8")
    assert found is not None
    failing = dataclasses.replace(found.gates[0], verdict="FAIL")
    run.write(dataclasses.replace(found, gates=(failing,), verdict="FAIL"), "int8")
    govern(run, read_sources(), today=TODAY)

    assert run.names(RolloutPlan) == []


def test_the_ranking_follows_the_prices(run: Run, params: Path) -> None:
    """Whoever serves a thousandth saves nothing that could be given back."""
    before = weigh(str(run.folder)).backlog.item("OPT-int8")
    edit(params / "prices.yaml", inferences_per_month={"p10": 1e5, "p50": 1e6, "p90": 2e6})
    after = weigh(str(run.folder)).backlog.item("OPT-int8")

    assert before is not None
    assert after is not None
    assert before.returns != after.returns
    assert after.realisable == "no"


def test_an_edit_of_what_is_not_there_is_said(run: Run, params: Path) -> None:
    """Runs differ, so it is a note."""
    edit(params / "backlog.yaml", workloads={"reviews-tiny": {"OPT-int4": {"owner": "Ada"}}})

    assert "OPT-int4" in " ".join(weigh(str(run.folder)).notes)


def test_missing_prices_are_told_before_anything_runs(params: Path) -> None:
    """One sentence with the file."""
    (params / "prices.yaml").unlink()

    with pytest.raises(ParameterError, match=r"prices\.yaml does not exist"):
        read_sources()


def test_a_run_keeps_the_files_as_they_were(run: Run, params: Path) -> None:
    """Limits that were changed since are not those of the run, so an older copy stays."""
    summary = run.summary()
    assert summary is not None
    keep_run_sources(run, summary)
    kept = (params_folder(run) / "guardrails.yaml").read_bytes()
    (params / "guardrails.yaml").write_bytes(kept + b"# looser\n")
    (params / "waivers.yaml").unlink()
    keep_run_sources(run, summary)

    assert (params_folder(run) / "guardrails.yaml").read_bytes() == kept
    assert not (params_folder(run) / "waivers.yaml").exists()
    assert (params_folder(run) / "prices.yaml").is_file()


@pytest.mark.parametrize("word", ["", "soon", "1.5", "99999999999999999999"])
def test_a_moment_that_is_none_is_refused(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH is whole seconds."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", word)

    with pytest.raises(ParameterError, match="SOURCE_DATE_EPOCH"):
        moment()


# --- the pack -------------------------------------------------------------------------------------------------------


@pytest.fixture
def packed(run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the pack of the run."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1772409600")
    weigh(str(run.folder))
    return build_named(str(run.folder))[1]


def test_a_pack_holds_every_part(packed: Path) -> None:
    """Statements, card and bill of the finalist, decisions of the run, costs, backlog, params."""
    manifest = json.loads((packed / "MANIFEST.json").read_text())
    paths = {one["path"] for one in manifest["files"]}

    assert manifest["claimed"] == ["int8"]
    assert manifest["built"] == "2026-03-02T00:00:00Z"
    assert {
        *("VERIFY.md", "crosswalk.json", "run.json", "report.html", "attestations/provenance.json"),
        *(f"candidates/int8/{name}" for name in ("accuracy.json", "performance.json", "gate.json")),
        *("candidates/int8/MODEL_CARD.md", "candidates/int8/model.cdx.json", "sbom/env.cdx.json"),
        *("backlog/backlog.csv", "finops/focus.csv", "finops/SUMMARY.md", "records/rollout-int8.json"),
        *(f"params/{name}.yaml" for name in ("guardrails", "waivers", "prices", "backlog")),
    } <= paths
    assert sum(path.startswith("decisions/") for path in paths) == len(CANDIDATES)


def test_a_pack_built_again_is_the_same(packed: Path, run: Run) -> None:
    """With the same moment, to the byte."""
    before = manifest_sha256(run)
    build_named(str(run.folder))

    assert manifest_sha256(run) == before


def test_a_signed_pack_is_not_replaced_unasked(packed: Path, run: Run, tmp_path: Path) -> None:
    """Signatures are somebody's word."""
    make_key(tmp_path / "author.key")
    sign_named(packed, key=tmp_path / "author.key", role="author")

    with pytest.raises(ParameterError, match="is signed"):
        refuse_signed(run, is_forced=False)
    with pytest.raises(ParameterError, match="is signed"):
        build_named(str(run.folder))
    build_named(str(run.folder), is_forced=True)
    assert not (packed / "bundle.dsse.json").exists()


def test_an_unknown_role_is_refused(packed: Path, tmp_path: Path) -> None:
    """There are two."""
    with pytest.raises(ParameterError, match="author or as reviewer"):
        sign_named(packed, key=tmp_path / "none", role="boss")


def test_a_pack_without_trusted_keys_is_not_believed(packed: Path) -> None:
    """Code 4, whatever else it says."""
    check = verify_named(packed, trusted=(), threshold=2, is_integrity_only=False, trust_on_first_use=False)

    assert check.exit_code == 4


def test_a_rehearsal_is_of_a_candidate(run: Run) -> None:
    """RUN:NAME, as elsewhere."""
    with pytest.raises(ParameterError, match="RUN:NAME"):
        rehearse_named(run.run_id, budget_sec=10)


# --- promotions -----------------------------------------------------------------------------------------------------


def with_gate(run: Run, name: str, **change: object) -> Gate:
    """Change the first gate of a candidate's validation."""
    found = run.read(Validation, name)
    assert found is not None
    changed: Gate = dataclasses.replace(found.gates[0], **change)  # type: ignore[arg-type]
    run.write(dataclasses.replace(found, gates=(changed, *found.gates[1:])), name)
    return changed


def promotable(run: Run) -> str:
    """Give the run an artifact to keep, and return the word of its candidate."""
    write_artifact(run.artifact_folder("int8"))
    return f"{run.folder}:int8"


def test_a_promotion_cites_the_pack_and_no_example_money(packed: Path, run: Run) -> None:
    """The digest of the manifest, and no return that nobody vouches for."""
    made = promote_named(promotable(run), reason="ships on Monday", today=TODAY)

    assert made.manifest_sha256 == sha256_file(packed / "MANIFEST.json")
    assert (made.waivers, made.roi_p10_ratio) == ((), None)
    assert promotions() == [made]


def test_prices_that_are_ones_own_are_cited(run: Run, params: Path) -> None:
    """The conservative end of the return."""
    edit(params / "prices.yaml", example=False)
    item = weigh(str(run.folder)).backlog.item("OPT-int8")
    made = promote_named(promotable(run), reason="pays", today=TODAY)

    assert item is not None
    assert item.returns is not None
    assert made.roi_p10_ratio == item.returns.roi_ratio.p10
    assert made.manifest_sha256 is None


def test_an_open_gate_needs_a_waiver_that_is_valid_today(run: Run, params: Path) -> None:
    """None, a valid one, an expired one."""
    word = promotable(run)
    gate = with_gate(run, "int8", verdict="FAIL", id="A7-drop", waiver="Ada answers for it")
    with pytest.raises(ParameterError, match=f"no valid waiver for {gate.id}"):
        promote_named(word, reason="ships", today=TODAY)
    waiver = {
        "artifact": CANDIDATES["int8"][:12],
        "gate": gate.id,
        "owner": "Ada",
        "reason": "it is small",
        "compensating_control": "watched",
        "granted": "2026-03-01",
        "expires": "2026-03-31",
    }
    edit(params / "waivers.yaml", waivers=[waiver])

    assert "Ada" in promote_named(word, reason="ships", today=TODAY).waivers[0]
    with pytest.raises(ParameterError, match="expire"):
        promote_named(word, reason="ships", today=datetime.date(2026, 4, 1))
    assert (run.folder / EVIDENCE).exists() is False


def test_a_refused_candidate_is_not_promoted(run: Run) -> None:
    """Gates first."""
    with pytest.raises(ParameterError, match=r"no valid waiver|is quarantined"):
        promote_named(f"{run.folder}:vocabulary", reason="it is so fast", today=TODAY)
