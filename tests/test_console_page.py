"""The console in a browser: two operators rotate a key and delete the old one, and every view can be read by all."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from types import SimpleNamespace

import pytest
from console_browser import NARROW, WIDE, Person, open_browser
from fake_api import DIGEST, NOW, OLD, PROJECT, SECRET, deletion, in_days, key, open_api, page, project, rotation
from fake_tracker import FakeTracker

from chalicelib.domain.policies import FIELDS
from chalicelib.domain.records import Harm, Policy
from chalicelib.domain.vocabulary import DeletionState, GuardMode, Mode, RotationState
from chalicelib.domain.wording_policy import policy_told
from chalicelib.usecases.show import show_fleet_version
from cli.client import Client
from cli.console.server import open_console
from cli.place import find_place
from cli.signing import Signer
from cli.standing import DRIFTS, standing, to_know
from cli.words import count, distance, dollars, key_id, listed, who
from sandbox.atlas import BackupPolicy
from sandbox.cast import stage
from sandbox.consoles import open_consoles
from sandbox.door import open_door
from sandbox.rhythms import A_WEEK

HOUR, DAY = 3600, 86400
DAILY = BackupPolicy(kind="daily", keep=timedelta(days=7))
KEPT = {
    "ledger": (DAILY, BackupPolicy(kind="weekly", keep=timedelta(weeks=3), every=2)),
    "archive": (DAILY,),
}
"""What each cluster of the project keeps."""


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def office(browser):
    """Ada and Grace, each before their own console, and a project whose cluster takes snapshots."""
    with stage() as built:
        payments = built.add_project("payments")
        for cluster, policies in KEPT.items():
            built.atlas.add_cluster(payments, cluster, policies=policies)
        playground = built.atlas.add_project("playground")
        built.atlas.add_cluster(playground, "toys", tier="M0")
        runner, _ = built.install(idle=A_WEEK)
        runner.run_until(built.world.clock.now())
        with (
            open_door(built.world, runner) as api,
            open_consoles(api, built.world.aws.region, built.world.operators) as addresses,
        ):
            ada, grace = (Person(browser, address) for address in addresses)
            yield SimpleNamespace(ada=ada, grace=grace, project_id=payments, secrets=built.world.operators)


@pytest.fixture(scope="module")
def rotated(office):
    """What was seen on the way of a rotation, from the button to its end."""
    ada, seen = office.ada, SimpleNamespace()
    ada.open(f"/projects/{office.project_id}")
    seen.old = ada.read(f"projects/{office.project_id}")["key"]
    ada.pass_time(3 * DAY)
    ada.press("Rotate…")
    ada.fill("Reason", "a walk through the page")
    ada.press("Make the checks", within="dialog")
    ada.sees("It would go through", within="dialog")
    seen.dialog = ada.page.locator("dialog").inner_text()
    show(ada, "rotate-dialog")
    ada.press("Rotate now", within="dialog")
    ada.page.wait_for_url("**/#/rotations/**")
    ada.pass_time(60)
    ada.page.wait_for_selector('.steps [aria-current="step"]:text("deploying")')
    seen.rotation_path = ada.page.url.partition("#")[2]
    seen.deploying = ada.page.locator("main").inner_text()
    show(ada, "rotation-deploying")
    ada.open(f"/projects/{office.project_id}")
    ada.page.wait_for_selector(".banner")
    seen.banner = ada.page.locator(".banner").inner_text()
    show(ada, "project-deploying")
    ada.open(seen.rotation_path)
    ada.pass_time(4 * HOUR)
    ada.page.wait_for_selector('.steps [aria-current="step"]:text("deployed")')
    seen.deployed = ada.page.locator("main").inner_text()
    show(ada, "rotation")
    return seen


@pytest.fixture(scope="module")
def drained(office, rotated):
    """The page of the old key while it drains, and its reasons."""
    ada, seen = office.ada, SimpleNamespace(path=f"/keys/{key_id(rotated.old)}")
    ada.pass_time(2 * DAY)
    ada.open(seen.path)
    ada.page.wait_for_selector("figure .phase.drain")
    seen.bars = ada.page.locator("figure .phase.drain").count()
    seen.text = ada.page.locator("main").inner_text()
    seen.refused = refusal_of_a_deletion(ada)
    show(ada, "key-draining")
    return seen


@pytest.fixture(scope="module")
def deleted(office, drained):
    """A deletion that Ada requested, tried to approve, and Grace approved."""
    ada, grace, seen = office.ada, office.grace, SimpleNamespace()
    policy = {"delete_foreign_keys": True}
    body = "([path, body]) => fetch(path, {method: 'PATCH', body, headers: {'Content-Type': 'application/json'}})"
    ada.page.evaluate(body, [f"api/v1/projects/{office.project_id}/policy", json.dumps(policy)])
    ada.pass_time(25 * DAY)
    ada.open(drained.path)
    ada.sees("Yes: nothing needs it any more.")
    show(ada, "key-free")
    ada.press("Request deletion…")
    ada.fill("Reason", "nothing needs it")
    ada.press("Request deletion", within="dialog")
    ada.page.wait_for_url("**/#/deletions/**")
    ada.press("Approve…")
    ada.press("Approve", within="dialog")
    ada.sees("another principal than the requester must approve", within="dialog")
    seen.alone = ada.page.locator("dialog").inner_text()
    show(ada, "approve-refused")
    ada.press("Leave it", within="dialog")
    seen.path = ada.page.url.partition("#")[2]
    grace.open(seen.path)
    grace.press("Approve…")
    grace.press("Approve", within="dialog")
    grace.sees("The key goes into quarantine at the next look.")
    ada.pass_time(DAY)
    ada.sees("The key is disabled for 7 days")
    show(ada, "deletion")
    return seen


def refusal_of_a_deletion(person):
    person.press("Request deletion…")
    person.press("Request deletion", within="dialog")
    person.page.wait_for_selector("dialog .problem")
    text = person.page.locator("dialog .problem").inner_text()
    show(person, "deletion-refused")
    person.press("Leave it", within="dialog")
    return text


def show(person, name):
    """Keep a view in both colours and at the width of a telephone; nothing in it may be hard to read for anybody."""
    for width, size in (("wide", WIDE), ("narrow", NARROW)):
        person.page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            person.page.emulate_media(color_scheme=scheme)
            person.picture(f"{name}-{width}-{scheme}")
            if width == "wide" or scheme == "light":
                assert person.violations() == [], f"{name}, {width}, {scheme}"
        assert person.overflow() <= 0, f"{name} is wider than {size['width']} pixels"
    person.page.set_viewport_size(WIDE)
    person.page.emulate_media(color_scheme="light")


def test_the_fleet_is_listed_worst_first_and_filtered(office):
    ada = office.ada
    ada.open("/")
    ada.sees("2 projects: 1 fine and 1 not covered.")
    names = ada.page.locator("tbody td.name").all_inner_texts()
    show(ada, "fleet")

    ada.page.get_by_label("Filter the projects").fill("play")
    ada.sees("1 of 2 projects")
    left = ada.page.locator("tbody td.name").all_inner_texts()

    assert (names, left) == (["payments", "playground"], ["playground"])


def test_a_rotation_goes_from_its_button_to_deployed(rotated):
    assert "What will happen" in rotated.dialog
    assert "ledger and archive" in rotated.dialog or "archive and ledger" in rotated.dialog
    assert "waiting for" in rotated.deploying
    assert "a walk through the page" in rotated.deployed
    assert "0 failed" in rotated.deployed


def test_a_project_says_what_must_be_known_while_its_rotation_deploys(rotated):
    assert rotated.banner.startswith("While the rotation deploys:")


def test_a_key_that_drains_shows_which_cluster_until_when(drained):
    assert drained.bars == 2
    assert "No: it comes free on" in drained.text
    assert "Reasons to keep it" in drained.text


def test_a_refusal_is_shown_with_every_reason_and_its_request(drained):
    assert drained.refused.startswith("Keyturn says no:")
    assert "ledger" in drained.refused
    assert "archive" in drained.refused
    assert "Request " in drained.refused


def test_a_deletion_takes_two_people(office, deleted):
    shown = office.grace.read(deleted.path.removeprefix("/"))

    assert "another principal than the requester must approve" in deleted.alone
    assert shown["state"] == "quarantined"
    assert (who(shown["requested_by"]), who(shown["approved_by"])) == ("operator-ada", "operator-grace")


def test_a_project_shows_its_keys_along_the_calendar(office, deleted):
    ada = office.ada
    ada.open(f"/projects/{office.project_id}")
    ada.page.wait_for_selector(".phase.use")
    show(ada, "project")

    kinds = {
        kind
        for kind in ("use", "deploy", "drain", "quarantine", "planned")
        if ada.page.locator(f"svg .phase.{kind}").count()
    }
    marks = ada.page.locator("svg .marked").all_text_contents()

    assert kinds >= {"use", "deploy", "drain", "quarantine"}
    assert "today" in marks
    assert any(text.startswith("due ") for text in marks)


def test_the_keys_are_listed_with_what_may_go(office, deleted):
    ada = office.ada
    ada.open("/keys")
    ada.sees("quarantined")
    show(ada, "keys")

    assert ada.page.locator("tbody tr").count() == 2


def test_what_happened_of_late_is_told_newest_first(office, deleted):
    ada = office.ada
    ada.open("/activity")
    ada.page.wait_for_selector("tbody tr")
    show(ada, "activity")

    whats = ada.page.locator("tbody tr td:nth-child(3)").all_inner_texts()
    times = ada.page.locator("tbody tr td:nth-child(1)").all_inner_texts()
    assert times == sorted(times, reverse=True)
    assert {"rotation requested", "policy changed", "deletion approved"} <= set(whats)


def test_the_fleet_tells_what_happened_lately(office, deleted):
    ada = office.ada
    ada.open("/")
    ada.page.wait_for_selector(".lately tbody tr")
    show(ada, "fleet-lately")

    assert ada.page.locator(".lately tbody tr").count() == 5
    assert ada.read("activity?limit=1")["items"][0]["what"] in ada.page.locator(".lately tbody tr").first.inner_text()


def test_a_projects_policy_is_changed_after_its_changes_were_shown(office, deleted):
    ada = office.ada
    ada.open(f"/projects/{office.project_id}")
    ada.press("Change policy…")
    ada.page.wait_for_selector("dialog[open]")
    show(ada, "policy-form")
    ada.fill("Quarantine", "9")
    ada.page.locator("dialog").get_by_label("Who would destroy a needed key").select_option("tell")
    ada.press("Show what changes", within="dialog")
    ada.sees("quarantine: 7 days → 9 days", within="dialog")
    said = ada.page.locator("dialog").inner_text()
    show(ada, "policy-review")
    before = ada.read(f"projects/{office.project_id}")["policy"]["quarantine_days"]
    ada.press("Change it", within="dialog")
    ada.page.wait_for_selector("dialog", state="detached")
    ada.sees("9 days (its own)")
    changed = ada.read(f"projects/{office.project_id}")

    assert "is not stopped any more" in said
    assert before == 7
    assert (changed["policy"]["quarantine_days"], changed["policy"]["guard"]) == (9, "tell")
    assert {"quarantine_days", "guard"} <= set(changed["policy_own"])


def test_a_wish_is_left_to_the_fleet_again(office, deleted):
    ada = office.ada
    ada.open(f"/projects/{office.project_id}")
    ada.press("Change policy…")
    ada.page.locator("dialog").get_by_label("Keys that Keyturn did not make may be deleted").last.check()
    ada.press("Show what changes", within="dialog")
    ada.sees("yes → as the fleet's policy says", within="dialog")
    ada.press("Change it", within="dialog")
    ada.page.wait_for_selector("dialog", state="detached")

    shown = ada.read(f"projects/{office.project_id}")
    assert "delete_foreign_keys" not in shown["policy_own"]
    assert shown["policy"]["delete_foreign_keys"] is False


def test_a_project_is_acknowledged_until_a_day(office):
    ada = office.ada
    ada.open(f"/projects/{office.project_id}")
    ada.press("Acknowledge until…")
    show(ada, "acknowledge")
    ada.press("Acknowledge", within="dialog")
    ada.sees("quiet until")

    assert ada.read(f"projects/{office.project_id}")["quiet_until"] is not None


def test_what_is_not_there_is_told_in_words(office):
    ada = office.ada
    ada.open("/deletions/nowhere")
    ada.page.wait_for_selector("[role=alert]")
    show(ada, "unknown")

    assert "Keyturn says no:" in ada.page.locator("[role=alert]").inner_text()


def test_the_page_is_used_with_the_keyboard_alone(office):
    ada = office.ada
    ada.open("/")
    ada.page.reload()
    ada.sees("2 projects")
    ada.page.keyboard.press("Tab")
    first = ada.page.evaluate("document.activeElement.textContent")
    ada.page.keyboard.press("Enter")
    skipped_to = ada.page.evaluate("document.activeElement.tagName")
    ada.open(f"/projects/{office.project_id}")
    ada.page.locator("#rotate").focus()
    outline = ada.page.locator("#rotate").evaluate("one => getComputedStyle(one).outlineStyle")
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_selector("dialog[open]")
    ada.page.keyboard.press("Escape")
    ada.page.wait_for_selector("dialog", state="detached")
    back_at = ada.page.evaluate("document.activeElement.id")

    assert (first, skipped_to, outline, back_at) == ("Skip to the content", "H1", "solid", "rotate")


@pytest.fixture
def acted(monkeypatch):
    """A console before an API that answers what a test says."""
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAADA", "AWS_SECRET_ACCESS_KEY": SECRET}.items():
        monkeypatch.setenv(name, value)
    with open_api() as opened:
        opened.api.on("GET /sandbox/clock", {"now": NOW.isoformat()})
        client = Client(find_place(opened.address), Signer(None, "us-east-1"), lambda _seconds: None)
        with open_console(client) as (address, _):
            yield SimpleNamespace(api=opened.api, address=address)
        client.close()


@pytest.fixture
def crowd(browser, acted):
    """Somebody before 5,000 projects, one of which has a name that would be markup."""
    names = ["<img src=x onerror=alert(1)>", *(f"project {number}" for number in range(1, 5000))]
    shapes = [
        project(name=name, project_id=f"{number:024x}") | {"due_at": in_days(number % 90 - 3).isoformat()}
        for number, name in enumerate(names)
    ]
    pages = [shapes[at : at + 100] for at in range(0, 5000, 100)]
    acted.api.on("GET /v1/keys", page(retiring={"keys": 0, "dollars_per_month": 0}))
    acted.api.on(
        "GET /v1/projects",
        *(page(*shown, cursor=None if shown is pages[-1] else str(at)) for at, shown in enumerate(pages)),
    )
    return Person(browser, acted.address)


ROTATION, DELETION, KEY = f"/rotations/{PROJECT}/r1", "/deletions/d1", f"/keys/{OLD.key_id}"
ROTATIONS = f"/v1/projects/{PROJECT}/rotations/r1"


@dataclass(frozen=True, kw_only=True)
class Act:
    """An action: the view and what is shown in it, its buttons, what is written, and what the API is asked for."""

    view: str
    shape: dict
    opens: str
    confirms: str
    call: str
    body: dict | None = None
    writes: tuple[str, str] | None = None


ACTS = {
    "cancel": Act(
        view=ROTATION,
        shape=rotation(),
        opens="Cancel…",
        confirms="Cancel the rotation",
        call=f"POST {ROTATIONS}/cancel",
    ),
    "roll back": Act(
        view=ROTATION,
        shape=rotation(RotationState.DEPLOYING, swapped_at=NOW),
        opens="Roll back…",
        confirms="Roll back",
        call=f"POST {ROTATIONS}/rollback",
    ),
    "approve": Act(
        view=DELETION,
        shape=deletion(),
        opens="Approve…",
        confirms="Approve",
        call="POST /v1/deletions/d1/approval",
        body={"digest": DIGEST},
    ),
    "call off": Act(
        view=DELETION,
        shape=deletion(DeletionState.QUARANTINED),
        opens="Call off…",
        confirms="Call it off",
        call="DELETE /v1/deletions/d1",
    ),
    "attest": Act(
        view=KEY,
        shape=key(),
        opens="Attest…",
        confirms="Attest",
        call=f"POST /v1/keys/{OLD.key_id}/attestation",
        body={"statement": "no copies were made"},
        writes=("In your own words", "no copies were made"),
    ),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_an_action_asks_first_and_then_the_api_once(browser, acted, act):
    acted.api.on(f"GET {ROTATIONS}" if act.view == ROTATION else f"GET /v1{act.view}", act.shape)
    acted.api.on("GET /v1/projects", page(project()))
    acted.api.on(act.call, act.shape, status=202)
    somebody = Person(browser, acted.address)
    somebody.open(act.view)
    somebody.press(act.opens)
    somebody.press("Leave it", within="dialog")
    somebody.press(act.opens)
    if act.writes:
        somebody.fill(*act.writes)
    said = somebody.page.locator("dialog .says").inner_text()
    before = changes(acted.api)
    somebody.press(act.confirms, within="dialog")
    somebody.page.wait_for_selector("dialog", state="detached")

    assert len(said) > 40
    assert before == []
    assert [(asked.call, asked.body) for asked in changes(acted.api)] == [(act.call, act.body)]
    assert somebody.complaints == []


FLEET = show_fleet_version(SimpleNamespace(tracker=FakeTracker()))[1]
PATCHED = FLEET | {"policy": FLEET["policy"] | {"digest_hour": 6}}


@pytest.fixture
def steering(browser, acted):
    """Somebody before the fleet's policy, which has version 3."""
    acted.api.on("GET /v1/policy", FLEET, headers={"ETag": '"3"'})
    somebody = Person(browser, acted.address)
    somebody.open("/policy")
    somebody.press("Change…")
    return SimpleNamespace(person=somebody, api=acted.api)


