"""`keyturn status`, `projects`, `project` and `ack`: what an operator sees of the fleet."""

import json
from datetime import timedelta
from email.utils import format_datetime

import pytest
from fake_api import NEW, NOW, OLD, PROJECT, in_days, key, open_api, page, project

from chalicelib.domain.records import Policy, Uncovered
from chalicelib.domain.vocabulary import Mode
from cli.standing import Standing, standing, worst_first
from cli.words import distance

STATUS, KEYS = "GET /v1/projects", "GET /v1/keys"
RETIRING = {"keys": 3, "dollars_per_month": 3.0}
GOING = {
    "arn": str(OLD),
    "key_id": OLD.key_id,
    "projects": [PROJECT],
    "warning": {"kind": "deletion_scheduled_outside", "text": "KMS deletes it on 2027-03-08", "at": None},
}


@pytest.fixture
def desk():
    with open_api() as opened:
        opened.api.on(KEYS, page(key(), retiring=RETIRING))
        yield opened


def test_status_says_in_a_sentence_how_the_fleet_stands(desk):
    overdue = project(name="late", key_since=in_days(-100))
    desk.api.on(STATUS, page(project(), overdue, project(name="hurt", drift=("grant_removed",))))

    told = desk.keyturn("status")

    assert told.exit_code == 0
    assert told.stdout.startswith(
        "3 projects: 1 in trouble, 1 overdue and 1 fine.\n3 old keys are kept, for $3.00 a month."
    )


def test_status_shows_the_worst_first(desk):
    late = project(name="late", key_since=in_days(-100))
    hurt = project(name="hurt", drift=("grant_removed",))
    desk.api.on(STATUS, page(project(name="calm"), late, hurt))

    lines = desk.keyturn("status").stdout.splitlines()

    assert [line[12:16] for line in lines if PROJECT in line] == ["hurt", "late", "calm"]
    assert "the key's policy does not let Atlas' role use it any more" in " ".join(lines)


def test_status_shows_no_more_than_was_asked_for_and_says_so(desk):
    desk.api.on(STATUS, page(*(project(name=f"p{n}") for n in range(5))))

    told = desk.keyturn("status", "--top", "2").stdout

    assert told.count(PROJECT) == 2
    assert "and 3 projects more that stand no worse: --top 5" in told


def test_a_fleet_that_nobody_has_discovered_yet_is_explained(desk):
    desk.api.on(STATUS, page())

    assert "discovery runs once a day" in desk.keyturn("status").stdout


def test_every_page_is_read(desk):
    desk.api.on(STATUS, page(project(name="a"), cursor="two"), page(project(name="b"), cursor="three"), page(project()))

    shown = json.loads(desk.keyturn("projects", "--json").stdout)

    assert [one["name"] for one in shown["items"]] == ["a", "b", "payments"]
    assert [asked.query for asked in desk.api.asked] == [{}, {"cursor": "two"}, {"cursor": "three"}]


def test_json_is_what_the_api_said(desk):
    desk.api.on(f"{STATUS}/{PROJECT}", project())

    assert json.loads(desk.keyturn("project", PROJECT, "--json").stdout) == json.loads(json.dumps(project()))


def test_status_as_json_is_the_fleet_and_what_old_keys_cost(desk):
    desk.api.on(STATUS, page(project()))

    shown = json.loads(desk.keyturn("status", "--json").stdout)

    assert shown == json.loads(json.dumps(page(project(), retiring=RETIRING, endangered=[])))


def test_a_project_is_told_with_its_banner_and_what_is_not_covered(desk):
    shape = project(
        banner="key rotation is being deployed",
        drift=("key_changed_by_hand", "never_heard_of"),
        not_covered=(Uncovered(name="toys", reason="M0 has no customer keys"),),
        policy=Policy(rotation_period_days=60),
    )
    desk.api.on(f"{STATUS}/{PROJECT}", shape)

    told = desk.keyturn("project", PROJECT).stdout

    assert "key rotation is being deployed" in told
    assert "- its key was changed outside Keyturn" in told
    assert "- never heard of" in told
    assert "- toys: M0 has no customer keys" in told
    assert "2027-04-30 (in 60 days)" in told
    assert "every 60 days, remind, new-cmk" in told


