"""The console's server: who is let in, what goes through to the API, and that no credential comes back."""

import json
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from fake_api import PROJECT, SECRET, call, open_api, project

from cli.client import Client
from cli.console.server import PROTECTION, open_console
from cli.place import find_place
from cli.signing import Signer

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "FwoGZXIvYXdzEXAMPLETOKEN"
REMOVED = ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


class Console:
    """A console, and requests to it as bytes on a connection."""

    def __init__(self, address):
        self.address = address
        self.authority = urlsplit(address).netloc
        self.path = urlsplit(address).path

    def ask(self, method="GET", path="", *, body=None, host=None, target=None, **headers):
        """Ask as the page would, unless a header says otherwise; None leaves a header out."""
        own = {"Host": host or self.authority}
        if method != "GET":
            own["Origin"] = f"http://{self.authority}"
        if body is not None:
            own |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(self.authority, timeout=10)
        connection.putrequest(method, target or self.path + path, skip_host=True, skip_accept_encoding=True)
        for name, value in own.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        given = connection.getresponse()
        answer = SimpleNamespace(status=given.status, headers=dict(given.getheaders()), body=given.read())
        connection.close()
        whole = repr(answer.headers).encode() + answer.body
        assert not any(secret.encode() in whole for secret in (SECRET, TOKEN, "AKIAADA"))
        return answer


@pytest.fixture
def office(monkeypatch):
    """A console before an API that answers what a test says."""
    for name in REMOVED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAADA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    with open_api() as opened:
        client = Client(find_place(opened.address), Signer(None, "us-east-1"), lambda _seconds: None)
        with open_console(client) as (address, _):
            yield SimpleNamespace(api=opened.api, console=Console(address))
        client.close()


def test_the_page_and_its_files_are_served_to_whoever_knows_the_address(office):
    page, style, script = (office.console.ask(path=path) for path in ("", "style.css", "main.js"))

    assert [one.status for one in (page, style, script)] == [200, 200, 200]
    assert [one.headers["Content-Type"].partition(";")[0] for one in (page, style, script)] == [
        "text/html",
        "text/css",
        "text/javascript",
    ]
    assert b"<script>" not in page.body
    assert b"style=" not in page.body


@pytest.mark.parametrize("path", ["", "style.css", "nowhere", "api/v1/projects", "api/v2/projects"])
def test_every_answer_tells_the_browser_to_keep_others_out(office, path):
    office.api.on("GET /v1/projects", {"items": [], "next": None})

    answer = office.console.ask(path=path)

    assert {name: answer.headers[name] for name in PROTECTION} == PROTECTION
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_a_call_of_the_page_reaches_the_api_signed(office):
    office.api.on("GET /v1/projects", {"items": [project()], "next": None}, headers={"x-request-id": "r-1"})

    answer = office.console.ask(path="api/v1/projects?limit=100&cursor=a%2Fb")

    (asked,) = office.api.asked
    assert json.loads(answer.body)["items"][0]["project_id"] == PROJECT
    assert answer.headers["x-request-id"] == "r-1"
    assert asked.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAADA/")
    assert asked.query == {"limit": "100", "cursor": "a/b"}


def test_a_change_carries_its_body_and_its_idempotency_key_and_none_of_the_browsers_headers(office):
    office.api.on(f"POST /v1/projects/{PROJECT}/rotations", {"rotation_id": "r"}, status=202)

    answer = office.console.ask(
        "POST", f"api/v1/projects/{PROJECT}/rotations", body=b'{"reason": "now"}', Idempotency_Key="k", Cookie="c=1"
    )

    (asked,) = office.api.asked
    assert (answer.status, asked.body, asked.headers["Idempotency-Key"]) == (202, {"reason": "now"}, "k")
    assert "Cookie" not in asked.headers
    assert "Origin" not in asked.headers


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_other_changes_go_through_too(office, method):
    office.api.on(f"{method} /v1/policy", {"policy": {}})

    answer = office.console.ask(method, "api/v1/policy", body=b"{}" if method == "PATCH" else None)

    assert (answer.status, office.api.calls) == (200, [f"{method} /v1/policy"])


