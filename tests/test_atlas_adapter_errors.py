"""What Atlas refuses becomes temporary or permanent, in words that say what to do; waits fit the invocation."""

import logging
import time
from base64 import b64encode

import pytest
from atlas_stand_in import SECRET, TOKEN, TOKEN_PATH, Pace, Reply, StandIn, a_session
from fake_atlas import ORGANIZATION, PROJECT, ROLE_ID, a_key, some_settings

from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.adapters.atlas_errors import LONGEST_DETAIL
from chalicelib.adapters.atlas_secrecy import is_in
from chalicelib.adapters.atlas_wire import RESERVE_SECONDS
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

ROLES = f"/groups/{PROJECT}/cloudProviderAccess"
SETTINGS = f"/groups/{PROJECT}/encryptionAtRest"
NO_ROLES = Reply(body={"awsIamRoles": []})


@pytest.fixture
def pace():
    return Pace()


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def reader(atlas, pace):
    return AtlasReader(a_session(atlas, pace), ORGANIZATION)


def refused(status, code, **headers):
    body = {"error": status, "errorCode": code, "detail": "as Atlas says", "parameters": ["text, not objects"]}
    return Reply(status=status, body=body, headers=headers)


def swap(atlas, pace):
    owner = AtlasKeySwapper(a_session(atlas, pace))
    owner.swap_key(PROJECT, a_key(2), settings=some_settings(), role_id=ROLE_ID)


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (400, "CANNOT_ASSUME_ROLE", TemporaryError, "has not caught up"),
        (400, "INVALID_AWS_CREDENTIALS", TemporaryError, "has not caught up"),
        (400, "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED", TemporaryError, "has not caught up"),
        (405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES", TemporaryError, "upgraded"),
        (429, "RATE_LIMITED_TOKEN_BUCKET", TemporaryError, "wait"),
        (500, "UNEXPECTED_ERROR", TemporaryError, "read them back"),
        (400, "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED", PermanentError, "authorize an IAM role"),
        (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT", PermanentError, "its policy must allow"),
        (400, "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED", PermanentError, "old one stays"),
        (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION", PermanentError, "pending deletion"),
        (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_IMPORT", PermanentError, "no key material"),
        (400, "AWS_KMS_REGION_NOT_SUPPORTED", PermanentError, "region"),
        (400, "INVALID_REGION", PermanentError, "region"),
        (404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND", PermanentError, "no such key"),
        (400, "ENCRYPTION_AT_REST_SETTINGS_INVALID", PermanentError, "CURRENT key"),
        (400, "ENCRYPTION_AT_REST_NOT_ENABLED", PermanentError, "look at the project's"),
        (409, "CANNOT_DISABLE_ENCRYPTION_AT_REST", PermanentError, "never asks for this"),
        (404, "GROUP_NOT_FOUND", NotFound, "does not exist"),
        (401, "USER_UNAUTHORIZED", PermanentError, "Project Owner"),
        (401, "NOT_IN_GROUP", PermanentError, "Project Owner"),
        (403, "IP_ADDRESS_NOT_ON_WHITELIST", PermanentError, "API access list"),
        (403, "ORG_REQUIRES_WHITELIST", PermanentError, "API access list"),
        (403, "RESOURCE_REQUIRES_WHITELIST", PermanentError, "API access list"),
        (410, "VERSION_GONE", PermanentError, "update Keyturn"),
        (406, "INVALID_VERSION_DATE", PermanentError, "update Keyturn"),
        (418, "SOMETHING_NEW", PermanentError, "as it is"),
    ],
)
def test_each_refusal_of_a_swap_says_what_it_is_and_what_to_do(atlas, pace, status, code, kind, words):
    atlas.on(SETTINGS, refused(status, code), method="PATCH")

    with pytest.raises(kind, match=words) as problem:
        swap(atlas, pace)

    said = problem.value
    assert isinstance(said, NotFound) == (kind is NotFound)
    assert (said.code, said.call) == (code, f"PATCH /groups/{PROJECT}/encryptionAtRest")
    assert all(part in said.message for part in (PROJECT, str(status), code, "as Atlas says"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_read_names_the_reading_role_and_the_access_list(atlas, reader, status):
    atlas.on(ROLES, Reply(status=status, body={"error": status}))

    with pytest.raises(PermanentError, match=f"Project Read Only in project {PROJECT}.*access list") as problem:
        reader.roles(PROJECT)

    assert (problem.value.call, problem.value.code) == (f"GET {ROLES}", f"HTTP_{status}")


def test_a_refused_list_of_projects_names_the_role_in_the_organization(atlas, reader):
    atlas.on("/groups", Reply(status=403, body={}))

    with pytest.raises(PermanentError, match="Organization Read Only in the organization"):
        list(reader.projects())


def test_the_code_is_taken_from_the_header_where_the_body_has_none(atlas, reader):
    atlas.on(ROLES, Reply(status=404, body=b"gone", headers={"X-Error-Code": "GROUP_NOT_FOUND"}))

    with pytest.raises(NotFound) as problem:
        reader.roles(PROJECT)

    assert problem.value.code == "GROUP_NOT_FOUND"


def test_what_atlas_says_cannot_forge_a_line_in_the_log(atlas, reader):
    body = {"errorCode": "X\nERROR forged", "detail": "a\r\nERROR forged\u2028" + "x" * 9999}
    atlas.on(ROLES, Reply(status=400, body=body))

    with pytest.raises(PermanentError) as problem:
        reader.roles(PROJECT)

    assert len(problem.value.message.splitlines()) == 1
    assert len(problem.value.message) < 700


def test_a_limited_call_waits_as_long_as_atlas_says(atlas, reader, pace):
    atlas.on(ROLES, refused(429, "RATE_LIMITED_TOKEN_BUCKET", **{"Retry-After": "55"}), NO_ROLES)

    reader.roles(PROJECT)

    assert pace.slept == [55]


def test_retry_after_may_be_a_date(atlas, reader, pace):
    when = {"Retry-After": "Sun, 01 Mar 2026 12:00:07 GMT"}
    atlas.on(ROLES, refused(429, "RATE_LIMITED", **when), NO_ROLES)

    reader.roles(PROJECT)

    assert pace.slept == [7]


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=429, body={}),
        Reply(status=429, body={}, headers={"Retry-After": "soon"}),
        Reply(status=503, body=b"<html>"),
        Reply(status=500, body={"errorCode": "UNEXPECTED_ERROR"}),
        Reply(drop=True),
        Reply(body={"awsIamRoles": []}, cut=5),
    ],
)
def test_a_read_is_tried_four_times_with_growing_waits(atlas, reader, pace, fault):
    atlas.on(ROLES, fault)

    with pytest.raises(TemporaryError):
        reader.roles(PROJECT)

    assert pace.slept == [10, 20, 40]
    assert len(atlas.requests(ROLES)) == 4


def test_chance_only_lengthens_a_wait(atlas, reader, pace):
    pace.chance = 1.0
    atlas.on(ROLES, Reply(status=503), refused(429, "RATE_LIMITED", **{"Retry-After": "40"}), NO_ROLES)

    reader.roles(PROJECT)

    assert pace.slept == [12.5, 50]


@pytest.mark.parametrize(("headers", "asked"), [({"Retry-After": "55"}, 55), ({}, 10)])
def test_a_wait_that_does_not_fit_is_handed_on(atlas, reader, pace, headers, asked):
    pace.left = 12
    atlas.on(ROLES, refused(429, "RATE_LIMITED", **headers))

    with pytest.raises(TemporaryError) as problem:
        reader.roles(PROJECT)

    assert (problem.value.retry_after, problem.value.code) == (asked, "RATE_LIMITED")
    assert pace.slept == []


def test_no_call_is_begun_in_the_last_seconds_of_an_invocation(atlas, reader, pace):
    pace.left = 3.5

    with pytest.raises(TemporaryError, match="no time left"):
        reader.roles(PROJECT)

    assert atlas.asked == []


def test_a_silent_atlas_is_left_when_the_time_is_up(atlas, pace):
    import threading

    silence = threading.Event()
    reader = AtlasReader(a_session(atlas, pace), ORGANIZATION)
    atlas.on(ROLES, NO_ROLES, Reply(wait=silence))
    reader.roles(PROJECT)
    pace.left = 4.05

    with pytest.raises(TemporaryError, match="in time") as problem:
        reader.roles(PROJECT)

    silence.set()
    assert problem.value.code == "timeout"


def dripping(pace, body, *, seconds, **how):
    """An answer whose every byte takes a moment, and so many seconds of the invocation."""

    def drip():
        time.sleep(0.001)
        # Once the caller has left, the time is in the hands of the test again.
        if pace.left > RESERVE_SECONDS:
            pace.left -= seconds

    return Reply(body=body, drip=drip, **how)


NOTHING_MUCH = {"awsIamRoles": [], "note": "x" * 400}


@pytest.mark.parametrize("how", [{}, {"drips_from": "head"}, {"zipped": True}])
def test_an_answer_that_drips_is_left_when_the_time_is_up(atlas, reader, pace, how):
    varied = {**NOTHING_MUCH, "note": str([number**5 for number in range(200)])}
    atlas.on(ROLES, NO_ROLES, dripping(pace, varied, seconds=0.1, **how), NO_ROLES)
    reader.roles(PROJECT)
    pace.left = 8

    with pytest.raises(TemporaryError, match="in time") as problem:
        reader.roles(PROJECT)

    assert problem.value.code == "timeout"
    assert atlas.dripped >= 20
    assert atlas.held_back > 0


def test_a_token_that_drips_is_left_when_the_time_is_up(atlas, reader, pace):
    granted = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer", **NOTHING_MUCH}
    atlas.on(TOKEN_PATH, dripping(pace, granted, seconds=0.1), method="POST")
    pace.left = 8

    with pytest.raises(TemporaryError, match="in time") as problem:
        reader.roles(PROJECT)

    assert (problem.value.call, problem.value.code) == ("POST /api/oauth/token", "timeout")
    assert atlas.held_back > 0
    assert atlas.requests(ROLES) == []


def test_a_change_whose_answer_drips_is_sent_once(atlas, pace):
    atlas.on(SETTINGS, dripping(pace, NOTHING_MUCH, seconds=0.1), method="PATCH")
    pace.left = 8

    with pytest.raises(TemporaryError, match="in time"):
        swap(atlas, pace)

    assert len(atlas.requests(SETTINGS, "PATCH")) == 1
    assert atlas.held_back > 0


def test_an_answer_that_drips_in_time_is_read_whole(atlas, reader, pace):
    atlas.on(ROLES, dripping(pace, NOTHING_MUCH, seconds=0.001, drips_from="head"))

    assert reader.roles(PROJECT) == ()

    assert (atlas.dripped > 400, atlas.held_back) == (True, 0)


def test_a_connection_whose_answer_was_left_is_not_used_again(atlas, reader, pace):
    atlas.on(ROLES, NO_ROLES, dripping(pace, NOTHING_MUCH, seconds=0.1), NO_ROLES)
    reader.roles(PROJECT)
    pace.left = 8
    with pytest.raises(TemporaryError):
        reader.roles(PROJECT)
    pace.left = 900

    for _ in range(3):
        reader.roles(PROJECT)

    assert len(atlas.connections) == 2


def test_an_atlas_that_is_not_there_is_temporary(pace):
    gone = StandIn()
    gone._server.server_close()

    with pytest.raises(TemporaryError) as problem:
        AtlasReader(a_session(gone, pace), ORGANIZATION).roles(PROJECT)

    assert problem.value.code == "unreachable"
    assert "0x" not in problem.value.message


def test_a_version_that_is_going_away_is_warned_of_once(atlas, reader, caplog):
    leaving = {"Deprecation": "Mon, 5 Aug 2024 00:00:00 GMT", "Sunset": "Thu, 1 Jul 2027 00:00:00 GMT"}
    atlas.on(ROLES, Reply(body={"awsIamRoles": []}, headers=leaving))
    caplog.set_level(logging.WARNING)

    reader.roles(PROJECT)
    reader.roles(PROJECT)

    (record,) = caplog.records
    assert record.name == "chalicelib.adapters.atlas_http"
    assert all(part in record.getMessage() for part in ("listGroupCloudProviderAccess", "2023-01-01", "2027"))


TOKEN_OF_NOW = f"{TOKEN}-1"


@pytest.mark.parametrize(
    "said",
    [
        f"Denied: Bearer {TOKEN_OF_NOW}",
        "x" * (LONGEST_DETAIL - 10) + TOKEN_OF_NOW,
        TOKEN_OF_NOW.encode().hex(),
        TOKEN_OF_NOW.encode().hex().upper(),
        b64encode(f"a:{TOKEN_OF_NOW}".encode()).decode(),
        b64encode(f"ab:{TOKEN_OF_NOW}".encode()).decode(),
        b64encode(f"abc:{TOKEN_OF_NOW}".encode()).decode(),
    ],
)
def test_what_atlas_repeats_of_a_token_nobody_repeats(atlas, reader, said):
    body = {"error": 403, "errorCode": TOKEN_OF_NOW.encode().hex().upper()[:120], "detail": said}
    atlas.on(ROLES, Reply(status=403, body=body))

    with pytest.raises(PermanentError) as problem:
        reader.roles(PROJECT)

    assert problem.value.code == "HTTP_403"
    assert not is_in(problem.value.message, [TOKEN_OF_NOW])
    assert "x" * 20 not in problem.value.message


def test_a_header_that_repeats_the_token_is_not_logged(atlas, reader, caplog):
    atlas.on(ROLES, Reply(body={"awsIamRoles": []}, headers={"Sunset": f"Bearer {TOKEN_OF_NOW}"}))

    with caplog.at_level(logging.WARNING):
        reader.roles(PROJECT)

    assert "Bearer …" in caplog.text
    assert TOKEN_OF_NOW not in caplog.text


def test_a_refused_token_names_neither_the_secret_nor_its_hex(atlas, reader):
    body = {"errorCode": SECRET.encode().hex().upper(), "detail": SECRET}
    atlas.on(TOKEN_PATH, Reply(status=401, body=body), method="POST")

    with pytest.raises(PermanentError) as problem:
        reader.roles(PROJECT)

    assert not is_in(problem.value.message, [SECRET])
    assert problem.value.code == "HTTP_401"
