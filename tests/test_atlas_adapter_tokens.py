"""Tokens of the Atlas service accounts: fetched rarely, renewed in time, never shown."""

import base64
import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import unquote_plus

import pytest
from atlas_stand_in import CLIENT_ID, SECRET, TOKEN, TOKEN_PATH, Pace, Reply, StandIn, a_session
from fake_atlas import ORGANIZATION, PROJECT, ROLE_ID, a_key, some_settings

from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_token import Credentials, Token
from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError

ROLES = f"/groups/{PROJECT}/cloudProviderAccess"
SETTINGS = f"/groups/{PROJECT}/encryptionAtRest"
NO_ROLES = Reply(body={"awsIamRoles": []})
DENIED = Reply(status=401, body={"error": 401, "errorCode": "UNEXPECTED_ERROR", "detail": "not authorized"})


@pytest.fixture
def pace():
    return Pace()


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        stand_in.on(ROLES, NO_ROLES)
        yield stand_in


@pytest.fixture
def reader(atlas, pace):
    return AtlasReader(a_session(atlas, pace), ORGANIZATION)


def used(atlas):
    return [asked.headers["authorization"].removeprefix(f"Bearer {TOKEN}-") for asked in atlas.requests(ROLES)]


def test_the_token_is_asked_for_with_client_credentials(atlas, reader):
    reader.roles(PROJECT)

    (asked,) = atlas.requests(TOKEN_PATH, "POST")
    scheme, pair = asked.headers["authorization"].split(" ")
    client_id, secret = base64.b64decode(pair).decode().split(":")
    assert (scheme, unquote_plus(client_id), unquote_plus(secret)) == ("Basic", CLIENT_ID, SECRET)
    assert "/" not in secret
    assert asked.body == b"grant_type=client_credentials"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


def test_one_token_serves_nearly_its_whole_life(atlas, reader, pace):
    reader.roles(PROJECT)
    pace.time += timedelta(minutes=54)
    reader.roles(PROJECT)
    pace.time += timedelta(minutes=2)
    reader.roles(PROJECT)

    assert used(atlas) == ["1", "1", "2"]


def test_sixteen_threads_share_one_token(atlas, reader):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: reader.roles(PROJECT), range(32)))

    assert atlas.tokens_given == 1
    assert len(atlas.connections) <= 16


def test_a_withdrawn_token_is_fetched_anew_once(atlas, reader):
    atlas.on(ROLES, NO_ROLES, DENIED, NO_ROLES)
    reader.roles(PROJECT)

    reader.roles(PROJECT)

    assert used(atlas) == ["1", "1", "2"]


def test_a_fresh_token_that_is_refused_is_not_tried_again(atlas, reader):
    atlas.on(ROLES, DENIED)

    with pytest.raises(PermanentError):
        reader.roles(PROJECT)

    assert used(atlas) == ["1"]


def test_a_second_refusal_stops(atlas, reader):
    atlas.on(ROLES, NO_ROLES, DENIED)
    reader.roles(PROJECT)

    with pytest.raises(PermanentError):
        reader.roles(PROJECT)

    assert used(atlas) == ["1", "1", "2"]


def test_many_refused_calls_do_not_use_up_the_tokens_of_the_minute(atlas, reader):
    atlas.on(ROLES, NO_ROLES, DENIED)
    reader.roles(PROJECT)

    for _ in range(20):
        with pytest.raises(PermanentError):
            reader.roles(PROJECT)

    assert atlas.tokens_given == 2


def test_a_swap_that_was_refused_for_its_token_is_sent_with_a_new_one(atlas, pace):
    session = a_session(atlas, pace)
    AtlasReader(session, ORGANIZATION).roles(PROJECT)
    atlas.on(SETTINGS, DENIED, Reply(body={}), method="PATCH")

    AtlasKeySwapper(session).swap_key(PROJECT, a_key(2), settings=some_settings(), role_id=ROLE_ID)

    assert [asked.headers["authorization"][-1] for asked in atlas.requests(SETTINGS, "PATCH")] == ["1", "2"]


def test_a_changed_secret_is_taken_up_at_once(atlas, pace):
    accounts = [Credentials(client_id=CLIENT_ID, client_secret="old")]
    reader = AtlasReader(a_session(atlas, pace, accounts), ORGANIZATION)
    reader.roles(PROJECT)
    accounts.append(Credentials(client_id=CLIENT_ID, client_secret="new"))

    reader.roles(PROJECT)

    assert used(atlas) == ["1", "2"]


def test_a_refused_secret_is_permanent_and_says_where_to_put_the_new_one(atlas, reader):
    atlas.on(TOKEN_PATH, Reply(status=401, body={"error": "invalid_client"}), method="POST")

    with pytest.raises(PermanentError, match=r"POST /api/oauth/token.*Secrets Manager") as refused:
        reader.roles(PROJECT)

    assert refused.value.call == "POST /api/oauth/token"
    assert atlas.tokens_given == 1


