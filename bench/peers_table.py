"""Bench of the peers: a plain script, Cloud Custodian and Keyturn on the same jobs, what each leaves behind counted.

The script and Keyturn work on the sandbox's AWS and Atlas; Custodian, which knows no Atlas, on a moto server that holds
the same keys. What a key is needed for is asked of the pretend Atlas, which alone knows. Custodian needs
`.venv-custodian` (make bench prepares it); where it cannot be had its rows are left out, and that is said.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from gauges.figures import AT_MOST, goal, head, interpreter, row  # noqa: E402 - found by the line above
from journeys import Journey, a_new_key, begin, live_on, made_by_us, orphans  # noqa: E402 - the same
from mortal_ports import Fate  # noqa: E402 - the same
from peers.custodian import (  # noqa: E402 - the same
    Custodian,
    careful_clean_up,
    clean_up_by_age,
    custodian,
    is_there,
    reminder,
    version,
)
from peers.plain_swap import create_and_swap, entered, key_in_settings  # noqa: E402 - the same
from rotation_path import AT_ONCE, FLEET, rotate_fleet  # noqa: E402 - the same

from sandbox.atlas import BackupPolicy, Fault  # noqa: E402 - the same
from sandbox.cast import Stage, stage  # noqa: E402 - the same
from sandbox.gateway import Api  # noqa: E402 - the same
from sandbox.runner import Runner  # noqa: E402 - the same

DAY = timedelta(days=1)
PERIOD, RUNGS, RUNS_A_DAY = 90, (0, 1, 7), 3
PROJECTS, EXTENDED = 5, 2
KEPT, GRACE, WAITED = 7, 7, 30
"""Days: snapshots are kept, Custodian's grace, and from the rotation to the clean-up."""
STEPS = ("create", "alias", "refused", "patch")
PER_AWS_CALL, PER_ATLAS_CALL = 0.020, 0.100
KEYS_SCANNED = 3 * FLEET
NONE, ONE = 0, 1


class Died(Exception):
    """The script is killed."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a clean-up scheduled for deletion: how many keys, and how many of them something needs."""

    keys: int
    needed: int

    def __str__(self) -> str:
        return f"{self.needed} of {self.keys} taken"


# orphans


def too_many_by_script(step: str) -> int:
    """Keys too many after the script died behind a step, or Atlas refused it once, and was run again."""
    with stage(over_the_wire=True) as furnished:
        project = furnished.add_project("payments")
        place = entered(furnished, project)
        before = len(_customer_keys(furnished))

        def die(done: str) -> None:
            if done == step:
                raise Died

        if step == "refused":
            furnished.server.faults.append(Fault(kind="status", method="PATCH", path_pattern="", status=503))
        with _expecting_death():
            create_and_swap(place, per_aws_call=0, per_atlas_call=0, alias=f"alias/atlas/{project}", after=die)
        key = create_and_swap(place, per_aws_call=0, per_atlas_call=0, alias=f"alias/atlas/{project}")
        assert key_in_settings(place) == key
        return len(_customer_keys(furnished)) - before - 1


@contextmanager
def _expecting_death() -> Iterator[None]:
    try:
        yield
    except (Died, OSError):
        return
    raise AssertionError("the script did not die")


def too_many_by_keyturn() -> tuple[int, int]:
    """The most keys too many after a death before or after any call of a rotation; and how many deaths were died."""
    journey, worst, deaths = Journey(begin=a_new_key), 0, 0
    unharmed = begin(journey, Fate())
    live_on(unharmed)
    for number in range(1, unharmed.fate.calls + 1):
        for after in (False, True):
            history = begin(journey, Fate(dies_at=number, after=after))
            live_on(history)
            assert history.fate.deaths == 1
            worst = max(worst, len(made_by_us(history)) - 1, len(orphans(history)))
            deaths += history.fate.deaths
    return worst, deaths


# reminders


