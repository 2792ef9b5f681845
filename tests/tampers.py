"""
What somebody may do to a pack, each with the code that a verifier must give: the same tampers every time.

A tamper gets a signed pack of its own and everybody's keys. Those that stop at files or signatures know no more than a
stranger does; those that are to reach a rule list and sign again what they did, with the keys that are trusted.
"""

import base64
import dataclasses
import datetime
import functools
import io
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from perflib.governance.evidence.signing import PREDICATE_TYPE
from perflib.records import dumps, sha256_bytes
from perflib.results.governance import Manifest
from tests.hand_packs import TODAY, write_manifest
from tests.sound_packs import CANDIDATE_SHA256, DECISION
from tests.whole_records import NAME

UNLISTED = {"MANIFEST.json", "bundle.dsse.json", "keys/author.pub", "keys/reviewer.pub"}
VALIDATION, COMPARISON = f"records/validation-{NAME}.json", f"records/comparison-{NAME}.json"
PREDICTIONS = f"records/predictions-{NAME}.parquet"
BACKLOG, FINOPS, ROLLOUT = "records/backlog-run.json", "records/finops-run.json", f"records/rollout-{NAME}.json"
PROVENANCE, FOCUS = "attestations/provenance.json", "finops/focus.csv"


_TYPE = b"application/vnd.in-toto+json"


@dataclasses.dataclass
class Bench:
    """A signed pack to spoil, the private keys of author, reviewer and a stranger, and the day it is read."""

    folder: Path
    author: Path
    reviewer: Path
    stranger: Path
    today: datetime.date = TODAY

    def files(self) -> dict[str, bytes]:
        """Return what can be listed."""
        found = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if name not in UNLISTED}

    def text(self, path: str) -> str:
        """Return a file's text."""
        return (self.folder / path).read_bytes().decode()

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file, and its folder."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text; it must be there."""
        text = self.text(path)
        assert old in text, (path, old)
        self.write(path, text.replace(old, new, 1))

    def change(self, path: str, pointer: str, value: Any) -> None:
        """Change one value of a JSON file; a callable gets the old one."""
        document = json.loads(self.text(path))
        *parts, last = [int(one) if one.isdigit() else one for one in pointer.strip("/").split("/")]
        inner = document
        for part in parts:
            inner = inner[part]
        inner[last] = value(inner[last]) if callable(value) else value
        self.write(path, json.dumps(document, indent=1) + "\n")

    def list_again(self, **change: Any) -> None:
        """Write the manifest of what lies there now."""
        old = Manifest.read(self.folder / "MANIFEST.json")
        kept = {name: getattr(old, name) for name in ("run_id", "run_ulid", "built", "claimed", "promoted")}
        write_manifest(self.folder, self.files(), **{**kept, **change})

    def sign_again(self, *keys: Path) -> None:
        """Sign as author and reviewer by hand, for ours signs no such thing; without keys, with the trusted ones."""
        for name in UNLISTED - {"MANIFEST.json"}:
            (self.folder / name).unlink(missing_ok=True)
        body, signatures = _statement(self.folder), []
        for role, key in zip(("author", "reviewer"), keys or (self.author, self.reviewer), strict=False):
            private = load_pem_private_key(key.read_bytes(), None)
            assert isinstance(private, Ed25519PrivateKey)
            signed = private.sign(b"DSSEv1 %d %s %d %s" % (len(_TYPE), _TYPE, len(body), body))
            signatures.append({"keyid": role, "sig": base64.b64encode(signed).decode()})
            self.write(f"keys/{role}.pub", key.with_name(f"{key.name}.pub").read_bytes())
        envelope = {
            "payload": base64.b64encode(body).decode(),
            "payloadType": _TYPE.decode(),
            "signatures": signatures,
        }
        self.write("bundle.dsse.json", json.dumps(envelope))

    def bundle(self) -> Any:
        """Return the envelope."""
        return json.loads(self.text("bundle.dsse.json"))