def test_a_problem_of_the_api_comes_back_as_it_is(office):
    problem = office.api.refuse("GET /v1/keys", 409, "it is in use", request_id="r-7")

    answer = office.console.ask(path="api/v1/keys")

    assert (answer.status, json.loads(answer.body)) == (409, problem)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_the_gateway_says_comes_back_in_words(office):
    office.api.on("GET /v1/keys", {"message": "User is not authorized to perform: execute-api:Invoke"}, status=403)

    answer = office.console.ask(path="api/v1/keys")

    assert answer.status == 502
    assert "execute-api:Invoke on this API" in json.loads(answer.body)["detail"]


def test_credentials_that_cannot_be_had_any_more_are_told_in_words(office):
    client = Client(find_place("http://127.0.0.1:1"), Signer("nowhere", None), lambda _seconds: None)

    with open_console(client) as (address, _):
        answer = Console(address).ask(path="api/v1/projects")

    assert answer.status == 502
    assert "The AWS credentials could not be had" in json.loads(answer.body)["detail"]


def test_an_api_that_cannot_be_reached_is_told_in_words(office):
    client = Client(find_place("http://127.0.0.1:1"), Signer(None, None), lambda _seconds: None)

    with open_console(client) as (address, _):
        answer = Console(address).ask(path="api/v1/projects")

    assert (answer.status, json.loads(answer.body)["type"]) == (502, "urn:keyturn:console:no-way-in")


def test_an_api_that_repeats_the_credentials_does_not_tell_them_the_page(office):
    office.api.on("GET /v1/keys", {"items": [SECRET, TOKEN, "AKIAADA"]})
    office.api.refuse("GET /v1/policy", 400, f"I was told {SECRET}")

    for path in ("api/v1/keys", "api/v1/policy"):
        assert b"[blanked]" in office.console.ask(path=path).body


def test_a_page_of_the_apis_is_not_served_under_the_consoles_address(office):
    office.api.on(f"GET /v1/projects/{PROJECT}/evidence", b"<script>alert(1)</script>", media_type="text/html")

    answer = office.console.ask(path=f"api/v1/projects/{PROJECT}/evidence?format=html")

    assert (answer.status, answer.headers["Content-Type"]) == (502, "application/problem+json")
    assert b"<script>" not in answer.body


@pytest.mark.parametrize("host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:{port}.evil.example"])
def test_a_foreign_host_is_refused(office, host):
    answer = office.console.ask(path="api/v1/projects", host=host.format(port=urlsplit(office.console.address).port))

    assert (answer.status, office.api.calls) == (421, [])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:{port}", "http://127.0.0.1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_origin_is_refused(office, origin, method):
    named = origin.format(port=urlsplit(office.console.address).port)

    answer = office.console.ask(method, "api/v1/policy", Origin=named)

    assert (answer.status, office.api.calls) == (403, [])


def test_a_change_without_an_origin_is_refused(office):
    answer = office.console.ask("DELETE", "api/v1/deletions/1", Origin=None)

    assert (answer.status, office.api.calls) == (403, [])


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_another_page_made_the_browser_send_is_refused(office, site):
    answer = office.console.ask(path="api/v1/projects", Sec_Fetch_Site=site)

    assert (answer.status, office.api.calls) == (403, [])


@pytest.mark.parametrize(
    "target", ["/", "/wrong/", "/wrong/api/v1/projects", "/api/v1/projects", "{token}", "{token}x/"]
)
def test_without_the_token_nothing_is_found(office, target):
    given = target.format(token=office.console.path.rstrip("/"))

    answer = office.console.ask(target=given)

    assert (answer.status, office.api.calls) == (404, [])
    assert office.console.path.strip("/").encode() not in answer.body


def test_each_console_has_a_token_of_its_own(office):
    with open_console(SimpleNamespace()) as (address, _):
        other = urlsplit(address).path

    assert other != office.console.path
    assert len(other) > 32


