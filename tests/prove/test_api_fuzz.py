"""Schemathesis asks a sandbox's API, signed, everything that its OpenAPI document allows and much that it forbids.

It runs in a virtual environment of its own, which `make prove` prepares.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from api_place import Place
from figures import FULL_SIZE, tell
from storyteller import telling

from sandbox.door import open_door

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMATHESIS = ROOT / ".venv-schemathesis" / "bin" / "schemathesis"
EXAMPLES = 60
SEED = os.environ.get("KEYTURN_SEED", "20270301")


@pytest.fixture
def place(monkeypatch):
    """A world whose API asks who is what."""
    with telling() as set_up:
        for name in ("VIEWERS", "OPERATORS", "APPROVERS"):
            monkeypatch.setenv(name, "arn:aws:iam::*:user/operator-*")
        yield Place(set_up)


def names_of(place):
    """What the names in a path may stand for: projects, rotations, keys and deletions of every kind."""
    idle, asked, done, deploying = (place.project() for _ in range(4))
    rotations = [place.rotation(done)]
    place.wait(days=1)
    rotations += [place.rotation(deploying)]
    place.wait(minutes=2)
    rotations += [place.rotation(asked)]
    keys = [place.set_up.atlas.projects[project].key.rpartition("/")[2] for project in (idle, done)]
    return {
        "project_id": [idle, asked, done, deploying, place.project(tier="M0")],
        "rotation_id": rotations,
        "key_id": keys + [place.free_key() for _ in range(20)],
        "deletion_id": [place.deletion() for _ in range(20)],
    }


def configured(place, folder):
    """The judge's settings with what exists in this world."""
    written = (Path(__file__).parent / "schemathesis.toml").read_text(encoding="utf-8")
    known = [f"\n[dictionaries.{name}]\nvalues = {json.dumps(values)}\n" for name, values in names_of(place).items()]
    file = folder / "schemathesis.toml"
    file.write_text(written + "".join(known), encoding="utf-8")
    return file


def fuzz(place, address, folder, world):
    operator = place.world.operators[0]
    told = {
        "FUZZ_ACCESS_KEY_ID": operator.access_key_id,
        "FUZZ_SECRET_ACCESS_KEY": operator.secret_access_key,
        "FUZZ_ADDRESS": address,
        "FUZZ_WORLD": world,
        "FUZZ_ANSWERS": str(folder / "answers.txt"),
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "PYTHONPATH": str(Path(__file__).parent),
        "PATH": os.environ["PATH"],
    }
    words = [
        SCHEMATHESIS,
        f"--config-file={configured(place, folder)}",
        "run",
        ROOT / "docs" / "openapi.json",
        f"--url={address}",
        f"--max-examples={EXAMPLES}",
        f"--seed={SEED}",
        "--continue-on-failure",
        "--no-color",
        "--warnings=off",
        "--generation-database=none",
    ]
    return subprocess.run(words, env=told, cwd=folder, capture_output=True, text=True, timeout=1200, check=False)


@pytest.mark.skipif(not FULL_SIZE, reason="Schemathesis is asked by `make prove`")
@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="Schemathesis is not here: make .venv-schemathesis/ready")
@pytest.mark.parametrize("world", ["still", "living"])
def test_schemathesis_finds_nothing_wrong_with_what_the_api_answers(place, tmp_path, world):
    with open_door(place.world, place.runner) as address:
        ran = fuzz(place, address, tmp_path, world)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    answers = Counter((tmp_path / "answers.txt").read_text(encoding="utf-8").splitlines())
    tell(
        schemathesis_in_a_world=world,
        calls=answers.total(),
        taken=sum(count for answer, count in answers.items() if answer.endswith(("200", "202"))),
        examples_per_operation=EXAMPLES,
        seed=SEED,
    )
    assert operations_taken(answers) >= REACHED[world]


REACHED = {
    "still": {"PATCH /v1/projects/{project_id}/policy", "POST /v1/projects/{project_id}/rotations"},
    "living": {"PATCH /v1/projects/{project_id}/policy", "GET /v1/projects/{project_id}/evidence"},
}
"""Operations of which some must have been taken: else nothing was tried but the way in."""


def operations_taken(answers):
    return {answer.rpartition(" ")[0] for answer in answers if answer.endswith(("200", "202"))}