@dataclasses.dataclass(frozen=True)
class Tamper:
    """One thing to do to a pack; ``is_slow`` where the verifier recomputes everything before it has its verdict."""

    name: str
    code: int
    act: Callable[[Bench], None]
    is_slow: bool = False


def tampers(paths: Sequence[str], *, seed: int = 0) -> list[Tamper]:
    """
    Return all tampers of a pack with these listed files.

    Args:
        paths: The files, sorted.
        seed: Of the places where bits flip.
    """
    toss = random.Random(seed)
    found = [tamper for path in paths for tamper in _of_file(path, paths, toss)]
    found += [*_of_manifest(), *_of_signatures(), *_of_folder()]
    found += [dataclasses.replace(one, is_slow=True) for one in _of_contents(paths)]
    names = [one.name for one in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return found


# --- one file, without a new manifest ---------------------------------------------------------------------------------


def _of_file(path: str, paths: Sequence[str], toss: random.Random) -> Iterator[Tamper]:
    place, bit = toss.random(), toss.randrange(8)
    sibling = paths[(paths.index(path) + 1) % len(paths)]

    def flip(bench: Bench) -> None:
        content = bytearray((bench.folder / path).read_bytes())
        content[int(place * len(content))] ^= 1 << bit
        bench.write(path, bytes(content))

    def swap(bench: Bench) -> None:
        ours = (bench.folder / path).read_bytes()
        others = (one for one in (sibling, *paths) if (bench.folder / one).read_bytes() != ours)
        other = next(others)
        bench.write(path, (bench.folder / other).read_bytes())
        bench.write(other, ours)

    yield Tamper(f"flip a bit of {path}", 3, flip)
    yield Tamper(f"truncate {path}", 3, lambda bench: bench.write(path, (bench.folder / path).read_bytes()[:-1]))
    yield Tamper(f"empty {path}", 3, lambda bench: bench.write(path, b""))
    yield Tamper(f"append to {path}", 3, lambda bench: bench.write(path, (bench.folder / path).read_bytes() + b"\n"))
    yield Tamper(f"delete {path}", 3, lambda bench: (bench.folder / path).unlink())
    yield Tamper(f"rename {path}", 3, lambda bench: _rename(bench, path))
    yield Tamper(f"swap {path}", 3, swap)


def _statement(folder: Path) -> bytes:
    """Return what is signed about a manifest, however odd it is; of two equal keys the last one counts."""
    content = (folder / "MANIFEST.json").read_bytes()
    document = json.loads(content)
    digests = {one["path"]: one["sha256"] for one in document["files"]}
    digests["MANIFEST.json"] = sha256_bytes(content)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": path, "digest": {"sha256": digests[path]}} for path in sorted(digests)],
        "predicateType": PREDICATE_TYPE,
        "predicate": document,
    }
    return dumps(statement).encode()


def _put(path: str, content: str | bytes) -> Callable[[Bench], None]:
    return lambda bench: bench.write(path, content)


def _edit_text(path: str, old: str, new: str) -> Callable[[Bench], None]:
    return lambda bench: bench.replace(path, old, new)


def _gone(path: str) -> Callable[[Bench], None]:
    return lambda bench: (bench.folder / path).unlink()


def _rename(bench: Bench, path: str) -> None:
    place = bench.folder / path
    place.rename(place.with_name(f"x{place.name}"))


# --- the manifest -----------------------------------------------------------------------------------------------------