@pytest.mark.parametrize(
    "path",
    [
        "../server.py",
        "..%2fserver.py",
        "%2e%2e/server.py",
        "static/../../server.py",
        "....//server.py",
        "main.js/",
        "./main.js",
        "/etc/passwd",
        "api/",
        "api/v1",
        "api/v1/",
        "api/v1//projects",
        "api/v1/../sandbox/inbox",
        "api/v1/%2e%2e/sandbox/inbox",
        "api/v1/projects/..",
        "api/v1/projects%2f..%2f..",
        "api/v1/projects/a%00b",
        "api/v2/projects",
        "api/projects",
        "api/sandbox/inbox",
        "api/sandbox/clock/",
        "api/http://evil.example/v1/projects",
        "api/v1/webhooks/atlas",
    ],
)
def test_no_path_leads_out(office, path):
    answer = office.console.ask(path=path)

    assert (answer.status, office.api.calls) == (404, [])


@pytest.mark.parametrize("target", ["http://evil.example/v1/projects", "*", "\\..\\x"])
def test_a_target_that_is_no_path_is_refused(office, target):
    assert office.console.ask(target=target).status == 400


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(office, method):
    answer = office.console.ask(method, "api/v1/projects")

    assert (answer.status, office.api.calls) == (405, [])
    assert {name: answer.headers[name] for name in PROTECTION} == PROTECTION


def test_a_file_takes_no_change(office):
    assert office.console.ask("POST", "main.js", body=b"{}").status == 405


def test_a_body_over_64_kb_is_refused_unread(office):
    answer = office.console.ask("POST", "api/v1/policy", Content_Length=str(64 * 1024 + 1))

    assert (answer.status, office.api.calls) == (413, [])


@pytest.mark.parametrize("length", ["-1", "1e3", "²"])
def test_a_body_of_no_known_length_is_refused(office, length):
    assert office.console.ask("POST", "api/v1/policy", Content_Length=length.encode("latin-1")).status == 411


def test_a_body_in_chunks_is_refused(office):
    assert office.console.ask("POST", "api/v1/policy", Transfer_Encoding="chunked").status == 411


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 60000, "application/json", 400),
        (b"\xff", "application/json", 400),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(office, body, media_type, status):
    answer = office.console.ask("POST", "api/v1/policy", body=body, Content_Type=media_type)

    assert (answer.status, office.api.calls) == (status, [])


def test_the_clock_of_a_sandbox_is_asked_without_a_signature(office):
    office.api.on("POST /sandbox/clock", {"now": "2027-01-05T06:00:00Z"})

    answer = office.console.ask("POST", "api/sandbox/clock", body=b'{"advance_seconds": 86400}')

    (asked,) = office.api.asked
    assert (answer.status, asked.body) == (200, {"advance_seconds": 86400})
    assert "Authorization" not in asked.headers


def test_an_api_elsewhere_is_never_asked_for_a_clock(office):
    client = Client(find_place("https://a.execute-api.eu-west-1.amazonaws.com/live"), Signer(None, None), print)

    with open_console(client) as (address, _):
        looked = Console(address).ask(path="api/sandbox/clock")
        turned = Console(address).ask("POST", "api/sandbox/clock", body=b'{"advance_seconds": 1}')

    assert (looked.status, json.loads(looked.body)) == (200, {"now": None})
    assert (turned.status, json.loads(turned.body)["detail"]) == (
        502,
        "Only a sandbox on this machine has a clock to turn.",
    )


@pytest.fixture
def ctrl_c():
    """Ctrl-C is heard by what is started here, also when these tests run in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_the_command_prints_its_address_and_ends_with_ctrl_c(office, option):
    command = [sys.executable, "-m", "cli", "console", "--endpoint", "http://127.0.0.1:1", *option]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            said = running.stdout.readline()
            address = json.loads(said)["url"] if option else said.strip()
            page = Console(address).ask()
            running.send_signal(signal.SIGINT)
            rest, errors = running.communicate(timeout=10)
        finally:
            running.kill()

    assert (page.status, running.returncode, errors) == (200, 0, "")
    assert not any(secret in said + rest for secret in (SECRET, TOKEN, "AKIAADA"))


def test_the_command_says_what_to_do_when_its_port_is_taken(office):
    port = str(urlsplit(office.console.address).port)

    told = call("http://127.0.0.1:1", "console", "--port", port)

    assert told.exit_code == 2
    assert "Give another with --port." in told.stderr


def test_the_command_wants_credentials_before_it_serves():
    told = call("http://127.0.0.1:1", "console", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)

    assert told.exit_code == 3
    assert "No AWS credentials were found" in told.stderr