def test_the_fleets_policy_is_changed_only_where_it_is_still_what_was_read(steering):
    person = steering.person
    steering.api.on("PATCH /v1/policy", PATCHED)
    person.fill("That message is sent from", "6")
    person.press("Show what changes", within="dialog")
    person.sees("that message is sent from: 07:00 UTC → 06:00 UTC", within="dialog")
    person.press("Change it", within="dialog")
    person.page.wait_for_selector("dialog", state="detached")

    show(person, "policy")

    (asked,) = changes(steering.api)
    assert (asked.call, asked.body, asked.headers["If-Match"]) == ("PATCH /v1/policy", {"digest_hour": 6}, '"3"')
    assert person.complaints == []


def test_who_was_too_late_is_told_and_goes_on_with_what_holds_by_now_and_what_they_typed(steering):
    person = steering.person
    steering.api.refuse("PATCH /v1/policy", 412, "the fleet's policy has changed since it was read: read it again")
    person.fill("Quarantine", "9")
    person.press("Show what changes", within="dialog")
    person.press("Change it", within="dialog")
    person.sees("has changed since it was read", within="dialog")
    person.sees("“Go back” shows what holds by now", within="dialog")
    show(person, "policy-too-late")
    steering.api.answers["GET /v1/policy"] = []
    newer = FLEET["policy"] | {"digest": True, "quarantine_days": 8}
    steering.api.on("GET /v1/policy", {"policy": newer}, headers={"ETag": '"4"'})
    steering.api.answers["PATCH /v1/policy"] = []
    steering.api.on("PATCH /v1/policy", PATCHED)
    person.press("Go back", within="dialog")
    person.press("Show what changes", within="dialog")
    person.sees("quarantine: 8 days → 9 days", within="dialog")
    person.press("Change it", within="dialog")
    person.page.wait_for_selector("dialog", state="detached")

    last = changes(steering.api)[-1]
    assert (last.body["quarantine_days"], last.headers["If-Match"]) == (9, '"4"')