def _of_manifest() -> Iterator[Tamper]:
    def edit(old: str, new: str) -> Callable[[Bench], None]:
        return lambda bench: bench.replace("MANIFEST.json", old, new)

    def signed(old: str, new: str) -> Callable[[Bench], None]:
        def act(bench: Bench) -> None:
            bench.replace("MANIFEST.json", old, new)
            bench.sign_again()

        return act

    first = '"path": "VERIFY.md"'
    yield Tamper("manifest: gone", 3, lambda bench: (bench.folder / "MANIFEST.json").unlink())
    yield Tamper("manifest: cut", 2, lambda bench: bench.write("MANIFEST.json", bench.text("MANIFEST.json")[:-9]))
    yield Tamper("manifest: empty", 2, lambda bench: bench.write("MANIFEST.json", ""))
    yield Tamper("manifest: a list", 2, lambda bench: bench.write("MANIFEST.json", "[]"))
    yield Tamper(
        "manifest: more after it", 2, lambda bench: bench.write("MANIFEST.json", bench.text("MANIFEST.json") * 2)
    )
    yield Tamper("manifest: deep", 2, lambda bench: bench.write("MANIFEST.json", "[" * 100_000))
    yield Tamper(
        "manifest: blank appended", 4, lambda bench: bench.write("MANIFEST.json", bench.text("MANIFEST.json") + "\n")
    )
    yield Tamper("manifest: other date", 4, edit('"built": "2026', '"built": "2025'))
    yield Tamper("manifest: other run", 4, edit('"run_id": "2026', '"run_id": "2025'))
    yield Tamper("manifest: nothing claimed", 4, lambda bench: bench.list_again(claimed=()))
    yield Tamper("manifest: more promoted", 4, lambda bench: bench.list_again(promoted=(NAME,)))
    yield Tamper("manifest: key twice", 2, edit('"run_id"', '"run_id": "x", "run_id"'))
    yield Tamper("manifest: key twice, signed", 2, signed('"run_id"', '"run_id": "x", "run_id"'))
    yield Tamper("manifest: NaN", 2, edit('"size_bytes": ', '"size_bytes": NaN, "x": '))
    yield Tamper("manifest: unknown field", 2, edit('"run_id"', '"more": 1, "run_id"'))
    yield Tamper("manifest: schema 2", 2, edit("perflib/manifest/1", "perflib/manifest/2"))
    yield Tamper("manifest: path ..", 3, edit(first, '"path": "../VERIFY.md"'))
    yield Tamper("manifest: path .., signed", 3, signed(first, '"path": "../VERIFY.md"'))
    yield Tamper("manifest: path inside ..", 3, edit(first, '"path": "records/../VERIFY.md"'))
    yield Tamper("manifest: path absolute", 3, edit(first, '"path": "/etc/hostname"'))
    yield Tamper("manifest: path of a drive", 3, edit(first, '"path": "C:/VERIFY.md"'))
    yield Tamper("manifest: path with a backslash", 3, edit(first, '"path": "x\\\\VERIFY.md"'))
    yield Tamper("manifest: other file named", 3, edit(first, '"path": "VERIFY2.md"'))
    yield Tamper("manifest: lists itself", 3, edit(first, '"path": "MANIFEST.json"'))
    yield Tamper("manifest: a file left out", 3, lambda bench: _unlist(bench, "report.html"))
    yield Tamper("manifest: a file listed twice", 3, _list_twice)
    yield Tamper("manifest: digest in capitals", 2, lambda bench: _capitals(bench, is_signed=False))
    yield Tamper("manifest: digest in capitals, signed", 2, lambda bench: _capitals(bench, is_signed=True))
    yield Tamper(
        "manifest: another digest", 3, lambda bench: bench.change("MANIFEST.json", "/files/0/sha256", "0" * 64)
    )
    yield Tamper("manifest: another size", 3, lambda bench: bench.change("MANIFEST.json", "/files/0/size_bytes", 1))
    yield Tamper("manifest: unsorted", 2, lambda bench: bench.change("MANIFEST.json", "/files", lambda old: old[::-1]))


def _unlist(bench: Bench, path: str) -> None:
    bench.change("MANIFEST.json", "/files", lambda old: [one for one in old if one["path"] != path])


def _list_twice(bench: Bench) -> None:
    bench.change("MANIFEST.json", "/files", lambda old: [old[0], *old])


def _capitals(bench: Bench, *, is_signed: bool) -> None:
    digests = re.findall(r'"sha256": "([0-9a-f]{64})"', bench.text("MANIFEST.json"))
    digest = next(one for one in digests if re.search("[a-f]", one))
    bench.replace("MANIFEST.json", digest, digest.upper())
    if is_signed:
        bench.sign_again()


# --- signatures -------------------------------------------------------------------------------------------------------