def reminders_of_keyturn() -> int:
    """Reminders of one project from its due day to the seventh day after, its schedules firing all the time."""
    with stage(over_the_wire=True) as furnished:
        project = furnished.add_project("payments")
        due = furnished.world.clock.now() + PERIOD * DAY
        runner, _ = furnished.install()
        runner.run_until(due + RUNGS[-1] * DAY + DAY / 2)
        told = [one for one in furnished.world.aws.inbox() if one["attributes"].get("kind") == "reminder"]
        since_due = [one["attributes"] for one in told if datetime.fromisoformat(one["time"]) >= due]
        # One that is long overdue goes to a second topic too.
        return len({one["notice_id"] for one in since_due if one["project_id"] == project})


def reminders_of_script() -> int:
    """The same of a script that mails whenever the key is old enough."""
    with stage(over_the_wire=True) as furnished:
        project = furnished.add_project("payments")
        clock, aws = furnished.world.clock, furnished.world.aws
        began, topic = clock.now(), furnished.world.resources["AlertsTopic"]["arn"]
        sns, kms = aws.client("sns"), aws.client("kms")
        for day in RUNGS:
            clock.advance_to(began + (PERIOD + day) * DAY)
            for _ in range(RUNS_A_DAY):
                made = kms.describe_key(KeyId=str(furnished.atlas.projects[project].key))["KeyMetadata"]["CreationDate"]
                if clock.now() - made.astimezone(UTC) >= PERIOD * DAY:
                    sns.publish(TopicArn=topic, Subject="rotate your key", Message=project)
        return len(aws.inbox())


def reminders_of_custodian(keeper: Custodian) -> tuple[int, int]:
    """The same of Custodian: of one policy that remembers nothing, and of one for each rung that leaves a tag."""
    key, usual, tagged = keeper.add_key("payments"), keeper.add_queue("usual"), keeper.add_queue("tagged")
    for day in RUNGS:
        # The key was made just now: a rung is reached when its threshold is 0 days.
        reached = [rung for rung in RUNGS if rung <= day]
        rungs = [reminder(f"due-{rung}", tagged, older_than=rung - day, once=True) for rung in reached]
        for _ in range(RUNS_A_DAY):
            keeper.run(reminder("due", usual, older_than=-day, once=False), *rungs)
    keeper.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return keeper.notices(usual), keeper.notices(tagged)


# clean-up


@dataclass(kw_only=True)
class Estate:
    """Projects whose keys were replaced, some snapshots of the old ones kept for longer than was planned."""

    furnished: Stage
    runner: Runner
    api: Api
    projects: list[str]
    old: dict[str, str]
    """The former key of each project."""

    def current(self, project: str) -> str:
        """The key that a project's settings name."""
        return str(self.furnished.atlas.projects[project].key)

    def needed(self) -> set[str]:
        """The keys that settings name or a snapshot was made with."""
        held = {one.key_arn for one in self.furnished.atlas.every_snapshot() if one.key_arn is not None}
        return held | {self.current(project) for project in self.projects}

    def ask(self, method: str, target: str, body: object, *, person: int = 0, once: str = "") -> Any:  # noqa: ANN401 - what the API answers is JSON
        """Ask Keyturn's API; `once` names what must not be done twice."""
        caller = self.furnished.world.operators[person].arn
        headers = {"Idempotency-Key": once} if once else {}
        answer = self.api.ask(method, target, body, caller=caller, headers=headers)
        self.runner.settle()
        return answer

    def pending(self) -> set[str]:
        """The customer keys whose deletion is scheduled."""
        return {arn for arn, state in _customer_keys(self.furnished).items() if state == "PendingDeletion"}