def test_a_wish_that_the_api_refuses_is_named_and_can_be_mended(steering):
    person = steering.person
    steering.api.refuse("PATCH /v1/policy", 400, "Expected `str` matching regex - at `$.kms_role_arn`")
    person.fill("Role for keys in another account", "nonsense")
    person.press("Show what changes", within="dialog")
    person.press("Change it", within="dialog")
    person.sees("kms_role_arn", within="dialog")
    person.press("Go back", within="dialog")

    assert person.page.locator("dialog").get_by_label("Role for keys").input_value() == "nonsense"


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [("Days, from the due day", "-30, soon", "whole days with commas"), ("Recipients", "", "Nothing would change")],
)
def test_what_makes_no_sense_asks_for_nothing(steering, label, text, said):
    person = steering.person
    person.fill(label, text)
    person.press("Show what changes", within="dialog")
    person.sees(said, within="dialog")

    assert changes(steering.api) == []


def test_the_policy_is_changed_with_the_keyboard_alone(steering):
    person = steering.person
    steering.api.on("PATCH /v1/policy", PATCHED)
    person.page.locator("dialog").get_by_label("Quarantine").focus()
    person.page.keyboard.press("ControlOrMeta+a")
    person.page.keyboard.type("9")
    person.page.keyboard.press("Enter")
    person.sees("quarantine: 7 days → 9 days", within="dialog")
    person.page.keyboard.press("Tab")
    person.page.keyboard.press("Tab")
    person.page.locator("dialog button[type=submit]").focus()
    person.page.keyboard.press("Enter")
    person.page.wait_for_selector("dialog", state="detached")

    assert [asked.body for asked in changes(steering.api)] == [{"quarantine_days": 9}]
    assert person.page.evaluate("document.activeElement.id") == "change-policy"


