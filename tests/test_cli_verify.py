"""`keyturn verify`: what is whole passes without a word to anybody, what was meddled with is named."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from fake_api import PROJECT, open_api, page, project
from test_evidence_pack import CHANGED, FACTS, OLD, PROOF, trail
from typer.testing import CliRunner

from chalicelib.domain.canonical import digest_of
from chalicelib.domain.chain import Trail
from chalicelib.domain.evidence_pack import compile_pack
from cli.__main__ import app

TRAILS = (
    trail(*(replace(CHANGED, after=str(number)) for number in range(4))),
    trail(replace(CHANGED, subject=OLD.key_id), subject=OLD.key_id),
    trail(subject=FACTS.project.key.key_id),
    trail(replace(CHANGED, subject="x1"), subject="x1"),
)
PROVED = replace(PROOF, digest=sha256(PROOF.document.encode()).hexdigest())
WHOLE_FACTS = replace(FACTS, trails=TRAILS, proofs=(PROVED,))


def pack(**changes):
    """A whole pack, as it is read from a file."""
    return json.loads(json.dumps(compile_pack(replace(WHOLE_FACTS, **changes))))


def sealed(made):
    """The pack with the digest of what now stands in it: whoever meddles can compute it too."""
    body = {name: value for name, value in made.items() if name != "digest"}
    return body | {"digest": digest_of(body)}


def verify(tmp_path, document, *words):
    """Call `keyturn verify` on a document, in an environment that knows no Keyturn."""
    file = tmp_path / "pack.json"
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    file.write_bytes(text)
    told = CliRunner().invoke(app, ["verify", str(file), *words], env={"KEYTURN_ENDPOINT": None, "COLUMNS": "160"})
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told


def test_a_whole_pack_passes_and_nobody_is_asked(tmp_path):
    told = verify(tmp_path, pack())

    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout == "Whole: 4 chains with 6 entries in 1 pack, every digest and hash is right.\n"


def test_each_fault_is_named_with_its_subject_and_number(tmp_path):
    made = pack()
    made["chains"][0]["entries"][1]["who"] = "mallory"
    made["chains"][1]["entries"].pop()

    told = verify(tmp_path, sealed(made))

    assert told.exit_code == 1
    assert "Not whole: 6 faults in 4 chains with 5 entries in 1 pack." in told.stdout
    assert "p1, entry 2: was changed: it does not have the hash that it carries" in told.stdout
    assert f"{OLD.key_id}, entry 1: is missing" in told.stdout
    assert "p1, entry 2: stands in the trail, but not so in its chain" in told.stdout


def test_programs_get_the_same_as_json(tmp_path):
    made = pack()
    made["chains"][0]["entries"].pop()
    made["trail"] = []
    made["policy"]["history"] = []

    told = verify(tmp_path, sealed(made), "--json")

    assert told.exit_code == 1
    assert json.loads(told.stdout) == {
        "whole": False,
        "packs": 1,
        "chains": 4,
        "entries": 5,
        "faults": [{"subject": "p1", "number": 4, "what": "is missing"}],
        "warnings": [],
    }


def test_entries_from_before_the_chains_are_a_warning_and_no_fault(tmp_path):
    loose = Trail(subject="x1", unchained=(replace(CHANGED, subject="x1"),))

    told = verify(tmp_path, pack(trails=(*TRAILS[:3], loose)))

    assert told.exit_code == 0
    assert "x1: 1 entry from before there were chains: nothing shows whether they were changed" in told.stdout


def doctored(change):
    made = pack()
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p["keys"].pop(), "does not have the digest that it carries"),
        (lambda p: p.pop("digest"), "does not have the digest that it carries"),
        (lambda p: p["chains"].pop(3), "x1: has no chain, though the pack of project p1 speaks of it"),
        (lambda p: p["chains"].append(p["chains"][0]), "p1: has more than one chain"),
        (lambda p: p["trail"][0].update(who="mallory"), "stands in the trail, but not so in its chain"),
        (lambda p: p["policy"]["history"][0].update(after="9"), "stands in the policy's history, but not so in its"),
        (
            lambda p: p["proofs"].append({"digest": "d" * 64, "document": "{}"}),
            f"proof {'d' * 64}: was changed: its digest is another",
        ),
    ],
)
def test_what_people_read_is_held_against_the_chains_and_the_digests(tmp_path, change, said):
    told = verify(tmp_path, doctored(change))

    assert told.exit_code == 1
    assert said in told.stdout.replace("\n", " ")


def test_a_later_export_goes_on_from_an_earlier_one(tmp_path):
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(pack(trails=(trail(CHANGED), *TRAILS[1:]))), encoding="utf-8")
    longer = pack(trails=(trail(CHANGED, replace(CHANGED, after="1")), *TRAILS[1:]))

    told = verify(tmp_path, longer, "--earlier", str(earlier))

    assert told.exit_code == 0
    assert "and goes on from the earlier file." in told.stdout


def test_a_chain_written_anew_as_a_whole_is_found_by_an_earlier_export(tmp_path):
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(pack()), encoding="utf-8")
    anew = pack(trails=(trail(*(replace(CHANGED, after="9") for _ in range(6))), *TRAILS[1:]))

    assert verify(tmp_path, anew).exit_code == 0
    told = verify(tmp_path, anew, "--earlier", str(earlier))

    assert told.exit_code == 1
    assert "p1, entry 4: is not what the earlier file has there" in told.stdout


def test_a_chain_that_the_earlier_export_had_must_still_be_there(tmp_path):
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(pack()), encoding="utf-8")
    gone = pack(deletions=(), trails=TRAILS[:3])

    told = verify(tmp_path, gone, "--earlier", str(earlier))

    assert told.exit_code == 1
    assert "x1: had a chain in the earlier file, and has none here" in told.stdout


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"project_id,part\r\n", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        ([], "it holds no JSON object"),
        ({}, "it has no `chains` of the right shape"),
        ({"packs": 7}, "it has no `chains` of the right shape"),
        ({"project": {}, "chains": [{"subject": "p1", "entries": [7], "head": None}]}, "it has no `chains`"),
        ({"project": {}, "policy": {"history": 7}, "chains": []}, "it has no `chains`"),
    ],
)
def test_what_is_no_pack_is_a_wrong_call(tmp_path, document, said):
    told = verify(tmp_path, document)

    assert told.exit_code == 2
    assert said in told.stderr


def test_an_object_with_a_name_twice_is_found(tmp_path):
    text = json.dumps(pack()).replace('"who": "ada"', '"who": "mallory", "who": "ada"', 1)

    told = verify(tmp_path, text.encode())

    assert told.exit_code == 1
    assert "holds `who` twice" in told.stderr


def test_a_file_that_is_not_there_is_said_in_a_sentence(tmp_path):
    told = CliRunner().invoke(app, ["verify", str(tmp_path / "none.json")])

    assert told.exit_code == 2
    assert "cannot be read: No such file or directory" in told.stderr


# ---- evidence --all ----

OTHER = "64b0c0c0c0c0c0c0c0c0c0c1"


@pytest.fixture
def desk():
    with open_api() as opened:
        opened.api.on("GET /v1/projects", page(project(), project(project_id=OTHER)))
        yield opened


def test_the_packs_of_the_fleet_go_into_one_file_that_verifies(desk, tmp_path):
    for project_id in (PROJECT, OTHER):
        desk.api.on(f"GET /v1/projects/{project_id}/evidence", pack())
    file = tmp_path / "fleet.json"

    told = desk.keyturn("evidence", "--all", "--from", "2027-01-01", "--output", str(file))

    assert told.exit_code == 0
    assert [asked.query.get("from") for asked in desk.api.asked[1:]] == ["2027-01-01"] * 2
    whole = json.loads(file.read_bytes())
    assert verify(tmp_path, whole).stdout.startswith("Whole: 8 chains with 12 entries in 2 packs")
    told = verify(tmp_path, whole | {"packs": whole["packs"][:1]})
    assert (told.exit_code, "the fleet's file: does not have the digest" in told.stdout) == (1, True)


def test_the_tables_of_the_fleet_become_one(desk):
    for project_id in (PROJECT, OTHER):
        text = f"project_id,part\r\n{project_id},keys\r\n".encode()
        desk.api.on(f"GET /v1/projects/{project_id}/evidence", text, media_type="text/csv")

    told = desk.keyturn("evidence", "--all", "--format", "csv")

    assert told.stdout_bytes == f"project_id,part\r\n{PROJECT},keys\r\n{OTHER},keys\r\n".encode()


@pytest.mark.parametrize(
    "words", [("evidence",), ("evidence", PROJECT, "--all"), ("evidence", "--all", "--format", "html")]
)
def test_one_project_or_all_and_a_page_holds_one(desk, words):
    assert desk.keyturn(*words).exit_code == 2
    assert not desk.api.asked