@contextmanager
def retired_estate() -> Iterator[Estate]:
    """Rotated by Keyturn on the first day; on the second some old snapshots are kept for much longer."""
    with stage(over_the_wire=True) as furnished:
        names = [furnished.add_project(f"project-{number}") for number in range(PROJECTS)]
        for name in names:
            daily = BackupPolicy(kind="daily", keep=KEPT * DAY)
            furnished.atlas.add_cluster(name, "ledger", policies=(daily,))
        furnished.let_atlas_live(furnished.world.clock.now() + KEPT * DAY)
        old = {name: str(furnished.atlas.projects[name].key) for name in names}
        runner, api = furnished.install()
        estate = Estate(furnished=furnished, runner=runner, api=api, projects=names, old=old)
        runner.run_until(furnished.world.clock.now() + DAY)
        for name in names:
            estate.ask("PATCH", f"/v1/projects/{name}/policy", {"delete_foreign_keys": True})
            target = f"/v1/projects/{name}/rotations"
            assert estate.ask("POST", target, {"reason": "due"}, once=name).status == HTTPStatus.ACCEPTED
        runner.run_until(furnished.world.clock.now() + DAY)
        for name in names[:EXTENDED]:
            last = max(
                (one for one in furnished.atlas.every_snapshot() if one.key_arn == old[name]),
                key=lambda one: one.expires_at,
            )
            furnished.atlas.extend_retention(last.snapshot_id, days=10 * WAITED)
        runner.run_until(furnished.world.clock.now() + WAITED * DAY)
        assert all(estate.current(name) != old[name] for name in names)
        assert len(set(old.values()) & estate.needed()) == EXTENDED
        yield estate


def clean_up_by_keyturn(estate: Estate) -> Taken:
    """Two people ask for the deletion of every old key; its quarantine passes."""
    for name in estate.projects:
        key = estate.old[name].rpartition("/")[2]
        asked = estate.ask("POST", f"/v1/keys/{key}/deletion", {"reason": "old"})
        if asked.status == 202:  # noqa: PLR2004 - accepted
            said = asked.json()
            approval = f"/v1/deletions/{said['deletion_id']}/approval"
            estate.ask("POST", approval, {"digest": said["digest"]}, person=1)
    estate.runner.run_until(estate.furnished.world.clock.now() + (GRACE + 1) * DAY)
    taken = estate.pending()
    return Taken(keys=len(taken), needed=len(taken & estate.needed()))


def clean_up_by_script(estate: Estate) -> Taken:
    """Every key that no settings name and that is older than snapshots are kept; nobody is there to call it off."""
    kms, now = estate.furnished.world.aws.client("kms"), estate.furnished.world.clock.now()
    current, taken = {estate.current(name) for name in estate.projects}, set[str]()
    for arn, state in _customer_keys(estate.furnished).items():
        made = kms.describe_key(KeyId=arn)["KeyMetadata"]["CreationDate"].astimezone(UTC)
        if arn not in current and now - made > 2 * KEPT * DAY:
            taken.add(arn)
            if state == "Enabled":  # the others are on their way already
                kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=30)
    assert estate.pending() == taken
    return Taken(keys=len(taken), needed=len(taken & estate.needed()))


def clean_up_by_custodian(estate: Estate, keeper: Custodian, *, careful: bool) -> Taken:
    """The same keys on moto, under the policy that is written most or under the most careful one."""
    retired = (datetime.now(tz=UTC) - WAITED * DAY).isoformat()
    mirrored: dict[str, str] = {}
    for name in estate.projects:
        alias = f"alias/atlas/{name}/{'careful' if careful else 'plain'}"
        mirrored[keeper.add_key(name, alias)] = estate.current(name)
        mirrored[keeper.add_key(name, retired_at=retired)] = estate.old[name]
    if careful:
        mark, go = careful_clean_up(2 * KEPT, GRACE)
        keeper.run(mark)
        keeper.run(go)
    else:
        keeper.run(clean_up_by_age(2 * KEPT - WAITED))
    taken = {arn for key, arn in mirrored.items() if keeper.state(key) == "PendingDeletion"}
    for key in mirrored:
        if keeper.state(key) != "PendingDeletion":
            keeper.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return Taken(keys=len(taken), needed=len(taken & estate.needed()))


# seconds


def seconds_of_script() -> float:
    """The script for a fleet, one project after another, as it is written; with the latencies of P5."""
    with stage(over_the_wire=True) as furnished:
        places = [entered(furnished, furnished.add_project(f"project-{number}")) for number in range(FLEET)]
        begun = time.perf_counter()
        keys = [create_and_swap(one, per_aws_call=PER_AWS_CALL, per_atlas_call=PER_ATLAS_CALL) for one in places]
        seconds = time.perf_counter() - begun
        assert [key_in_settings(place) for place in places] == keys
        return seconds