def _of_signatures() -> Iterator[Tamper]:
    bundle = "bundle.dsse.json"
    yield Tamper("bundle: gone", 4, lambda bench: (bench.folder / bundle).unlink())
    yield Tamper("bundle: renamed", 3, lambda bench: _rename(bench, bundle))
    yield Tamper("bundle: cut", 4, lambda bench: bench.write(bundle, bench.text(bundle)[:-20]))
    yield Tamper("bundle: empty", 4, lambda bench: bench.write(bundle, ""))
    yield Tamper("bundle: a list", 4, lambda bench: bench.write(bundle, "[]"))
    yield Tamper("bundle: key twice", 4, lambda bench: bench.replace(bundle, '"payload"', '"payload": "", "payload"'))
    yield _envelope("no signature", lambda document: document["signatures"].clear())
    yield _envelope("without the author", lambda document: document["signatures"].pop(0))
    yield _envelope("without the reviewer", lambda document: document["signatures"].pop(1))
    yield _envelope("same signature twice", _same_twice)
    yield _envelope("same signature under both names", _renamed_twice)
    for kind in ("application/json", "application/vnd.in-toto+json ", "", "APPLICATION/VND.IN-TOTO+JSON"):
        yield _envelope(f"type `{kind}`", functools.partial(_retype, kind=kind))
    for place in (0, 31, 32, 63):
        yield _envelope(f"signature flipped at {place}", functools.partial(_flip, place=place))
    yield _envelope("payload of nothing", lambda document: _payload(document, lambda old: {}))
    yield _envelope("payload with one subject", lambda document: _payload(document, _one_subject))
    yield _envelope(
        "payload written anew", lambda document: _payload(document, lambda old: dict(reversed(old.items())))
    )
    yield from _of_signers()
    yield from _of_keys()


def _of_keys() -> Iterator[Tamper]:
    def other(bench: Bench) -> None:
        bench.write("keys/author.pub", bench.stranger.with_name(f"{bench.stranger.name}.pub").read_bytes())

    for role in ("author", "reviewer"):
        path = f"keys/{role}.pub"
        yield Tamper(f"{path}: gone", 4, _gone(path))
        yield Tamper(f"{path}: renamed", 3, functools.partial(_rename, path=path))
        yield Tamper(f"{path}: empty", 4, _put(path, ""))
        yield Tamper(f"{path}: noise", 4, _put(path, b"\xff" * 99))
    yield Tamper("keys/author.pub: a stranger's", 4, other)
    yield Tamper("keys/author.pub: the reviewer's", 4, _same_key)


def _same_key(bench: Bench) -> None:
    bench.write("keys/author.pub", (bench.folder / "keys/reviewer.pub").read_bytes())


def _of_signers() -> Iterator[Tamper]:
    for names in (
        ("author", "author"),
        ("stranger", "stranger"),
        ("author", "stranger"),
        ("stranger", "reviewer"),
        ("author",),
        (),
    ):
        said = " and ".join(names) or "nobody again"
        if names:
            yield Tamper(f"signed by {said}", 4, functools.partial(_forge, act=None, names=names))
        yield Tamper(f"forged, signed by {said}", 4, functools.partial(_forge, act=_edit, names=names))
        yield Tamper(f"limits loosened, signed by {said}", 4, functools.partial(_forge, act=_loosen, names=names))


def _forge(bench: Bench, act: Callable[[Bench], None] | None, names: Sequence[str]) -> None:
    if act is not None:
        act(bench)
        bench.list_again()
    if names:
        bench.sign_again(*(getattr(bench, name) for name in names))


def _edit(bench: Bench) -> None:
    bench.replace("report.html", "as fast", "as  fast")


def _envelope(name: str, change: Callable[[Any], Any]) -> Tamper:
    def act(bench: Bench) -> None:
        document = bench.bundle()
        change(document)
        bench.write("bundle.dsse.json", json.dumps(document))

    return Tamper(f"bundle: {name}", 4, act)


def _retype(document: Any, kind: str) -> None:
    document["payloadType"] = kind


