"""What `keyturn` says when it is not let in, when nobody answers, and when it is called wrongly."""

import json
import socket

import pytest
from fake_api import CUT_OFF, PROJECT, SECRET, call, deletion, open_api, page, project

from cli.place import Place, find_place

HEALTH, PROJECTS = "GET /v1/health", "GET /v1/projects"


@pytest.fixture
def desk():
    with open_api() as opened:
        yield opened


def test_who_reads_json_gets_the_problem_unchanged(desk):
    problem = desk.api.refuse(PROJECTS, 409, "not now", reasons=[{"text": "because"}], rotation_id="r0")

    told = desk.keyturn("projects", "--json")

    assert told.exit_code == 1
    assert json.loads(told.stdout) == problem


def test_what_went_wrong_inside_names_the_request_for_those_who_read_logs(desk):
    desk.api.refuse(PROJECTS, 500, "something went wrong", request_id="q1")

    told = desk.keyturn("projects")

    assert told.exit_code == 1
    assert told.stderr == "Keyturn failed: something went wrong\nIts logs know more about request q1.\n"


def test_who_lacks_a_role_is_not_let_in(desk):
    kind = "urn:keyturn:problem:missing-role"
    desk.api.refuse(PROJECTS, 403, "you are no viewer", type=kind)

    told = desk.keyturn("projects")

    assert (told.exit_code, told.stderr) == (3, "Keyturn says no: you are no viewer\n")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Missing Authentication Token", "ends with the stage of API Gateway (/live)"),
        ("The security token included in the request is expired", "aws sso login"),
        ("The security token included in the request is invalid.", "try another --profile"),
        ("Signature expired: 20270301T093000Z is now earlier than 20270301T100000Z", "this machine's clock is wrong"),
        ("User: arn:aws:iam::1:user/x is not authorized to perform: execute-api:Invoke", "allows execute-api:Invoke"),
        ("Credential should be scoped to a valid region.", "give it with --region"),
        ("Forbidden", ""),
    ],
)
def test_api_gateways_no_comes_with_what_helps(desk, said, advice):
    desk.api.on(PROJECTS, {"message": said}, status=403)

    told = desk.keyturn("projects")

    assert told.exit_code == 3
    assert said in told.stderr
    assert advice.lower() in told.stderr.lower()


def test_where_nobody_listens_one_sentence_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"

        told = call(address, "status")

    assert told.exit_code == 3
    assert told.stderr == f"Nothing answers at {address}: check --endpoint, the network and the VPN.\n"


def test_something_else_than_keyturn_is_noticed(desk):
    desk.api.on(PROJECTS, b"<html>", status=404, media_type="text/html")

    told = desk.keyturn("projects")

    assert told.exit_code == 3
    assert "Something answered with 404" in told.stderr


def test_a_page_for_browsers_is_no_answer_either(desk):
    desk.api.on(PROJECTS, b"<html>log in, please</html>", media_type="text/html")

    told = desk.keyturn("projects")

    assert told.exit_code == 3
    assert "Something answered with 200" in told.stderr


def test_a_busy_api_is_asked_again(desk):
    desk.api.on(PROJECTS, {"message": "Too Many Requests"}, status=429)
    desk.api.on(PROJECTS, page(project()))
    slept = []

    told = desk.keyturn("projects", sleep=slept.append)

    assert (told.exit_code, slept) == (0, [0.5])


@pytest.mark.parametrize("status", [504, CUT_OFF])
def test_what_may_have_been_done_is_not_asked_for_twice(desk, status):
    desk.api.on("POST /v1/keys/k/deletion", {"message": "Endpoint request timed out"}, status=status)

    told = desk.keyturn("delete", "k")

    assert told.exit_code == 3
    assert desk.api.calls == ["POST /v1/keys/k/deletion"]


def test_what_was_turned_away_at_the_door_is_asked_for_again(desk):
    desk.api.on("DELETE /v1/deletions/d1", {"message": "Too Many Requests"}, status=429)
    desk.api.on("DELETE /v1/deletions/d1", deletion())

    assert desk.keyturn("calloff", "d1").exit_code == 0


def test_a_look_that_was_cut_off_is_taken_again(desk):
    desk.api.on(PROJECTS, {}, status=CUT_OFF)
    desk.api.on(PROJECTS, page(project()))

    assert desk.keyturn("projects").exit_code == 0


def test_without_credentials_it_says_where_they_are_looked_for(desk):
    told = desk.keyturn("status", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)

    assert told.exit_code == 3
    assert told.stderr.startswith("No AWS credentials were found. Name a profile with --profile")


def test_a_profile_that_is_not_there_is_named(desk):
    told = desk.keyturn("status", "--profile", "nobody")

    assert told.exit_code == 3
    assert "The config profile (nobody) could not be found" in told.stderr