def test_too_many_tokens_is_temporary(atlas, reader, pace):
    pace.left = 30
    limited = {"error": 429, "errorCode": "RATE_LIMITED", "detail": "Resource is limited"}
    atlas.on(TOKEN_PATH, Reply(status=429, body=limited, headers={"Retry-After": "60"}), method="POST")

    with pytest.raises(TemporaryError) as problem:
        reader.roles(PROJECT)

    assert (problem.value.code, problem.value.retry_after) == ("RATE_LIMITED", 60)


def test_a_swap_waits_for_its_token_before_anything_is_sent(atlas, pace):
    given = Reply(body={"access_token": f"{TOKEN}-9", "expires_in": 3600})
    atlas.on(TOKEN_PATH, Reply(status=500), given, method="POST")
    atlas.on(SETTINGS, Reply(body={}), method="PATCH")

    AtlasKeySwapper(a_session(atlas, pace)).swap_key(PROJECT, a_key(2), settings=some_settings(), role_id=ROLE_ID)

    assert len(atlas.requests(SETTINGS, "PATCH")) == 1
    assert pace.slept == [10]


@pytest.mark.parametrize(
    "body",
    [
        {"expires_in": 3600},
        {"access_token": f"{TOKEN}\r\nX-Injected: 1", "expires_in": 3600},
        {"access_token": "", "expires_in": 3600},
        {"access_token": TOKEN, "expires_in": TOKEN},
        f'{{"access_token": "{TOKEN}'.encode(),
    ],
)
def test_an_answer_without_a_token_is_an_error_that_does_not_repeat_it(atlas, reader, body):
    atlas.on(TOKEN_PATH, Reply(body=body), method="POST")

    with pytest.raises(TemporaryError, match="no access token") as problem:
        reader.roles(PROJECT)

    assert TOKEN not in "".join(traceback.format_exception(problem.value))


FAULTS = [
    Reply(status=401, body={"errorCode": "USER_UNAUTHORIZED", "detail": "no"}),
    Reply(status=403, body={"errorCode": "IP_ADDRESS_NOT_ON_WHITELIST"}),
    Reply(status=500, body=b"<html>"),
    Reply(status=302, headers={"Location": "http://localhost:1/"}),
    Reply(drop=True),
    Reply(body=b"{", cut=1),
    Reply(body={"awsIamRoles": 3}),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("where", [ROLES, TOKEN_PATH])
def test_no_secret_and_no_token_is_in_any_error_log_or_printed_form(atlas, pace, caplog, fault, where):
    caplog.set_level(logging.DEBUG)
    session = a_session(atlas, pace)
    reader = AtlasReader(session, ORGANIZATION)
    atlas.on(where, fault, method="GET" if where == ROLES else "POST")

    with pytest.raises(OutsideError) as problem:
        reader.roles(PROJECT)

    seen = "".join(traceback.format_exception(problem.value)) + caplog.text
    seen += repr(problem.value) + repr(vars(problem.value)) + repr(reader) + repr(session)
    secrets = [SECRET, TOKEN, base64.b64encode(SECRET.encode()).decode()[:12], "Basic "]
    assert [secret for secret in secrets if secret in seen] == []


def test_printed_credentials_and_tokens_hide_what_is_secret(pace):
    credentials = Credentials(client_id=CLIENT_ID, client_secret=SECRET)
    token = Token(text=TOKEN, use_until=pace.time, account=(CLIENT_ID, SECRET))

    shown = f"{credentials!r} {credentials} {token!r} {token}"

    assert CLIENT_ID in shown
    assert SECRET not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    "url",
    [
        "http://cloud.mongodb.com",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "ftp://localhost",
        "cloud.mongodb.com",
        "",
        "https://user:hidden@cloud.mongodb.com",
        "https://cloud.mongodb.com/?x=1",
    ],
)
def test_only_https_or_loopback_is_an_atlas(url, pace):
    with pytest.raises(ValueError, match="base URL") as refused:
        a_session_at(url, pace)

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://cloud.mongodb.com", "http://localhost:8080/", "http://127.0.0.1:1", "http://[::1]:1"]
)
def test_https_and_loopback_are_accepted(url, pace):
    assert a_session_at(url, pace).latest_date is None


def a_session_at(url, pace):
    return AtlasHttp(
        base_url=url,
        credentials=lambda: Credentials(client_id="a", client_secret="b"),
        now=pace.now,
        sleep=pace.sleep,
        random=lambda: 0.0,
        seconds_left=lambda: 900.0,
    )


def test_refused_threads_share_one_renewal(atlas, reader):
    barrier = threading.Barrier(8, timeout=5)
    stale = f"Bearer {TOKEN}-1"

    def answer(asked):
        if asked.headers["authorization"] != stale:
            return NO_ROLES
        barrier.wait()
        return DENIED

    reader.roles(PROJECT)
    atlas.on(ROLES, answer)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reader.roles(PROJECT), range(8)))

    assert atlas.tokens_given == 2