def seconds_of_custodian(keeper: Custodian) -> float:
    """One run over the keys of such a fleet, which finds all of them and changes none."""
    for number in range(KEYS_SCANNED):
        keeper.add_key(f"project-{number}")
    seconds = keeper.run({"name": "scan", "resource": "aws.kms-key", "filters": []})
    assert keeper.matched("scan") >= KEYS_SCANNED
    return seconds


def _customer_keys(furnished: Stage) -> dict[str, str]:
    """The state of each customer key, by ARN."""
    kms = furnished.world.aws.client("kms")
    found = [key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]]
    described = [kms.describe_key(KeyId=key)["KeyMetadata"] for key in found]
    return {one["Arn"]: one["KeyState"] for one in described if one["KeyManager"] == "CUSTOMER"}


CANNOT = "cannot: knows no Atlas"
LIMITS = (
    "Custodian cannot say: which key Atlas' settings name (an alias has to), which snapshots need a key (a tag with a"
    " date has to, which a longer retention does not move), that a reminder was acknowledged, that a swap has reached"
    " every cluster; a run after missed days sends each rung by itself"
)
NOT_TRIED = (
    "Custodian's filter last-usage is not tried: moto has no GetKeyLastUsage, and a key that only snapshots need is"
    " used by nobody until a restore"
)


def main() -> None:
    """Each job by each, and one table."""
    logging.disable(logging.CRITICAL)
    known = version() if is_there() else "not to be had here"
    print(f"Peers: a plain script, Cloud Custodian ({known}) and Keyturn on the same jobs; {interpreter()}")
    by_script = {step: too_many_by_script(step) for step in STEPS}
    worst, deaths = too_many_by_keyturn()
    told = {"Keyturn": reminders_of_keyturn(), "script": reminders_of_script()}
    with retired_estate() as estate:
        ours = clean_up_by_keyturn(estate)
        rows = _rows_of_custodian(estate) if is_there() else ([], [])
        script = clean_up_by_script(estate)  # the last, for it does what the others must not find done
    seconds = {"script": seconds_of_script(), "Keyturn": rotate_fleet()}
    names = (
        "keys too many after a crash and another run",
        f"reminders on due days {', '.join(f'+{rung}' for rung in RUNGS)}, {RUNS_A_DAY} runs each",
        f"needed keys taken by a clean-up, {EXTENDED} of {PROJECTS} old ones and {PROJECTS} current ones being needed",
        f"seconds for {FLEET} projects",
    )
    print(head("", *names))
    crashes = ", ".join(f"{step} {count}" for step, count in by_script.items())
    print(row("plain script", crashes, told["script"], script, f"{seconds['script']:.1f}, one after another"))
    for cells in rows[0]:
        print(row(*cells))
    mine = f"{worst} (the most of {deaths} deaths)"
    print(row("Keyturn", mine, told["Keyturn"], ours, f"{seconds['Keyturn']:.1f}, {AT_ONCE} at once, with every check"))
    for line in rows[1] or ["Custodian is not to be had here: its rows are left out"]:
        print(line)
    print(goal("keys too many after any crash", worst, AT_MOST, NONE, digits=0))
    print(goal("reminders / rungs owed", told["Keyturn"] / len(RUNGS), AT_MOST, ONE))
    print(goal("needed keys taken", ours.needed, AT_MOST, NONE, digits=0))
    assert told["Keyturn"] >= len(RUNGS), told
    assert ours.keys == PROJECTS - EXTENDED, ours


def _rows_of_custodian(estate: Estate) -> tuple[list[tuple[object, ...]], list[str]]:
    with custodian() as keeper:
        usual, tagged = reminders_of_custodian(keeper)
        taken = {careful: clean_up_by_custodian(estate, keeper, careful=careful) for careful in (False, True)}
        scan = f"{seconds_of_custodian(keeper):.1f} to list {KEYS_SCANNED} keys; swaps nothing"
    plain = ("Custodian, the usual policies", CANNOT, usual, taken[False], scan)
    best = ("Custodian, tags and mark-for-op", CANNOT, tagged, taken[True], "the same")
    return [plain, best], [LIMITS, NOT_TRIED]


if __name__ == "__main__":
    main()
