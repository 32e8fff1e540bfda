"""detect-secrets, with a rule of ours, finds one of each kind that is planted, and nothing in what is made up."""

import json
import secrets
import string
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-security" / "bin" / "python"
ATLAS = "MongoDB Atlas Key"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="detect-secrets is not here: make .venv-security/ready")


def letters(alphabet, length):
    """Random, for a text of which anybody could say that it is made up is not taken for a secret."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


def a_public_key():
    return letters(string.ascii_lowercase, 8)


def a_service_secret():
    return "_".join(("mdb", "sa", "sk", letters(string.ascii_letters + string.digits, 40)))


def an_access_key():
    return "AK" + "IA" + letters(string.ascii_uppercase + "234567", 16)


PLANTED = {
    "key.env": (ATLAS, lambda: f"MONGODB_ATLAS_PRIVATE_KEY={uuid4()}"),
    "key.py": (ATLAS, lambda: f'private_key = "{uuid4()}"'),
    "key.json": (ATLAS, lambda: json.dumps({"publicKey": a_public_key(), "privateKey": str(uuid4())})),
    "key.tf": (ATLAS, lambda: f'  atlas_private_key   =   "{uuid4()}"'),
    "key.yaml": (ATLAS, lambda: f"api_key: {uuid4()}"),
    "key.sh": (ATLAS, lambda: f"curl --digest --user '{a_public_key()}:{uuid4()}' https://cloud.mongodb.com"),
    "account.sh": (ATLAS, lambda: f"export ATLAS_CLIENT_SECRET={a_service_secret()}"),
    "account.md": (ATLAS, lambda: f"the secret is {a_service_secret()}, keep it"),
    "account.txt": (ATLAS, lambda: "_".join(("mdb", "sa", "id", secrets.token_hex(12)))),
    "aws.py": ("AWS Access Key", lambda: f'KEY = "{an_access_key()}"'),
    "key.pem": ("Private Key", lambda: f"-----BEGIN RSA {'PRIVATE'} KEY-----"),
    "tests/test_aws.py": ("AWS Access Key", lambda: f'KEY = "{an_access_key()}"  # pragma: allowlist secret'),
    "tests/test_atlas.py": (ATLAS, lambda: f'private_key = "{uuid4()}"'),
    "password.py": ("Secret Keyword", lambda: f'password = "{letters(string.ascii_letters, 20)}"'),
    "random.py": ("Hex High Entropy String", lambda: f'SALT = "{secrets.token_hex(20)}"'),
}
HARMLESS = {
    "request.py": lambda: f'request_id = "{uuid4()}"',
    "kms.py": lambda: f'key_id = "{uuid4()}"',
    "arn.py": lambda: f"arn:aws:kms:us-east-1:111122223333:key/{uuid4()}",
    "example.py": lambda: 'private_key = "00000000-0000-0000-0000-000000000000"',
    "page.md": lambda: "| to read secrets | in a table of secrets: `test_no_planted_secret_is_found` |",
    "names.py": lambda: 'prefix = "mdb_sa_sk_"',
    "tests/test_password.py": lambda: f'password = "{letters(string.ascii_letters, 20)}"',
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is found in a repository with one of each."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "tests").mkdir()
    texts = {name: write() for name, (_, write) in PLANTED.items()} | {name: w() for name, w in HARMLESS.items()}
    for name, text in texts.items():
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    said = look(folder)
    assert said["files"] == [len(texts)]
    return said["findings"], texts


def look(folder):
    words = [str(PYTHON), str(ROOT / "package" / "secret_findings.py"), str(folder)]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert ran.stderr == ""
    return json.loads(ran.stdout)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_secret_is_found(found, name):
    findings, _ = found

    assert PLANTED[name][0] in {one["issue"] for one in findings if one["where"] == name}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_secret_is_not_taken_for_one(found, name):
    findings, _ = found

    assert not [one for one in findings if one["where"] == name]


def test_a_finding_does_not_repeat_the_secret(found):
    findings, texts = found
    said = json.dumps(findings)

    assert not [
        text for text in texts.values() for word in text.replace('"', " ").split() if len(word) > 19 and word in said
    ]


def test_a_secret_in_what_was_unpacked_is_found_too(tmp_path):
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "chalicelib" / "settings.py").write_text(f"KEY = '{a_service_secret()}'\n")

    assert [one["where"] for one in look(tmp_path)["findings"]] == ["chalicelib/settings.py"]


def test_the_rules_own_file_finds_no_key_in_itself(tmp_path):
    (tmp_path / "atlas_keys.py").write_text((ROOT / "package" / "atlas_keys.py").read_text())

    assert look(tmp_path)["findings"] == []
