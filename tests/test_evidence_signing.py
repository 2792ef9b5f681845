"""Keys and signatures: whose key says what about which bytes, and everything that must not count."""

import base64
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from perflib.errors import DataError, ParameterError, SetupError
from perflib.governance.evidence.envelope import is_signed_by, new_envelope, read_envelope
from perflib.governance.evidence.keys import fingerprint, load_private, load_public, make_key
from perflib.governance.evidence.manifest import make_manifest, write_manifest
from perflib.governance.evidence.signing import SignatureCheck, check_signatures, sign_pack, statement_bytes
from perflib.results.governance import Manifest
from tests.packs import PackMade, make_pack, public

# The first bytes of every Ed25519 key as SubjectPublicKeyInfo (RFC 8410); the 32 of the key follow.
_SPKI_START = bytes.fromhex("302a300506032b6570032100")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> PackMade:
    """Return a signed pack that nobody may change."""
    return make_pack(tmp_path_factory.mktemp("made") / "evidence")


@pytest.fixture
def made(template: PackMade, tmp_path: Path) -> PackMade:
    """Return a signed pack to spoil."""
    shutil.copytree(template.folder, tmp_path / "evidence")
    return dataclasses.replace(template, folder=tmp_path / "evidence")


def _bundle(made: PackMade, change: Callable[[Any], object]) -> None:
    path = made.folder / "bundle.dsse.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _check(made: PackMade, *trusted: Path, threshold: int = 2) -> SignatureCheck:
    return check_signatures(made.folder, trusted or made.trusted, threshold=threshold)


# --- the published vector -------------------------------------------------------------------------------------------


def test_the_published_vector_of_dsse_verifies() -> None:
    """The library encodes and verifies what the specification of DSSE prints; a changed body does not verify."""
    envelope = Envelope(b"hello world", "http://example.com/HelloWorld", {})
    assert envelope.pae() == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    numbers = ec.EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        ec.SECP256R1(),
    )
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    # The specification writes r and s one after the other, the library wants them in DER.
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = SSlibKey.from_crypto(numbers.public_key())
    assert is_signed_by(der, key, envelope.pae())
    assert not is_signed_by(der, key, Envelope(b"hello World", "http://example.com/HelloWorld", {}).pae())


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_new_key_is_for_its_owner_only(tmp_path: Path) -> None:
    """The private key has mode 0600, and the fingerprint is the sha256 of the public key as RFC 8410 writes it."""
    path = tmp_path / "ann.key"
    found = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey)
    raw = loaded.public_key().public_bytes_raw()
    assert found == hashlib.sha256(_SPKI_START + raw).hexdigest()
    assert fingerprint(public(path).read_bytes()) == found
    assert load_public(public(path)).keyid == load_private(path).public_key.keyid == found


def test_a_key_is_not_lost_by_making_another(tmp_path: Path) -> None:
    """A file that is there stays, unless somebody says otherwise."""
    path = tmp_path / "ann.key"
    first = make_key(path)
    with pytest.raises(ParameterError, match="is there already"):
        make_key(path)
    assert load_private(path).public_key.keyid == first
    assert make_key(path, force=True) != first


def test_a_key_needs_a_folder(tmp_path: Path) -> None:
    """Where a file stands in the way of the folder, one sentence says so."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(SetupError, match="choose another folder"):
        make_key(tmp_path / "file" / "ann.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700, 0o666])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Any permission beyond reading and writing by the owner is too much, and the sentence says what to do."""
    path = tmp_path / "ann.key"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(ParameterError, match=rf"permissions {mode:04o}.*chmod 600"):
        load_private(path)
    path.chmod(0o400)
    assert load_private(path)


def _pem(private: Any, password: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    content: bytes = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no private key"),
        (b"ssh-ed25519 AAAA ann", "no private key"),
        (_pem(ed25519.Ed25519PrivateKey.generate(), b"word"), "without password"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "no Ed25519 private key"),
        (b"x" * 20_000, "larger than"),
    ],
)
def test_what_is_no_private_key_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """Other files, other kinds of keys and locked keys each get one sentence."""
    path = tmp_path / "ann.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ParameterError, match=words):
        load_private(path)