def test_a_needed_key_in_danger_is_seen_on_the_fleets_page_in_the_list_and_on_its_own(browser, acted):
    harm = Harm(operation="ScheduleKeyDeletion", actor="mallory", seen_at=NOW, deletion_date=in_days(7))
    going = key(harm=harm)
    named = {name: going[name] for name in ("arn", "key_id", "projects")} | {"warning": going["warnings"][0]}
    acted.api.on("GET /v1/projects", page(project()))
    acted.api.on("GET /v1/keys", page(going, retiring={"keys": 1, "dollars_per_month": 1.0}, endangered=[named]))
    acted.api.on(f"GET {'/v1/keys/' + OLD.key_id}", going)
    acted.api.on(f"GET /v1/projects/{PROJECT}", project())
    acted.api.on("GET /v1/activity", page())
    somebody = Person(browser, acted.address)
    somebody.sees("1 needed key is in danger:")
    show(somebody, "fleet-danger")
    somebody.open("/keys")
    somebody.sees("pending deletion")
    somebody.open(KEY)
    somebody.sees("KMS deletes it on 2027-03-08")
    show(somebody, "key-danger")

    assert somebody.complaints == []


def test_older_entries_follow_when_they_are_asked_for(browser, acted):
    entries = [happened(at=in_days(-number).isoformat(), what=f"step {number}") for number in range(60)]
    acted.api.on("GET /v1/projects", page())
    acted.api.on("GET /v1/keys", page())
    acted.api.on("GET /v1/activity", page(*entries[:5]), page(*entries[:50], cursor="two"), page(*entries[50:]))
    somebody = Person(browser, acted.address)
    somebody.page.wait_for_selector(".lately tbody tr")
    somebody.open("/activity")
    somebody.page.wait_for_selector("#older")
    somebody.press("Older")
    somebody.sees("step 59")

    assert somebody.page.locator("tbody tr").count() == 60
    assert somebody.page.locator("#older").count() == 0
    assert acted.api.asked[-1].query == {"limit": "50", "cursor": "two"}