def _same_twice(document: Any) -> None:
    document["signatures"] = [document["signatures"][0]] * 2


def _renamed_twice(document: Any) -> None:
    first, second = document["signatures"]
    document["signatures"] = [first, {**first, "keyid": second["keyid"]}]


def _payload(document: Any, new: Callable[[Any], Any]) -> None:
    statement = new(json.loads(base64.b64decode(document["payload"])))
    document["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()


def _one_subject(statement: Any) -> Any:
    return {**statement, "subject": statement["subject"][:1]}


def _flip(document: Any, place: int) -> None:
    signature = document["signatures"][0]
    raw = bytearray(base64.b64decode(signature["sig"]))
    raw[place] ^= 1
    signature["sig"] = base64.b64encode(bytes(raw)).decode()


def _loosen(bench: Bench) -> None:
    bench.replace("params/guardrails.yaml", "A2: { limit: 0.01,", "A2: { limit: 0.05,")


# --- the folder -------------------------------------------------------------------------------------------------------


def _of_folder() -> Iterator[Tamper]:
    def link(bench: Bench) -> None:
        (bench.folder / "report.html").rename(bench.folder.parent / "outside.html")
        (bench.folder / "report.html").symlink_to("../outside.html")

    def folder_link(bench: Bench) -> None:
        (bench.folder / "candidates").rename(bench.folder.parent / "outside")
        (bench.folder / "candidates").symlink_to("../outside", target_is_directory=True)

    def nested(bench: Bench) -> None:
        bench.write("/".join(["d"] * 12) + "/x", "x")

    for path in (
        "added.json",
        "records/added.json",
        "keys/third.pub",
        ".hidden",
        "a b.txt",
        "tab\t.txt",
        "REPORT.html",
    ):
        yield Tamper(f"folder: added {path!r}", 3, _put(path, "{}"))
    yield Tamper("folder: a link for a file", 3, link)
    yield Tamper("folder: a link for a folder", 3, folder_link)
    yield Tamper("folder: a dangling link", 3, lambda bench: (bench.folder / "x").symlink_to("nowhere"))
    yield Tamper("folder: a link to itself", 3, lambda bench: (bench.folder / "x").symlink_to("x"))
    yield Tamper("folder: a pipe", 3, lambda bench: os.mkfifo(bench.folder / "pipe"))
    yield Tamper("folder: many folders deep", 3, nested)
    yield Tamper("folder: a pickle", 3, lambda bench: bench.write("x.pkl", b"cos\nsystem\n(S'true'\ntR."))


# --- contents, listed and signed by those who are trusted -------------------------------------------------------------


def _of_contents(paths: Sequence[str]) -> Iterator[Tamper]:
    yield from _of_documents(paths)
    yield from _of_omissions(paths)
    yield from _of_answers()
    yield from _of_speed()
    yield from _of_identities()
    yield from _of_decisions()
    yield from _of_money()
    yield from _of_pages()
    yield from _of_secrets()
    yield from _of_policy()


def _signed(name: str, code: int, act: Callable[[Bench], None], **manifest: Any) -> Tamper:
    def all_of_it(bench: Bench) -> None:
        act(bench)
        bench.list_again(**manifest)
        bench.sign_again()

    return Tamper(name, code, all_of_it)


def _changed(path: str, pointer: str, value: Any, code: int = 5) -> Tamper:
    return _signed(f"{path}: other {pointer}", code, lambda bench: bench.change(path, pointer, value))


def _of_documents(paths: Sequence[str]) -> Iterator[Tamper]:
    for path in (one for one in paths if one.endswith(".json")):
        yield _signed(f"{path}: key twice", 2, _edit_text(path, "{", '{"x": 1, "x": 2,'))
        yield _signed(f"{path}: NaN", 2, _edit_text(path, "{", '{"x": NaN,'))
    for path in (one for one in paths if one.endswith((".yaml", ".parquet"))):
        yield _signed(f"{path}: noise", 2, _put(path, b"\xff\x00!" * 9))
    tag = "waivers: !!python/object/apply:os.getcwd []\n"
    yield _signed("params/waivers.yaml: a tag", 2, lambda bench: bench.write("params/waivers.yaml", tag))
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nwaivers: []\n"
    yield _signed("params/waivers.yaml: anchors", 2, lambda bench: bench.write("params/waivers.yaml", bomb))
    yield _signed("run.json: unknown field", 2, lambda bench: bench.replace("run.json", "{", '{"more": 1,'))


def _of_omissions(paths: Sequence[str]) -> Iterator[Tamper]:
    optional = {"params/waivers.yaml", "params/backlog.yaml"}
    for path in (one for one in paths if one not in optional):
        yield _signed(f"{path}: left out", 3, _gone(path))


def _of_answers() -> Iterator[Tamper]:
    def rewritten(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Bench], None]:
        def act(bench: Bench) -> None:
            buffer = io.BytesIO()
            change(pd.read_parquet(bench.folder / PREDICTIONS)).to_parquet(buffer, index=False)
            bench.write(PREDICTIONS, buffer.getvalue())

        return act

    def shortened(bench: Bench) -> None:
        rewritten(lambda frame: frame.iloc[1:])(bench)
        frame = pd.read_parquet(bench.folder / PREDICTIONS)
        for arm in ("baseline", "candidate"):
            right = frame.filter(regex=rf"^{arm}_\d+$").to_numpy().argmax(axis=1) == frame["label"]
            bench.change(VALIDATION, f"/{arm}_accuracy_ratio", float(right.mean()))
        bench.change(VALIDATION, "/example_count", len(frame))

    yield _signed("a row of the answers gone", 5, rewritten(lambda frame: frame.iloc[1:]))
    yield _signed("a row gone and the accuracy recomputed", 5, shortened)
    yield _signed("a label corrected", 5, rewritten(lambda frame: frame.assign(label=1 - frame["label"])))
    yield _signed("no answers at all", 2, rewritten(lambda frame: frame.iloc[:0]))
    yield _changed(VALIDATION, "/candidate_accuracy_ratio", lambda old: old + 0.01)
    yield _changed(VALIDATION, "/negative_flip_count", 1)
    yield _changed(VALIDATION, "/candidate_confidence/ece_ratio", lambda old: old / 2)
    yield _changed(VALIDATION, "/slices/0/change_ratio", 0.01)
    yield _changed(VALIDATION, "/gates/1/measured", 0.02)
    yield _changed(VALIDATION, "/gates/1/limit", 0.05)
    yield _changed(VALIDATION, "/gates", lambda old: old[1:])
    yield _changed(VALIDATION, "/verdict", "WARN")
    yield _changed("run.json", "/candidates/0/verdict", "quarantined")


