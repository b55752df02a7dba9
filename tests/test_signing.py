"""A signature says whose a version is: anybody can check it with ssh-keygen, and it can be told
what is wrong with a bad one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scidata
from scidata import signing
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    SignatureError,
)
from scidata.mirroring import mirror
from scidata.publishing import PublishOptions, publish
from scidata.pulling import pull
from scidata.resolve import resolve
from scidata.signing import MAX_SIGNATURES, attach, load_key, load_trusted, require_signature
from scidata.sshsig import Signature, SigningKey, parse_public_keys, read_private_key
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.memory import MemoryStore
from scidata.verifying import verify
from scidata.version import CommitRecord, commit_bytes
from tests.versions import Counting, write_version

KINDS = {
    "ed25519": ["-t", "ed25519"],
    "rsa": ["-t", "rsa", "-b", "2048"],
    "p256": ["-t", "ecdsa", "-b", "256"],
    "p384": ["-t", "ecdsa", "-b", "384"],
    "p521": ["-t", "ecdsa", "-b", "521"],
}
pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="no ssh-keygen to make keys and to judge"
)


def ssh_keygen(*words: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["ssh-keygen", *map(str, words)], input=data, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key of each kind, and ``locked``, whose passphrase is ``open sesame``."""
    folder = tmp_path_factory.mktemp("keys")
    for name, options in KINDS.items():
        ssh_keygen(*options, "-N", "", "-C", f"{name}@lab", "-f", folder / name)
    ssh_keygen("-t", "ed25519", "-N", "open sesame", "-C", "locked", "-f", folder / "locked")
    ssh_keygen("-t", "ed25519", "-N", "", "-C", "mallory", "-f", folder / "mallory")
    return folder


@pytest.fixture
def store(staged: Path) -> Store:
    store = MemoryStore()
    write_version(store, staged)
    return store


@pytest.fixture
def commit(store: Store) -> CommitRecord:
    return resolve("tiny@1.0.0", store)


RECORD = "tiny/versions/1.0.0.json"
SIGNATURE = f"{RECORD}.sig"


@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_accepts_what_scidata_signs(
    kind: str, keys: Path, store: Store, tmp_path: Path
) -> None:
    signed = signing.sign("tiny@1.0.0", load_key(keys / kind), store)
    assert signed.path == "versions/1.0.0.json.sig"
    (tmp_path / "sig").write_bytes(store.read(SIGNATURE))
    allowed = tmp_path / "allowed"
    allowed.write_text("me " + (keys / f"{kind}.pub").read_text())
    judge = ("-Y", "verify", "-f", allowed, "-I", "me", "-n", "scidata-version")
    sound = ssh_keygen(*judge, "-s", tmp_path / "sig", data=store.read(RECORD))
    assert sound.returncode == 0, sound.stderr
    assert signed.key.fingerprint.encode() in sound.stdout
    changed = ssh_keygen(*judge, "-s", tmp_path / "sig", data=store.read(RECORD) + b" ")
    assert changed.returncode != 0


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", KINDS)
def test_scidata_accepts_what_ssh_keygen_signs(
    kind: str, digest: str, keys: Path, store: Store, tmp_path: Path
) -> None:
    record = tmp_path / "1.0.0.json"
    record.write_bytes(store.read(RECORD))
    purpose = ("-n", "scidata-version", "-O", f"hashalg={digest}")
    ssh_keygen("-Y", "sign", "-f", keys / kind, *purpose, record)
    attached = attach("tiny", (tmp_path / "1.0.0.json.sig").read_bytes(), store)
    trusted = load_trusted([keys / f"{kind}.pub"])
    found = require_signature(store, resolve("tiny", store), trusted)
    assert (found.path, found.key) == (attached.path, trusted[0])
    assert found.key.comment == f"{kind}@lab"


def test_a_fingerprint_is_that_of_ssh_keygen(keys: Path) -> None:
    (key,) = load_trusted([keys / "ed25519.pub"])
    printed = ssh_keygen("-l", "-f", keys / "ed25519.pub").stdout.decode()
    assert key.fingerprint == printed.split()[1]
    assert key.line + "\n" == (keys / "ed25519.pub").read_text()


def failure(store: Store, commit: CommitRecord, *trusted: Path) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        require_signature(store, commit, load_trusted(trusted))
    return caught.value