def test_a_name_can_neither_command_the_terminal_nor_be_taken_for_markup(desk):
    desk.api.on(f"{STATUS}/{PROJECT}", project(name="[red]\x1b]0;owned\x07"))

    told = desk.keyturn("project", PROJECT).stdout

    assert "[red]" in told
    assert "\x1b" not in told
    assert "\x07" not in told


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("14d", "2027-03-15T09:30:00+00:00"),
        ("2027-04-01", "2027-04-01T00:00:00+00:00"),
        ("2027-04-01T12:00:00+02:00", "2027-04-01T12:00:00+02:00"),
    ],
)
def test_an_acknowledgement_is_quiet_until_a_moment_in_any_of_three_writings(desk, written, sent):
    desk.api.on(f"POST /v1/projects/{PROJECT}/acknowledgement", project(quiet_until=in_days(14)))

    told = desk.keyturn("ack", PROJECT, "--until", written, "--comment", "after the release")

    assert desk.api.asked[-1].body == {"until": sent, "comment": "after the release"}
    assert "2027-03-15" in told.stdout


@pytest.mark.parametrize(
    ("mode", "days", "told"),
    [
        (Mode.ROTATE, 14, "2027-03-15; the rotation that the policy makes waits until then"),
        (Mode.ROTATE, -1, "2027-02-28"),
        (Mode.REMIND, 14, "2027-03-15"),
    ],
)
def test_who_asks_for_silence_is_told_that_a_rotation_by_policy_waits_too(desk, mode, days, told):
    answer = project(quiet_until=in_days(days), policy=Policy(mode=mode))
    desk.api.on(f"POST /v1/projects/{PROJECT}/acknowledgement", answer)

    shown = desk.keyturn("ack", PROJECT, "--until", "14d").stdout

    assert told in shown
    assert ("waits until then" in shown) == ("waits" in told)


def test_days_of_silence_are_counted_from_the_apis_today(desk):
    desk.api.on("GET /v1/health", {}, headers={"Date": format_datetime(in_days(80), usegmt=True)})
    desk.api.on(f"POST /v1/projects/{PROJECT}/acknowledgement", project(quiet_until=in_days(94)))

    desk.keyturn("ack", PROJECT, "--until", "14d")

    assert desk.api.asked[-1].body["until"] == in_days(94).isoformat()


def test_a_moment_that_is_none_is_called_wrongly_and_nothing_is_asked(desk):
    told = desk.keyturn("ack", PROJECT, "--until", "soon")

    assert told.exit_code == 2
    assert "`soon` is neither a date" in told.stderr
    assert not desk.api.asked


def test_a_silence_that_is_over_is_not_told(desk):
    desk.api.on(STATUS, page(project(quiet_until=in_days(-1)), project(quiet_until=in_days(1))))

    told = desk.keyturn("projects").stdout

    assert "quiet until 2027-03-02" in told
    assert told.count("quiet until") == 1


@pytest.mark.parametrize(
    ("wishes", "stands"),
    [
        ({"drift": ("encryption_disabled",)}, Standing.TROUBLE),
        ({"valid": False}, Standing.TROUBLE),
        ({"banner": "deploying", "key_since": in_days(-100)}, Standing.DEPLOYING),
        ({"key_since": in_days(-91)}, Standing.OVERDUE),
        ({"key_since": in_days(-90) - timedelta(seconds=1)}, Standing.OVERDUE),
        ({"key_since": in_days(-90)}, Standing.DUE_SOON),
        ({"open_rotation": "r1"}, Standing.ROTATING),
        ({"open_rotation": "r1", "key_since": in_days(-91)}, Standing.OVERDUE),
        ({"key_since": in_days(-60)}, Standing.DUE_SOON),
        ({"key_since": in_days(-59)}, Standing.FINE),
        ({"key": None, "key_since": None, "not_covered_because": "M0"}, Standing.NOT_COVERED),
        ({"key": None, "key_since": None}, Standing.FINE),
    ],
)
def test_a_projects_standing(wishes, stands):
    assert standing(project(**wishes), NOW) is stands


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0, "today"), (14, "today"), (15, "in 1 day"), (39, "in 2 days"), (-9, "today"), (-10, "1 day ago")],
)
def test_a_distance_is_counted_in_days_of_the_calendar(hours, said):
    assert distance((NOW + timedelta(hours=hours)).isoformat(), NOW) == said