def _of_speed() -> Iterator[Tamper]:
    yield _changed(COMPARISON, "/scenarios/0/verdict", "PASS")
    yield _changed(COMPARISON, "/scenarios/1/speedup_ratio/estimate", lambda old: old * 1.2)
    yield _changed(COMPARISON, "/scenarios/1/speedup_ratio/low", lambda old: old * 1.01)
    yield _changed(COMPARISON, "/scenarios/0/evidence", lambda old: old * 2)
    yield _changed(COMPARISON, "/scenarios/0/lives/0/log_ratio", lambda old: old - 1)
    yield _changed(COMPARISON, "/scenarios/0/lives", lambda old: old[:2])
    yield _changed(COMPARISON, "/scenarios/0/candidate/slot_sec", lambda old: old / 2)
    yield _changed(COMPARISON, "/alpha_ratio", 0.2)


def _of_identities() -> Iterator[Tamper]:
    other = "a" * 64
    yield _changed(COMPARISON, "/candidate_sha256", other)
    yield _changed(COMPARISON, "/baseline_sha256", other)
    yield _changed(VALIDATION, "/identity/candidate_sha256", other)
    yield _changed(VALIDATION, "/identity/built_sha256", other)
    yield _changed(f"records/build-{NAME}.json", "/artifact_sha256", other)
    yield _changed("records/baseline-baseline.json", "/artifact_sha256", other)
    yield _changed(ROLLOUT, "/candidate_sha256", other)
    yield _changed(ROLLOUT, "/baseline_sha256", other)
    yield _changed(ROLLOUT, "/candidate", "another")
    for statement in ("accuracy", "performance", "gate"):
        yield _changed(f"candidates/{NAME}/{statement}.json", "/subject/0/digest/sha256", other)
    yield _changed(f"candidates/{NAME}/model.cdx.json", "/metadata/component/hashes/0/content", other)
    card = f"candidates/{NAME}/MODEL_CARD.md"
    yield _signed(f"{card}: other digest", 5, lambda bench: bench.replace(card, CANDIDATE_SHA256, other))
    yield _changed("run.json", "/run_id", "20260301-080000_other_abcdef0")
    yield _signed("manifest: another ulid, signed", 5, lambda bench: None, run_ulid="01JNABCDEFGHJKMNPQRSTVWXY0")
    yield _signed("manifest: claims what is not there", 2, lambda bench: None, claimed=("../x",))