def test_every_way_to_lack_a_trusted_signature_is_told_apart(
    keys: Path, store: Store, commit: CommitRecord
) -> None:
    mine = keys / "ed25519.pub"
    said = {}
    error = failure(store, commit, mine)
    said[error.state] = error.message
    assert error.problems == ()

    store.create(SIGNATURE, b"-----BEGIN SSH SIGNATURE-----\nAAAA\n")
    error = failure(store, commit, mine)
    said[error.state] = error.message

    signing.sign("tiny", load_key(keys / "mallory"), store)
    error = failure(store, commit, mine)
    said[error.state] = error.message
    assert [p.code for p in error.problems] == ["signature-malformed", "signature-untrusted"]
    assert load_trusted([keys / "mallory.pub"])[0].fingerprint in error.problems[1].message

    other = load_key(keys / "ed25519").sign(b"another commit record")
    store.create(f"{RECORD}.3.sig", other)
    error = failure(store, commit, mine)
    said[error.state] = error.message
    assert set(said) == {"missing", "malformed", "untrusted", "wrong"}
    assert len(set(said.values())) == 4

    # And none of it keeps the publisher from signing, or the reader from finding that.
    assert signing.sign("tiny", load_key(keys / "ed25519"), store).path.endswith(".4.sig")
    assert require_signature(store, commit, load_trusted([mine])).path.endswith(".4.sig")


def test_a_signature_of_the_same_bytes_for_another_purpose_does_not_count(
    keys: Path, store: Store, commit: CommitRecord, tmp_path: Path
) -> None:
    (tmp_path / "record").write_bytes(store.read(RECORD))
    ssh_keygen("-Y", "sign", "-f", keys / "ed25519", "-n", "git", tmp_path / "record")
    data = (tmp_path / "record.sig").read_bytes()
    with pytest.raises(SignatureError) as caught:
        attach("tiny", data, store)
    assert caught.value.state == "wrong"
    store.create(SIGNATURE, data)
    assert failure(store, commit, keys / "ed25519.pub").state == "wrong"


def test_a_changed_commit_record_is_wrongly_signed_even_if_its_files_agree(
    keys: Path, store: Store, commit: CommitRecord
) -> None:
    signing.sign("tiny", load_key(keys / "ed25519"), store)
    forged = commit.model_copy(update={"created": "2020-01-01T00:00:00Z"})
    store.replace(RECORD, commit_bytes(forged))
    with pytest.raises(SignatureError) as caught:
        verify("tiny@1.0.0", store, trusted=load_trusted([keys / "ed25519.pub"]))
    assert caught.value.state == "wrong"
    assert verify("tiny@1.0.0", store).sound


def test_a_store_that_shows_two_commit_records_is_not_signed_nor_trusted(
    keys: Path, store: Store, commit: CommitRecord
) -> None:
    key = load_key(keys / "ed25519")
    store.replace(RECORD, commit_bytes(commit.model_copy(update={"tool": "another"})))
    with pytest.raises(IntegrityError, match="two different commit records"):
        signing.sign_commit(store, commit, key)
    with pytest.raises(IntegrityError, match="two different commit records"):
        require_signature(store, commit, [key.public])


def test_signing_again_writes_nothing_and_co_signing_adds_one(
    keys: Path, store: Store, commit: CommitRecord
) -> None:
    first = signing.sign("tiny", load_key(keys / "rsa"), store)
    again = signing.sign("tiny", load_key(keys / "rsa"), store)
    assert (first.already, again.already, again.path) == (False, True, first.path)
    assert signing.sign("tiny", load_key(keys / "p256"), store).path.endswith("json.2.sig")
    for name in ("rsa", "p256"):
        assert require_signature(store, commit, load_trusted([keys / f"{name}.pub"]))


def test_more_signatures_than_are_looked_for_are_not_written(keys: Path, store: Store) -> None:
    for number in range(1, MAX_SIGNATURES + 1):
        path = signing.signature_path("1.0.0", number)
        store.create(f"tiny/{path}", b"squatter")
    with pytest.raises(ConflictError, match="has 16 signatures"):
        signing.sign("tiny", load_key(keys / "ed25519"), store)


def test_publishing_signs_what_it_published_and_does_so_later_if_it_was_stopped(
    keys: Path, staged: Path, tmp_path: Path
) -> None:
    publish(staged, tmp_path / "store", version="1.0.0")  # stopped before it signed
    options = PublishOptions(signing_key=load_key(keys / "ed25519"))
    done = publish(staged, tmp_path / "store", version="1.0.0", options=options)
    assert done.already
    assert done.signed is not None
    found = verify(
        "tiny@1.0.0", tmp_path / "store", trusted=load_trusted([keys / "ed25519.pub"])
    )
    assert found.sound
    assert found.signer == done.signed.key