def test_a_profile_of_the_aws_configuration_is_used(desk, tmp_path):
    written = tmp_path / "credentials"
    written.write_text(f"[operations]\naws_access_key_id = AKIAGRACE\naws_secret_access_key = {SECRET}\n")
    desk.api.on(HEALTH, {"status": "ok", "version": "1"})

    desk.keyturn("health", "--profile", "operations", AWS_SHARED_CREDENTIALS_FILE=str(written))

    assert "Credential=AKIAGRACE/" in desk.api.asked[-1].headers["Authorization"]


@pytest.mark.parametrize(
    ("words", "environment", "region"),
    [
        ((), {}, "us-east-1"),
        ((), {"AWS_DEFAULT_REGION": "eu-central-1"}, "eu-central-1"),
        (("--region", "eu-west-1"), {"AWS_DEFAULT_REGION": "eu-central-1"}, "eu-west-1"),
    ],
)
def test_a_signature_is_for_the_region_asked_for_or_the_profiles(desk, words, environment, region):
    desk.api.on(HEALTH, {"status": "ok", "version": "1"})

    desk.keyturn("health", *words, **{"AWS_DEFAULT_REGION": None, **environment})

    assert f"/{region}/execute-api/aws4_request" in desk.api.asked[-1].headers["Authorization"]


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://a1b2c3.execute-api.eu-west-1.amazonaws.com/live/", "eu-west-1"),
        ("https://a1b2c3.execute-api.cn-north-1.amazonaws.com.cn/live", "cn-north-1"),
        ("https://vpce-1.execute-api.eu-west-1.vpce.amazonaws.com/live", "eu-west-1"),
        ("https://keys.example.com", None),
        ("http://[::1]:8400", None),
    ],
)
def test_an_address_of_api_gateways_names_its_region(endpoint, region):
    assert find_place(endpoint) == Place(address=endpoint.rstrip("/"), region=region)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (None, "Where is Keyturn?"),
        ("", "Where is Keyturn?"),
        ("http://keyturn.example", "The endpoint begins with https://"),
        ("ftp://127.0.0.1", "The endpoint begins with https://"),
        ("keyturn.example", "nothing more"),
        ("https://ada:secret@keyturn.example", "nothing more"),
        ("https://keyturn.example/live?x=1", "nothing more"),
        ("https://keyturn.example:port", "The endpoint is no address"),
        ("http://[::1", "The endpoint is no address"),
    ],
)
def test_an_endpoint_over_which_nobody_should_talk_is_not_asked(endpoint, said):
    told = call(endpoint, "status")

    assert told.exit_code == 2
    assert said in told.stderr
    assert "secret" not in told.stderr


@pytest.mark.parametrize(
    "words",
    [("status", "--top", "none"), ("project",), ("project", ".."), ("project", ""), ("dance",), ("status", "--dance")],
)
def test_a_wrong_call_ends_with_2_and_asks_nothing(desk, words):
    told = desk.keyturn(*words)

    assert told.exit_code == 2
    assert not desk.api.asked


def test_an_id_cannot_reach_out_of_its_place_in_the_path(desk):
    desk.keyturn("deletion", "../keys?x=1")

    assert [asked.target for asked in desk.api.asked] == ["/v1/deletions/..%2Fkeys%3Fx%3D1"]


def test_health_says_which_version_lives_where(desk):
    desk.api.on(HEALTH, {"status": "ok", "version": "0.9"})

    assert desk.keyturn("health").stdout == f"Keyturn 0.9 is alive at {desk.address}\n"


def test_evidence_comes_byte_for_byte(desk):
    pack = b'when,who\r\n2027-03-01,"Ada, Lady"\r\n'
    desk.api.on(f"GET /v1/projects/{PROJECT}/evidence", pack, media_type="text/csv")

    told = desk.keyturn("evidence", PROJECT, "--format", "csv", "--from", "2027-01-01", "--to", "2027-03-01")

    assert told.stdout_bytes == pack
    assert desk.api.asked[-1].query == {"format": "csv", "from": "2027-01-01", "to": "2027-03-01"}


def test_evidence_goes_into_a_file(desk, tmp_path):
    desk.api.on(f"GET /v1/projects/{PROJECT}/evidence", b"<html>\r\n", media_type="text/html")
    file = tmp_path / "pack.html"

    told = desk.keyturn("evidence", PROJECT, "--format", "html", "--output", str(file))

    assert (told.exit_code, told.stdout, told.stderr) == (0, "", f"{file}: 8 bytes\n")
    assert file.read_bytes() == b"<html>\r\n"


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(desk, tmp_path):
    desk.api.on(f"GET /v1/projects/{PROJECT}/evidence", {})

    told = desk.keyturn("evidence", PROJECT, "--output", str(tmp_path / "nowhere" / "pack.json"))

    assert told.exit_code == 2
    assert "cannot be written: No such file or directory" in told.stderr


def test_json_and_another_format_contradict_each_other(desk):
    assert desk.keyturn("evidence", PROJECT, "--format", "csv", "--json").exit_code == 2