def test_a_private_key_is_no_public_key(tmp_path: Path) -> None:
    """Nobody verifies with a private key, a missing file or a key of another kind."""
    make_key(tmp_path / "ann.key")
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "other.pub").write_bytes(pem)
    with pytest.raises(ParameterError, match="no public key in PEM"):
        load_public(tmp_path / "ann.key")
    with pytest.raises(ParameterError, match="no Ed25519 public key"):
        load_public(tmp_path / "other.pub")
    with pytest.raises(ParameterError, match="cannot be read"):
        load_public(tmp_path / "nobody.pub")


# --- signing --------------------------------------------------------------------------------------------------------


def test_what_is_signed_names_every_file(template: PackMade) -> None:
    """The statement's subjects are the manifest and every file that it lists, with the digests on disk."""
    statement = json.loads(statement_bytes(template.folder))
    paths = [path for path in template.folder.rglob("*") if path.is_file() and path.parent.name != "keys"]
    on_disk = {path.relative_to(template.folder).as_posix(): path.read_bytes() for path in paths}
    del on_disk["bundle.dsse.json"]
    told = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert told == {name: hashlib.sha256(content).hexdigest() for name, content in on_disk.items()}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicate"] == json.loads(on_disk["MANIFEST.json"])


def test_two_persons_sign_the_same_bytes(template: PackMade) -> None:
    """Both signatures verify over one payload, and both fingerprints are told with their roles."""
    found = check_signatures(template.folder, template.trusted)
    assert found.problems == ()
    assert found.payload == statement_bytes(template.folder)
    people = [load_public(path).keyid for path in template.trusted]
    assert found.signed_by == (("author", people[0]), ("reviewer", people[1]))


def test_the_order_of_signing_does_not_matter(made: PackMade) -> None:
    """Ed25519 has no chance in it: signing again in the other order gives the same envelope."""
    before = (made.folder / "bundle.dsse.json").read_bytes()
    (made.folder / "bundle.dsse.json").unlink()
    sign_pack(made.folder, key=made.reviewer, role="reviewer")
    sign_pack(made.folder, key=made.author, role="author")
    assert (made.folder / "bundle.dsse.json").read_bytes() == before


def test_signing_again_replaces_the_signature_of_the_role(made: PackMade) -> None:
    """A new author takes the place of the old one, whose signature is gone; the reviewer's stays."""
    sign_pack(made.folder, key=made.stranger, role="author")
    assert _check(made, public(made.stranger), public(made.reviewer)).problems == ()
    assert _check(made).payload is None
    assert len(read_envelope(made.folder / "bundle.dsse.json")[1]) == 2


def test_author_and_reviewer_are_two_persons(made: PackMade) -> None:
    """One key cannot sign in both roles, in whichever order; nothing is written."""
    before = (made.folder / "bundle.dsse.json").read_bytes()
    with pytest.raises(ParameterError, match="has signed as author already"):
        sign_pack(made.folder, key=made.author, role="reviewer")
    with pytest.raises(ParameterError, match="has signed as reviewer already"):
        sign_pack(made.folder, key=made.reviewer, role="author")
    assert (made.folder / "bundle.dsse.json").read_bytes() == before


@pytest.mark.parametrize("spoil", ["change", "delete", "add", "manifest"])
def test_only_what_the_manifest_says_is_signed(made: PackMade, spoil: str) -> None:
    """A pack that is not its manifest's cannot be signed."""
    report = made.folder / "report.html"
    acts: dict[str, Callable[[], object]] = {
        "change": lambda: report.write_bytes(report.read_bytes() + b" "),
        "delete": report.unlink,
        "add": lambda: (made.folder / "more.json").write_text("{}"),
        "manifest": (made.folder / "MANIFEST.json").unlink,
    }
    acts[spoil]()
    with pytest.raises(DataError, match="Build the pack again"):
        sign_pack(made.folder, key=made.author, role="author")


def test_signatures_of_an_older_pack_are_not_taken_over(made: PackMade) -> None:
    """Where the manifest is new, the old envelope is neither kept nor silently thrown away."""
    _list_again(made, built="2026-03-02T00:00:00Z")
    with pytest.raises(DataError, match="signs another pack"):
        sign_pack(made.folder, key=made.author, role="author")