def test_among_equals_the_one_that_is_due_first_comes_first():
    later, sooner = project(name="a", key_since=in_days(-91)), project(name="b", key_since=in_days(-95))

    assert [one["name"] for one in worst_first([later, sooner], NOW)] == ["b", "a"]


def test_a_changed_key_is_the_one_shown(desk):
    desk.api.on(f"{STATUS}/{PROJECT}", project(key=NEW))

    assert str(NEW) in desk.keyturn("project", PROJECT).stdout


def test_the_alert_of_atlas_is_set_and_its_blindness_named(desk):
    said = {"project_id": PROJECT, "before_days": 90, "after_days": 120, "changed": True, "note": "Atlas knows nothing"}
    desk.api.on(f"POST /v1/projects/{PROJECT}/atlas-threshold", said)

    told = desk.keyturn("threshold", PROJECT)

    assert told.exit_code == 0
    assert "comes after 120 days; it came after 90 days before" in told.stdout
    assert "Atlas knows nothing" in told.stdout


def test_the_help_of_threshold_names_what_atlas_does_not_see(desk):
    assert "kms-automatic" in desk.keyturn("threshold", "--help").stdout


def test_days_are_counted_by_the_apis_clock_where_it_tells_it(desk):
    ahead = format_datetime(in_days(80), usegmt=True)
    desk.api.on(STATUS, page(project()), headers={"Date": ahead})
    desk.api.on(KEYS, page(key(), retiring=RETIRING), headers={"Date": ahead})

    told = desk.keyturn("projects").stdout

    assert "in 10 days" in told


@pytest.mark.parametrize("date", ["", "soon", "Mon, 32 Mar 2027 09:30:00 GMT"])
def test_a_date_that_nobody_can_read_leaves_the_days_to_the_own_clock(desk, date):
    desk.api.on(STATUS, page(project()), headers={"Date": date})

    assert "in 90 days" in desk.keyturn("projects").stdout


# ---- a project by its name ----

OTHER = "64b0c0c0c0c0c0c0c0c0c0c9"


@pytest.mark.parametrize("word", ["payments", "PayMents", PROJECT])
def test_a_project_is_named_by_its_id_or_by_its_name_in_any_case(desk, word):
    desk.api.on(STATUS, page(project(name="payments-test", project_id=OTHER), project()))
    desk.api.on(f"{STATUS}/{PROJECT}", project())

    told = desk.keyturn("project", word)

    assert (told.exit_code, PROJECT in told.stdout) == (0, True)


def test_an_id_asks_for_nothing_but_the_project(desk):
    desk.api.on(f"{STATUS}/{PROJECT}", project())

    desk.keyturn("project", PROJECT)

    assert desk.api.calls == [f"{STATUS}/{PROJECT}"]


def test_a_name_is_looked_for_in_the_whole_fleet_and_each_page_is_read_once(desk):
    desk.api.on(STATUS, page(project(), cursor="two"), page(project(name="other", project_id=OTHER)))
    desk.api.on(f"{STATUS}/{PROJECT}", project())

    desk.keyturn("project", "payments")

    assert desk.api.calls == [STATUS, STATUS, f"{STATUS}/{PROJECT}"]


def test_a_name_that_two_projects_have_is_refused_with_the_ids_of_both(desk):
    desk.api.on(STATUS, page(project(), cursor="two"), page(project(name="Payments", project_id=OTHER)))

    told = desk.keyturn("project", "payments")

    assert told.exit_code == 2
    assert "2 projects are called `payments`" in told.stderr
    assert PROJECT in told.stderr
    assert OTHER in told.stderr


def test_a_name_that_nobody_has_is_told_and_where_names_stand(desk):
    desk.api.on(STATUS, page(project()))

    told = desk.keyturn("project", "payment")

    assert told.exit_code == 1
    assert "No project has the id or the name `payment`: `keyturn projects` lists them all." in told.stderr