def happened(**more):
    """An entry of the trail as the API shows it."""
    entry = {"who": "keyturn", "about": "project", "subject": PROJECT, "name": "payments", "why": "", "before": ""}
    return entry | {"after": "deployed", "number": 1, "request_id": ""} | more


def changes(api):
    return [asked for asked in api.asked if not asked.call.startswith("GET ")]


def test_five_thousand_projects_are_paged_filtered_and_shown_a_hundred_at_a_time(crowd):
    rows = crowd.page.locator("tbody tr")
    crowd.sees("5,000 projects: 168 overdue")
    first = rows.count()
    show(crowd, "crowd")
    crowd.press("After")
    crowd.sees("101 to 200 of 5,000")
    crowd.press("overdue")
    crowd.sees("168 of 5,000 projects")
    overdue = set(crowd.page.locator("tbody td.standing").all_inner_texts())
    crowd.page.get_by_label("Filter the projects").fill("<img")
    crowd.sees("1 of 5,000 projects")

    assert (first, overdue) == (100, {"overdue"})
    assert crowd.page.locator("tbody td.name").all_inner_texts() == ["<img src=x onerror=alert(1)>"]
    assert crowd.page.locator("tbody img").count() == 0
    assert crowd.complaints == []


def test_a_console_that_was_ended_is_told_on_the_page(crowd):
    crowd.sees("5,000 projects: 168 overdue")
    crowd.page.route("**/api/**", lambda route: route.abort())
    crowd.open("/keys")

    crowd.sees("is `keyturn console` still running?")