def test_a_key_inside_the_pack_does_not_sign(made: PackMade) -> None:
    """A private key that lies in the pack is refused before anything is read of it, also by another way to it."""
    inside = made.folder / "keys" / "author.key"
    make_key(inside)
    with pytest.raises(ParameterError, match="inside the pack"):
        sign_pack(made.folder, key=inside, role="author")
    way = made.folder.parent / "way.key"
    way.symlink_to(inside)
    with pytest.raises(ParameterError, match="inside the pack"):
        sign_pack(made.folder, key=way, role="author")


def _list_again(made: PackMade, *, built: str) -> Manifest:
    kept = {name: getattr(made.manifest, name) for name in ("run_id", "run_ulid", "claimed", "promoted")}
    manifest = make_manifest(made.folder, built=built, version="0.1.0", **kept)
    write_manifest(made.folder, manifest)
    return manifest


# --- checking -------------------------------------------------------------------------------------------------------


def test_key_ids_are_not_believed(made: PackMade) -> None:
    """Wrong, swapped or missing key ids change nothing, for they are not signed."""

    def swap(document: Any) -> None:
        first, second = document["signatures"]
        first["keyid"], second["keyid"] = second["keyid"], first["keyid"]

    _bundle(made, swap)
    assert _check(made).problems == ()
    _bundle(made, lambda document: [one.pop("keyid") for one in document["signatures"]])
    assert _check(made).problems == ()


def test_both_alphabets_of_base64_are_read(made: PackMade) -> None:
    """URL-safe base64 is accepted for payload and signatures; other letters are not."""

    def url_safe(document: Any) -> None:
        for fields, name in [(document, "payload"), *((one, "sig") for one in document["signatures"])]:
            fields[name] = base64.urlsafe_b64encode(base64.b64decode(fields[name])).decode()

    _bundle(made, url_safe)
    assert _check(made).problems == ()
    _bundle(made, lambda document: document.update(payload=document["payload"] + "*"))
    assert "no base64" in _check(made).problems[0]


def test_too_few_signatures_give_no_payload(made: PackMade) -> None:
    """With one of two signatures nothing is handed out, and the sentence has both numbers."""
    _bundle(made, lambda document: document["signatures"].pop(0))
    (made.folder / "keys" / "author.pub").unlink()
    found = _check(made)
    assert found.payload is None
    assert found.problems == ("1 of 2 trusted keys signed, and 2 are asked for.",)
    assert _check(made, threshold=1).problems == ()
    with pytest.raises(ParameterError, match="threshold is 0"):
        _check(made, threshold=0)


def test_one_key_counts_once(made: PackMade) -> None:
    """The same key, named twice, or its signature copied under the other's name, is one person."""
    author = public(made.author)
    copy = made.folder.parent / "copy.pub"
    shutil.copyfile(author, copy)
    assert "1 of 1 trusted keys" in _check(made, author, author, copy).problems[0]

    def copied(document: Any) -> None:
        first, second = document["signatures"]
        second["sig"] = first["sig"]

    _bundle(made, copied)
    assert _check(made).payload is None


def test_strangers_do_not_count(made: PackMade) -> None:
    """A valid signature of a key that nobody trusts is none."""
    sign_pack(made.folder, key=made.stranger, role="reviewer")
    found = _check(made)
    assert found.payload is None
    assert [role for role, _ in found.signed_by] == ["author"]