def _of_decisions() -> Iterator[Tamper]:
    def edited(old: str, new: str, code: int = 5) -> Tamper:
        return _signed(f"decision: {new.strip()!r}", code, lambda bench: bench.replace(DECISION, old, new))

    yield edited("path: records/build-int8.json", "path: records/build-none.json")
    yield edited("pointer: /verdict", "pointer: /none")
    yield edited("accuracy_verdict: PASS", "accuracy_verdict: WARN")
    yield edited("candidate_sha256: '1111", "candidate_sha256: '2222")
    yield edited("status: accepted\n", "status: proposed\n")
    yield edited("backlog_id: OPT-int8", "backlog_id: OPT-int9")
    yield edited("evidence:\n", "evidence: []\nother:\n")
    yield edited("---\nstatus", "--\nstatus", 2)
    yield edited("id: ADR-0001", "id: ADR-0001\nid: ADR-0002", 2)
    yield _changed(BACKLOG, "/items/0/accuracy_verdict", "WARN")
    yield _changed("crosswalk.json", "/rows", lambda old: old[1:])
    yield _changed("crosswalk.json", "/rows/0/pointers/0/path", "records/none.json")
    yield _changed("crosswalk.json", "/rows/0/pointers/0/pointer", "/candidates/7")
    yield _changed("crosswalk.json", "/rows/0/pointers", [])
    yield _changed("crosswalk.json", "/disclaimer", "It conforms.")


def _of_money() -> Iterator[Tamper]:
    yield _changed(BACKLOG, "/items/0/returns/roi_ratio/p10", lambda old: old + 0.1)
    yield _changed(BACKLOG, "/items/0/returns/payback_months_p50", 0.5)
    yield _changed(BACKLOG, "/items/0/rice/score", lambda old: old * 2)
    yield _changed(BACKLOG, "/items/0/throughput_ratio/estimate", lambda old: old * 2)
    yield _changed(BACKLOG, "/items/0/latency_ratio/low", 0.5)
    yield _changed(BACKLOG, "/items/0/returns/draw_count", 10**9, code=2)
    yield _changed(BACKLOG, "/items/0/status", "someday", code=2)
    yield _changed(FINOPS, "/arms/0/month_amount", lambda old: old + 1)
    yield _changed("records/prices-run.json", "/file_sha256", "a" * 64)
    yield _changed("records/prices-run.json", "/work_per_day/amount", 1.0)
    yield _signed("prices changed afterwards", 5, lambda bench: bench.write("params/prices.yaml", "currency: USD\n"))
    for old, new in (
        ("EffectiveCost", "Effective"),
        ("EUR", "USD"),
        ("modelled", "billed"),
        ("Hours", ""),
        (".0", ".x"),
    ):
        yield _signed(f"{FOCUS}: {new!r} for {old!r}", 5, functools.partial(_in_rows, old=old, new=new))
    yield _signed(f"{FOCUS}: a row gone", 5, _cut_row)
    yield _signed(
        f"{FOCUS}: a cell too many", 2, lambda bench: bench.write(FOCUS, bench.text(FOCUS).rstrip() + ",1\r\n")
    )