def test_dark_or_light_is_kept(office):
    ada = office.ada
    ada.open("/")
    ada.page.click("#theme")
    ada.page.reload()
    ada.page.wait_for_selector("main h1")
    dark = ada.page.evaluate("getComputedStyle(document.body).backgroundColor")
    ada.page.click("#theme")
    ada.page.click("#theme")

    assert dark == "rgb(17, 22, 21)"
    assert ada.page.locator("#theme").get_attribute("aria-label") == "Theme: system"


def test_the_page_uses_the_words_of_the_command_line(office):
    cases = [
        project(),
        project(drift=("key_invalid", "grant_removed")),
        project(valid=False),
        project(banner="soon"),
        *(project(drift=(code,)) for code in DRIFTS),
        project() | {"due_at": "2027-03-02T09:30:00Z"},
        project() | {"due_at": "2027-02-01T09:30:00Z"},
        project() | {"due_at": "2028-03-01T09:30:00Z"},
        project(open_rotation="r-1"),
        project(not_covered_because="no customer key", covered=()),
        project(quiet_until=NOW.replace(day=9)),
    ]
    times = ["2027-03-01T23:00:00Z", "2027-02-28T23:59:59Z", "2027-03-02T00:00:00+00:00", "2029-01-01T00:00:00"]
    arns = ["arn:aws:iam::1:user/ada", "arn:aws:sts::1:assumed-role/a/b", "arn:aws:iam::1:root", "nobody"]
    policy = Policy(rotation_period_days=1, mode=Mode.ROTATE, guard=GuardMode.TELL, recipients=("a", "b"), digest=True)
    policies = [json.loads(json.dumps(asdict(one))) for one in (policy, Policy())]
    script = """async ([cases, times, arns, at, policies]) => {
        const [own, words] = await Promise.all([import('./standing.js'), import('./words.js')]);
        const policy = await import('./policy.js');
        const now = new Date(at);
        return [
            cases.map((one) => [own.standing(one, now), own.STANDINGS[own.standing(one, now)], own.toKnow(one, now)]),
            times.map((one) => words.distance(one, now)), arns.map(words.who), arns.map(words.keyId),
            [0, 1, 1234].map((one) => words.count(one, 'key')), [0, 1234.5].map(words.dollars),
            [words.listed(['a']), words.listed(['a', 'b', 'c'])],
            policies.map((one) => policy.policyTold(one)),
        ];
    }"""

    said = office.ada.page.evaluate(script, [cases, times, arns, NOW.isoformat(), policies])

    stands = [standing(one, NOW) for one in cases]
    assert said == [
        [[int(at), at.word, to_know(one, NOW)] for at, one in zip(stands, cases, strict=True)],
        [distance(one, NOW) for one in times],
        [who(one) for one in arns],
        [key_id(one) for one in arns],
        [count(one, "key") for one in (0, 1, 1234)],
        [dollars(one) for one in (0, 1234.5)],
        [listed(["a"]), listed(["a", "b", "c"])],
        [policy_told(one, FIELDS) for one in (policy, Policy())],
    ]


def test_the_browser_complains_of_nothing_and_holds_no_secret(office, deleted):
    assert office.ada.complaints + office.grace.complaints == []
    shown = office.ada.page.content() + office.ada.page.evaluate("JSON.stringify({...localStorage})")
    assert not any(one.secret_access_key in shown for one in office.secrets)