def test_a_payload_that_nobody_signed_is_never_parsed(made: PackMade, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without enough signatures the statement about this pack is not even made."""

    def parsed(folder: Path) -> bytes:
        raise AssertionError(f"{folder} was read")

    monkeypatch.setattr("perflib.governance.evidence.signing.statement_bytes", parsed)
    payload = base64.b64encode(b'{"a": 1, "a": NaN').decode()
    _bundle(made, lambda document: document.update(payload=payload))
    assert _check(made).payload is None


def test_the_payload_must_be_this_packs_statement(made: PackMade) -> None:
    """Signatures of another pack, or over the same statement written otherwise, are not about this one."""
    _list_again(made, built="2026-03-02T00:00:00Z")
    assert _check(made).problems == ("What was signed is not this manifest with these files.",)
    loose = json.dumps(json.loads(statement_bytes(made.folder)), indent=2).encode()
    envelope = new_envelope(loose)
    for key in (made.author, made.reviewer):
        envelope.sign(load_private(key))
    (made.folder / "bundle.dsse.json").write_text(json.dumps(envelope.to_dict()))
    assert _check(made).problems == ("What was signed is not this manifest with these files.",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document.update(payloadType="application/json"), "payload of type"),
        (lambda document: document.update(payloadType="application/vnd.in-toto+json "), "payload of type"),
        (lambda document: document.pop("payload"), "has no `payload`"),
        (lambda document: document.update(payload=7), "has no `payload`"),
        (lambda document: document.update(signatures={}), "no DSSE envelope"),
        (lambda document: document.update(signatures=["a"]), "no DSSE envelope"),
        (lambda document: document["signatures"][0].pop("sig"), "has no `sig`"),
        (lambda document: document.update(signatures=document["signatures"] * 9), "no pack has so many"),
    ],
)
def test_what_is_no_envelope_says_nothing(made: PackMade, change: Callable[[Any], object], words: str) -> None:
    """An envelope of another type or shape gives one problem and no signatures."""
    _bundle(made, change)
    found = _check(made)
    assert (found.payload, found.signed_by) == (None, ())
    assert words in found.problems[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"payload": "", "payload": ""}', b"\xff\xfe{}"])
def test_a_damaged_envelope_is_a_problem_and_no_crash(made: PackMade, content: bytes) -> None:
    """Nothing that can stand in the file brings the check down."""
    (made.folder / "bundle.dsse.json").write_bytes(content)
    assert len(_check(made).problems) == 1


def _swap_keys(folder: Path) -> None:
    author, reviewer = folder / "author.pub", folder / "reviewer.pub"
    first, second = author.read_bytes(), reviewer.read_bytes()
    author.write_bytes(second)
    reviewer.write_bytes(first)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda keys, _: (keys / "author.pub").unlink(), "not in keys/"),
        (lambda keys, _: (keys / "author.pub").write_bytes(b"x"), "is no public key"),
        (lambda keys, eve: shutil.copyfile(eve, keys / "author.pub"), "not the key of any signature"),
        (lambda keys, _: shutil.copyfile(keys / "author.pub", keys / "reviewer.pub"), "two persons"),
    ],
)
def test_keys_in_the_pack_belong_to_its_signatures(
    made: PackMade, spoil: Callable[[Path, Path], object], words: str
) -> None:
    """A shipped key that was taken away, damaged or exchanged is a problem, although it is not trusted."""
    spoil(made.folder / "keys", public(made.stranger))
    assert words in " ".join(_check(made).problems)


def test_roles_come_from_outside_where_the_trusted_files_name_them(made: PackMade) -> None:
    """Exchanged roles in the pack are seen by those who keep the keys as author.pub and reviewer.pub."""
    trusted = [made.folder.parent / f"{role}.pub" for role in ("author", "reviewer")]
    for ours, theirs in zip(trusted, made.trusted, strict=True):
        shutil.copyfile(theirs, ours)
    assert _check(made, *trusted).problems == ()
    _swap_keys(made.folder / "keys")
    found = _check(made, *trusted)
    assert [role for role, _ in found.signed_by] == ["author", "reviewer"]
    assert len(found.problems) == 2
    assert "trusted as the author's key, and the pack has it as the reviewer's" in found.problems[0]


def test_a_bad_trusted_key_is_the_readers_mistake_outside_and_the_packs_inside(made: PackMade) -> None:
    """A file that is no key stops the reader; where it lies in the pack it is a problem of the pack."""
    bad = made.folder.parent / "bad.pub"
    bad.write_bytes(b"x")
    with pytest.raises(ParameterError, match="no public key"):
        _check(made, bad)
    shipped = made.folder / "keys" / "author.pub"
    shipped.write_bytes(b"x")
    assert _check(made, shipped, public(made.reviewer)).payload is None