def test_a_copy_is_compared_with_the_signed_commit_record_of_the_store(
    keys: Path, staged: Path, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "store")
    write_version(store, staged)
    copy = Path(shutil.copytree(tmp_path / "store/tiny/v1.0.0", tmp_path / "copy"))
    trusted = load_trusted([keys / "ed25519.pub"])
    with pytest.raises(SignatureError, match="is not signed"):
        verify(copy, store, trusted=trusted)
    signing.sign("tiny", load_key(keys / "ed25519"), store)
    assert verify(copy, store, trusted=trusted).signer == trusted[0]
    with pytest.raises(NotFoundError, match="signatures lie in the store") as told:
        verify(copy, trusted=trusted)
    assert "--store URL" in told.value.fix
    (copy / "data/splits").mkdir(exist_ok=True)
    (copy / "meta/record.yaml").write_text("forged")
    found = verify(copy, store, trusted=trusted)
    assert not found.sound  # and not a matter of the signature
    assert found.signer == trusted[0]


def test_nothing_is_fetched_of_what_no_trusted_key_signed(
    keys: Path, store: Store, tmp_path: Path
) -> None:
    signing.sign("tiny@1.0.0", load_key(keys / "mallory"), store)
    trusted = load_trusted([keys / "ed25519.pub"])
    counting = Counting(store)
    for keys_given in (trusted, ()):
        with pytest.raises(SignatureError) as caught:
            pull("tiny", tmp_path / "copy", counting, trusted=keys_given)
        assert caught.value.state == "untrusted"
        with pytest.raises(SignatureError):
            scidata.open("tiny", counting, trusted=keys_given)
    assert not (tmp_path / "copy").exists()
    assert [line for line in counting.requests if "/v1.0.0/" in line] == []
    signing.sign("tiny@1.0.0", load_key(keys / "ed25519"), store)
    assert pull("tiny", tmp_path / "copy", store, trusted=trusted).signer == trusted[0]
    assert scidata.open("tiny", store, trusted=trusted).name == "tiny@1.0.0"


def test_a_mirror_holds_the_signatures_that_fit_beside_its_own(
    keys: Path, staged: Path, tmp_path: Path
) -> None:
    source, target = open_store(tmp_path / "store"), open_store(tmp_path / "mirror")
    publish(staged, source, version="1.0.0")
    mirror(["tiny"], source, to=target)
    source.create(SIGNATURE, b"squatter")
    signing.sign("tiny", load_key(keys / "ed25519"), source)
    signing.sign("tiny", load_key(keys / "rsa"), target)
    for _ in range(2):
        mirror(["tiny"], source, to=target)
        for name in ("ed25519", "rsa"):
            trusted = load_trusted([keys / f"{name}.pub"])
            assert verify("tiny", target, trusted=trusted).signer == trusted[0]
    assert len(list(target.list("tiny/versions/1.0.0.json."))) == 2


# Keys.


def test_a_key_with_a_passphrase_is_opened_by_it_alone(keys: Path) -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return text

    key = load_key(keys / "locked", lambda: answer("open sesame"))
    assert key.public == load_trusted([keys / "locked.pub"])[0]
    with pytest.raises(InvalidError, match="not opened by this passphrase") as caught:
        load_key(keys / "locked", lambda: answer("guess-1234"))
    assert len(asked) == 2
    assert "guess-1234" not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(InvalidError, match="protected by a passphrase") as caught:
        load_key(keys / "locked")
    assert "scidata sign --signature" in caught.value.fix


def test_a_private_key_is_never_shown(keys: Path) -> None:
    key = load_key(keys / "ed25519")
    assert repr(key) == "SigningKey(comment='')"
    body = (keys / "ed25519").read_bytes().splitlines()[1]
    with pytest.raises(InvalidError) as caught:
        parse_public_keys((keys / "ed25519").read_bytes(), where="id_ed25519")
    assert "holds a private key" in caught.value.message
    broken = (keys / "ed25519").read_bytes().replace(body, body[:20] + b"!" + body[21:])
    with pytest.raises(InvalidError, match="cannot be read") as caught:
        read_private_key(broken, where="key")
    assert body[:12].decode() not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "holds no key"),
        ("# nobody yet", "holds no key"),
        ("ssh-ed25519", "is not 'kind base64 comment'"),
        ("ssh-ed25519 AAAA", "cut short"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "not known here"),
        ('from="*.lab" KEY', "is not 'kind base64 comment'"),
        ("cert-authority KEY", "is not 'kind base64 comment'"),
        ('alice namespaces="git" KEY', "is not 'kind base64 comment'"),
        ("-----BEGIN CERTIFICATE-----", "is not 'kind base64 comment'"),
        ("WEAK", "too short"),
        ("RELABELLED", "of another kind than it says"),
    ],
)
def test_a_line_that_is_no_key_is_refused_and_named(
    line: str, said: str, keys: Path, tmp_path: Path
) -> None:
    whole = (keys / "ed25519.pub").read_text()
    line = line.replace("KEY", whole)
    if line == "WEAK":
        ssh_keygen("-t", "rsa", "-b", "1024", "-N", "", "-f", tmp_path / "weak")
        line = (tmp_path / "weak.pub").read_text()
    if line == "RELABELLED":
        line = whole.replace("ssh-ed25519", "ssh-rsa")
    with pytest.raises(InvalidError, match=said):
        parse_public_keys(line.encode(), where="keys")