def _in_rows(bench: Bench, old: str, new: str) -> None:
    text = bench.text(FOCUS)
    assert old in text
    bench.write(FOCUS, text.replace(old, new))


def _cut_row(bench: Bench) -> None:
    lines = bench.text(FOCUS).splitlines(keepends=True)
    bench.write(FOCUS, "".join(lines[:-1]))


def _of_pages() -> Iterator[Tamper]:
    def edited(name: str, old: str, new: str) -> Tamper:
        return _signed(f"report: {name}", 5, lambda bench: bench.replace("report.html", old, new))

    yield edited("another number", "×</span>", "1×</span>")
    yield edited("a number from nowhere", "</section>", "<p>saves 40 %</p></section>")
    yield edited("a pointer at nothing", "/candidates/0/offline", "/candidates/9/offline")
    yield edited("a pointer without", ' data-ev="run.json', ' data-x="run.json')
    yield edited("no results", "<main>", "<div>")
    yield edited("a pointer out of the pack", 'data-ev="run.json', 'data-ev="../run.json')
    metadata = "/predicate/runDetails/metadata"
    yield _changed(PROVENANCE, f"{metadata}/startedOn", "2026-02-01T08:00:00+00:00")
    yield _changed(PROVENANCE, f"{metadata}/finishedOn", "2026-02-01T08:00:00+00:00")
    yield _changed("run.json", "/started", "2026-03-01T08:30:00+00:00")
    yield _changed("run.json", "/wall_sec", 1e6)
    yield _signed("built before the run", 5, lambda bench: None, built="2026-02-01T09:00:00+00:00")
    yield _signed("built tomorrow's tomorrow", 5, lambda bench: None, built="2026-03-04T09:00:00+00:00")
    yield _signed("built at no time", 2, lambda bench: None, built="yesterday")


def _of_secrets() -> Iterator[Tamper]:
    key = "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END " + "PRIVATE KEY-----\n"
    yield _signed("a private key", 5, lambda bench: bench.write("attestations/author.pem", key))
    yield _signed("the author's private key", 5, lambda bench: bench.write("x.pem", bench.author.read_bytes()))
    yield _signed("a token", 5, lambda bench: bench.write("note.txt", "ghp_" + "a1B2" * 9))
    yield _signed("somebody's home", 5, lambda bench: bench.write("note.txt", "/home" + "/ann/models"))
    yield _signed("a machine's name", 5, lambda bench: bench.write("note.txt", "on ip-10-0-0-12"))


def _of_policy() -> Iterator[Tamper]:
    def late(name: str, day: datetime.date) -> Tamper:
        def act(bench: Bench) -> None:
            bench.today = day

        return Tamper(name, 7, act)

    def waiver(expires: str) -> Callable[[Bench], None]:
        fields = {
            "artifact": CANDIDATE_SHA256[:12],
            "gate": "A9",
            "owner": "ann",
            "reason": "known",
            "compensating_control": "a person reads along",
            "granted": "2026-01-01",
            "expires": expires,
        }
        text = "waivers:\n- " + "\n  ".join(f"{key}: '{value}'" for key, value in fields.items()) + "\n"
        return lambda bench: bench.write("params/waivers.yaml", text)

    yield _signed("limits loosened", 6, _loosen)
    yield _changed("run.json", "/guardrails_sha256", "a" * 64, code=6)
    yield _changed("run.json", "/candidates/0/is_finalist", value=False, code=5)
    yield _signed("a waiver that expired", 7, waiver("2026-03-01"))
    yield _signed("a waiver for half a year", 2, waiver("2026-07-01"))
    yield late("read after the plan's last day", datetime.date(2026, 5, 31))
    yield late("read years later", datetime.date(2030, 1, 1))
    yield _signed("a plan that expired", 7, lambda bench: bench.change(ROLLOUT, "/expires", "2026-03-01"))
    yield _signed(
        "a stale decision", 7, lambda bench: bench.replace(DECISION, "review_by: '2026-05-30", "review_by: '2026-03-01")
    )