def test_what_is_the_id_of_one_project_and_the_name_of_another_is_the_id(desk):
    desk.api.on(STATUS, page(project(project_id="blue"), project(name="blue", project_id=OTHER)))
    desk.api.on(f"{STATUS}/blue", project(project_id="blue"))

    desk.keyturn("project", "blue")

    assert desk.api.calls == [STATUS, f"{STATUS}/blue"]


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["policy", "payments"], f"GET /v1/projects/{PROJECT}"),
        (["threshold", "payments"], f"POST /v1/projects/{PROJECT}/atlas-threshold"),
        (["ack", "payments", "--until", "2027-04-01"], f"POST /v1/projects/{PROJECT}/acknowledgement"),
        (["rotate", "payments", "--dry-run"], f"POST /v1/projects/{PROJECT}/rotations"),
        (["rotations", "payments"], f"GET /v1/projects/{PROJECT}/rotations"),
        (["rotation", "payments", "r1"], f"GET /v1/projects/{PROJECT}/rotations/r1"),
        (["rollback", "payments", "r1"], f"POST /v1/projects/{PROJECT}/rotations/r1/rollback"),
        (["cancel", "payments", "r1"], f"POST /v1/projects/{PROJECT}/rotations/r1/cancel"),
        (["evidence", "payments"], f"GET /v1/projects/{PROJECT}/evidence"),
        (["rehearse", "payments"], f"GET /v1/projects/{PROJECT}/rehearsal"),
    ],
    ids=lambda one: one[0] if isinstance(one, list) else "",
)
def test_every_command_about_a_project_takes_its_name(desk, words, call):
    desk.api.on(STATUS, page(project()))
    desk.api.refuse(call, 409, "it was asked")

    desk.keyturn(*words)

    assert desk.api.calls == [STATUS, call]


# ---- what must not be overlooked ----


def test_status_says_which_needed_keys_are_in_danger(desk):
    desk.api.answers.clear()
    desk.api.on(STATUS, page(project()))
    desk.api.on(KEYS, page(key(), retiring=RETIRING, endangered=[GOING] * 7))

    told = desk.keyturn("status").stdout

    assert "7 needed keys are in danger:" in told
    assert f"- {OLD.key_id}: KMS deletes it on 2027-03-08" in told
    assert "and 2 keys more: `keyturn keys`" in told


def test_status_says_nothing_of_danger_where_there_is_none(desk):
    desk.api.on(STATUS, page(project()))

    assert "danger" not in desk.keyturn("status").stdout


# ---- what happened ----

ENTRY = {
    "at": "2027-03-01T09:30:00Z",
    "who": "arn:aws:iam::123456789012:user/ada",
    "what": "policy changed",
    "about": "project",
    "subject": PROJECT,
    "name": "payments",
    "why": "",
    "before": "quarantine: 7 days",
    "after": "quarantine: 9 days",
    "number": 1,
    "request_id": "r",
}


def test_activity_tells_who_did_what_to_which_project_and_what_it_changed(desk):
    desk.api.on("GET /v1/activity", page(ENTRY))

    told = desk.keyturn("activity").stdout

    assert "2027-03-01 09:30" in told
    assert [part for part in ("ada", "policy changed", "payments") if part not in told] == []
    assert "quarantine: 7 days -> quarantine: 9 days" in " ".join(told.split())


def test_a_key_in_what_happened_is_told_by_its_id(desk):
    desk.api.on("GET /v1/activity", page(ENTRY | {"what": "settings changed", "before": str(OLD), "after": str(NEW)}))

    told = " ".join(desk.keyturn("activity", COLUMNS="240").stdout.split())

    assert f"{OLD.key_id} -> {NEW.key_id}" in told


def test_activity_reads_no_more_pages_than_it_shows(desk):
    desk.api.on("GET /v1/activity", page(*[ENTRY] * 100, cursor="two"), page(*[ENTRY] * 100, cursor="three"))

    shown = json.loads(desk.keyturn("activity", "--last", "150", "--json").stdout)

    assert len(shown["items"]) == 150
    assert [asked.query for asked in desk.api.asked] == [{"limit": "100"}, {"limit": "100", "cursor": "two"}]


def test_where_nothing_has_happened_activity_says_so(desk):
    desk.api.on("GET /v1/activity", page())

    assert "Nothing has happened yet." in desk.keyturn("activity").stdout