def test_a_file_of_keys_holds_several_with_names_and_comments(keys: Path) -> None:
    text = "# the lab\n\nalice " + (keys / "p256.pub").read_text()
    text += " ".join((keys / "rsa.pub").read_text().split()[:2]) + "\r\n"
    text += "bob " + " ".join((keys / "p384.pub").read_text().split()[:2])
    found = parse_public_keys(text.encode(), where="keys")
    assert [(key.kind, key.comment) for key in found] == [
        ("ecdsa-sha2-nistp256", "p256@lab"),
        ("ssh-rsa", ""),
        ("ecdsa-sha2-nistp384", "bob"),
    ]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), length=st.integers(0, 3))
def test_a_signature_with_any_byte_changed_is_malformed_or_does_not_fit(
    place: int, value: int, length: int, signature: bytes, message: bytes
) -> None:
    place %= len(signature)
    changed = signature[:place] + bytes([value]) * length + signature[place + 1 :]
    try:
        parsed = Signature.parse(changed)
    except ValueError:
        return
    same = Signature.parse(signature)
    assert not parsed.fits(message) or (parsed.value, parsed.key) == (same.value, same.key)


@pytest.fixture(scope="module")
def message() -> bytes:
    return b"a commit record"


@pytest.fixture(scope="module")
def signature(keys: Path, message: bytes) -> bytes:
    key: SigningKey = load_key(keys / "ed25519")
    return key.sign(message)


# The command line.


def test_the_command_line_tells_a_bad_signature_from_damage(
    keys: Path, staged: Path, tmp_path: Path
) -> None:
    where = ("--store", str(tmp_path / "store"))
    mine, theirs = str(keys / "ed25519.pub"), str(keys / "mallory.pub")

    def run(*words: str) -> tuple[int, str, str]:
        program = "from scidata.cli import main; main()"
        done = subprocess.run(
            [shutil.which("python") or "python", "-c", program, *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    published = run(
        "publish", str(staged), "--version", "1.0.0", *where, "--sign", str(keys / "ed25519")
    )
    assert published[0] == 0, published[2]
    assert "signed    by SHA256:" in published[1]

    code, out, _ = run("verify", "tiny@1.0.0", *where, "--trusted", theirs, "--trusted", mine)
    assert code == 0
    assert "signed by SHA256:" in out
    assert "(ed25519@lab)" in out

    code, out, err = run("verify", "tiny@1.0.0", *where, "--trusted", theirs, "--json")
    assert (code, out) == (8, "")
    document = json.loads(err)
    assert document["kind"] == "signature"
    assert [d["code"] for d in document["details"]] == ["signature-untrusted"]

    copy = str(tmp_path / "copy")
    code, out, err = run("pull", "tiny", *where, "--out", copy, "--trusted", theirs)
    assert (code, out, Path(copy).exists()) == (8, "", False)
    assert "by no key that you trust" in err
    code, out, _ = run("pull", "tiny", *where, "--out", copy, "--trusted", mine)
    assert code == 0
    assert "(ed25519@lab)" in out

    (tmp_path / "store/tiny/v1.0.0/README.md").write_text("damaged")
    code, out, _ = run("verify", "tiny@1.0.0", *where, "--trusted", mine, "--json")
    assert code == 5
    document = json.loads(out)
    assert document["signer"]["comment"] == "ed25519@lab"
    assert [d["path"] for d in document["damage"]] == ["README.md"]

    code, _, err = run("sign", "tiny@1.0.0", *where, "--key", str(keys / "locked"))
    assert code == 4  # nobody to ask: it never waits for an answer
    assert "protected by a passphrase" in err
    assert run("sign", "tiny@1.0.0", *where)[0] == 2
    code, out, _ = run("sign", "tiny", *where, "--key", str(keys / "rsa"), "--dry-run")
    assert (code, "would be signed" in out) == (0, True)
    assert not (tmp_path / "store/tiny/versions/1.0.0.json.2.sig").exists()
