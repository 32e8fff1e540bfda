"""Bench of a whole cycle (P1): what a key's 90 days take in calls, bytes and dollars, beside a daily script.

The real functions live through the cycle in the sandbox, metered: a project rotates its key, the old key drains, two
people have it deleted. Beside it, on the same pretend Atlas: the script of the documentation, once a day. Fleets of two
sizes are metered, and a straight line through them gives larger ones. Prices and assumptions: bench/prices.toml.
"""

import base64
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cold_start import BUILD, measure, programs  # noqa: E402 - found by the line above
from gauges.dollars import Prices, Units, of_fleet, read_prices  # noqa: E402 - found by the line above
from gauges.figures import AT_MOST, goal, head, interpreter, row, slope  # noqa: E402 - the same
from gauges.metered_stack import API, Installed, Use, metered_stack  # noqa: E402 - the same
from peers.docs_script import read_snapshots  # noqa: E402 - the same

from package.template import read  # noqa: E402 - the same
from sandbox.atlas import BackupPolicy  # noqa: E402 - the same
from sandbox.cast import Stage, stage  # noqa: E402 - the same
from sandbox.rhythms import rates  # noqa: E402 - the same

DAY = timedelta(days=1)
CYCLE, MONTH = 90, 30
CLUSTERS, SNAPSHOTS = 5, 198
EVERY_FOUR_HOURS = BackupPolicy(kind="hourly", every=4, keep=timedelta(hours=4 * SNAPSHOTS))
FLEETS, SHOWN = (1, 2), (1, 100, 10_000)
MOST_CALLS, MOST_BYTES, MOST_SLOPE = 1 / 8, 1 / 14, 1.0
MEMORY: int = json.loads((ROOT / ".chalice" / "config.json").read_text(encoding="utf-8"))["lambda_memory_size"]
PROVING = "to know when the key is free: sweeps, events"
LOOKING, DELETING = "the daily look: settings, clusters, role, alert", "deletions: a proof a day till KMS has deleted"
PURPOSES = {
    **dict.fromkeys(("announce", "digest", "guard", "patrol", "relay", "remind", "track"), "else"),
    "sweep": PROVING,
    "discover": LOOKING,
    "retire": DELETING,
    API: "the rotation and the API's previews",
    "preview": "the rotation and the API's previews",
    "rotate": "the rotation and the API's previews",
    "watch": "our own credentials, daily, whatever the number of projects",
}
QUEUES_POLLED = 2
"""The event source mappings of rotate and sweep."""
KILO = 1000


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What one cycle of a fleet took, by function, and what the daily script took beside it."""

    projects: int
    uses: Mapping[str, Use]
    deleted: int
    key_days: int
    """Each day each key that is charged for."""
    metrics: int
    naive_calls: int
    naive_sent: int
    naive_items: int

    def of_atlas(self) -> dict[str, tuple[int, int]]:
        """Calls to Atlas (tokens included) and bytes of its answers by purpose; events without bytes."""
        found: dict[str, tuple[int, int]] = dict.fromkeys(PURPOSES.values(), (0, 0))
        for name, use in self.uses.items():
            calls, sent = found[PURPOSES[name]]
            found[PURPOSES[name]] = calls + use.atlas_calls - use.events_calls, sent + use.sent
            proofs, of_proofs = found[PROVING]
            found[PROVING] = proofs + use.events_calls, of_proofs
        return found


def live(projects: int, prices: Prices) -> Cycle:
    """A cycle of a fleet; that every key was replaced, and every old one deleted, is asserted."""
    with stage(over_the_wire=True) as furnished:
        names = [furnished.add_project(f"project-{number}") for number in range(projects)]
        for name in names:
            for number in range(CLUSTERS):
                furnished.atlas.add_cluster(name, f"cluster-{number}", policies=(EVERY_FOUR_HOURS,))
        furnished.let_atlas_live(furnished.world.clock.now() + EVERY_FOUR_HOURS.keep + DAY)
        with metered_stack(furnished, idle=prices.assumed["idle_seconds"]) as installed:
            installed.runner.run_until(furnished.world.clock.now() + DAY)
            for name in names:  # the first keys are people's own
                policy = {"delete_foreign_keys": True}
                assert installed.ask("PATCH", f"/v1/projects/{name}/policy", policy, person=0).status == 200  # noqa: PLR2004 - done
            installed.runner.uses.clear()
            return _live(furnished, installed, names)


def _live(furnished: Stage, installed: Installed, names: list[str]) -> Cycle:
    runner, clock = installed.runner, furnished.world.clock
    keys = {name: furnished.atlas.projects[name].key for name in names}
    for name in names:
        asked = installed.ask(
            "POST", f"/v1/projects/{name}/rotations", {"reason": "due"}, person=0, **{"Idempotency-Key": name}
        )
        assert asked.status == 202, asked.body  # noqa: PLR2004 - accepted
    naive, key_days = Counter[str](), 0
    deleted, asked_for = set[str](), set[str]()
    for _ in range(CYCLE):
        runner.run_until(clock.now() + DAY)
        deleted |= _delete_free_keys(furnished, installed, asked_for)
        key_days += _charged(furnished)
        naive += _read_naively(furnished, names[0])
    assert not runner.failures, runner.failures
    assert all(furnished.atlas.projects[name].key != keys[name] for name in names)
    assert len(deleted) == len(names), deleted
    return Cycle(
        projects=len(names),
        uses=_with_quiet_firings(installed),
        deleted=len(deleted),
        key_days=key_days,
        metrics=len(runner.metrics),
        **{f"naive_{name}": count * len(names) for name, count in naive.items()},
    )


def _delete_free_keys(furnished: Stage, installed: Installed, asked_for: set[str]) -> set[str]:
    """One of two people asks for the deletion of each key that may go, the other approves; gives those on the way."""
    heard = [message["attributes"] for message in furnished.world.aws.inbox()]
    told = {one["key_id"] for one in heard if one.get("kind") == "key_safe"}
    for key in told - asked_for:
        answer = installed.ask("POST", f"/v1/keys/{key}/deletion", {"reason": "free"}, person=0)
        assert answer.status == 202, answer.body  # noqa: PLR2004 - accepted
        asked = answer.json()
        approval = f"/v1/deletions/{asked['deletion_id']}/approval"
        approved = installed.ask("POST", approval, {"digest": asked["digest"]}, person=1)
        assert approved.status // 100 == 2, approved.body  # noqa: PLR2004 - the class of success
        asked_for.add(key)
    return {one["key_id"] for one in heard if one.get("kind") == "deletion_scheduled"}


def _charged(furnished: Stage) -> int:
    """Customer keys that are charged for now."""
    kms = furnished.world.aws.client("kms")
    names = [key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]]
    described = [kms.describe_key(KeyId=name)["KeyMetadata"] for name in names]
    return sum(one["KeyManager"] == "CUSTOMER" and one["KeyState"] != "PendingDeletion" for one in described)


def _token(furnished: Stage) -> str:
    client_id, secret = furnished.world.place.reader
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    request = Request(f"{furnished.server.address}/api/oauth/token", b"grant_type=client_credentials", headers)
    with urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["access_token"])


def _read_naively(furnished: Stage, name: str) -> Counter[str]:
    """The documented script for one project, to be taken for each: it knows no other way. It sees every snapshot."""
    server, read_before = furnished.server, furnished.server.calls.total()
    sent_before, port = server.sent, urlsplit(server.address).port
    assert port is not None
    token = _token(furnished)
    items = len(read_snapshots(port, name, token=token))
    low, high = (about * CLUSTERS for about in (SNAPSHOTS - 1, SNAPSHOTS + 2))
    assert low <= items <= high, (low, items, high)
    calls = server.calls.total() - read_before
    return Counter({"calls": calls, "sent": server.sent - sent_before, "items": items})


def _with_quiet_firings(installed: Installed) -> dict[str, Use]:
    """What was metered, and the firings that the runner left out because they would have found nothing."""
    uses = dict(installed.runner.uses)
    idle = installed.runner.idle
    quiet = installed.runner.fire_every_schedule()
    for name, rate in rates().items():
        left_out = CYCLE * DAY // rate - uses[name].invocations
        one = quiet[name]
        one.cold = int(rate > idle)
        uses[name].add(one, max(0, left_out))
        if rate <= idle:
            uses[name].cold = 1  # the firings that were left out had kept it warm
    return uses


def lambda_seconds(use: Use, prices: Prices, start: float) -> float:
    """Seconds that are charged: starts, the processor's share, and calls one after another, which is the most."""
    assumed = prices.assumed
    share = assumed["processor_megabytes"] / MEMORY
    waits = use.atlas_calls * assumed["atlas_call_seconds"] + use.aws_calls.total() * assumed["aws_call_seconds"]
    return use.cold * start * share + use.processor_seconds * share + waits


def monthly_units(cycle: Cycle, prices: Prices, start: float) -> Units:
    """Everything that AWS charges for in a month, but for the keys."""
    total = Use()
    for use in cycle.uses.values():
        total.add(use)
    calls, assumed, minutes = total.aws_calls, prices.assumed, MONTH * 24 * 60
    seconds = sum(lambda_seconds(use, prices, start) for use in cycle.uses.values())
    logs = total.log_bytes + total.invocations * assumed["platform_log_bytes"]
    metered = {
        "lambda_gb_second": seconds * MEMORY / 1024,
        "lambda_request": total.invocations,
        "dynamodb_write_unit": total.write_units,
        "dynamodb_read_unit": total.read_units,
        "sqs_request": 3 * calls["sqs"],
        "sns_publish": calls["sns"],
        "sns_email": calls["sns"] * assumed["emails_for_each_message"],
        "eventbridge_event": calls["events"],
        "api_request": cycle.uses[API].invocations,
        "kms_request": calls["kms"],
        "secret_request": calls["secretsmanager"],
        "log_gb": logs / 1e9,
    }
    resources = Counter(one.get("Type") for one in read(ROOT / ".chalice" / "resources.yaml")["Resources"].values())
    standing = {
        "secret_month": 1,
        "metric_month": cycle.metrics,
        "alarm_month": resources["AWS::CloudWatch::Alarm"],
        "dashboard_month": resources["AWS::CloudWatch::Dashboard"],
    }
    a_month = {name: count * MONTH / CYCLE for name, count in metered.items()}
    a_month["sqs_request"] += QUEUES_POLLED * assumed["poller_requests_a_minute"] * minutes
    return a_month | standing


def naive_units(cycle: Cycle, prices: Prices, start: float) -> Units:
    """A script in one Lambda a day that keeps an item for each snapshot: the same charges for what it does."""
    days = CYCLE
    waits = cycle.naive_calls * prices.assumed["atlas_call_seconds"]
    starts = days * start * prices.assumed["processor_megabytes"] / MEMORY
    metered = {
        "lambda_gb_second": (waits + starts) * MEMORY / 1024,
        "lambda_request": days,
        "dynamodb_write_unit": cycle.naive_items,
        "log_gb": days * prices.assumed["platform_log_bytes"] / 1e9,
    }
    return {name: count * MONTH / CYCLE for name, count in metered.items()} | {"secret_month": 1}


def start_seconds() -> float:
    """Processor time from nothing to a function before its first call, from the zip that is deployed."""
    steps = dict(programs())["track before its first call"]
    return statistics.median(measure(steps) for _ in range(5))


def print_calls(cycle: Cycle) -> None:
    """What one project's cycle asks of Atlas, by what it is for."""
    found, naive, naive_sent = cycle.of_atlas(), cycle.naive_calls, cycle.naive_sent
    everything = sum(calls for calls, _ in found.values()), sum(sent for _, sent in found.values())
    print(head(f"{CYCLE} days of one project", "Atlas calls", "/ script's", "KB", "/ script's"))
    for name, (calls, sent) in {"Keyturn, everything": everything, **found}.items():
        shown = f"{calls:,}", f"{calls / naive:.3f}", f"{sent / KILO:,.0f}", f"{sent / naive_sent:.3f}"
        print(row(name, *shown))
    print(row("script, daily", f"{naive:,}", "1", f"{naive_sent / KILO:,.0f}", "1"))
    for name, (calls, sent) in (("to know when the key is free", found[PROVING]), ("for everything", everything)):
        print(goal(f"calls {name} / a daily script", calls / naive, AT_MOST, MOST_CALLS, digits=3))
        print(goal(f"bytes {name} / a daily script", sent / naive_sent, AT_MOST, MOST_BYTES, digits=3))


def print_dollars(cycles: tuple[Cycle, Cycle], prices: Prices, start: float) -> None:
    """The table of dollars: what is used, what stands, what the keys cost, and the script beside it."""
    few, more = ((one.projects, monthly_units(one, prices, start)) for one in cycles)
    naive_few, naive_more = ((one.projects, naive_units(one, prices, start)) for one in cycles)
    fleets = {projects: prices.dollars(of_fleet(few, more, projects)) for projects in SHOWN}
    naive = {projects: prices.dollars(of_fleet(naive_few, naive_more, projects)) for projects in SHOWN}
    keys_each = (cycles[1].key_days - cycles[0].key_days) / (cycles[1].projects - cycles[0].projects) / CYCLE
    print(head("dollars a month, no free tier", *(f"{projects:,} projects" for projects in SHOWN)))
    for name in fleets[SHOWN[0]]:
        print(row(name.replace("_", " "), *(_money(fleet[name]) for fleet in fleets.values())))
    totals = {projects: sum(fleet.values()) for projects, fleet in fleets.items()}
    naive_totals = {projects: sum(fleet.values()) for projects, fleet in naive.items()}
    print(row("Keyturn", *map(_money, totals.values())))
    print(row("Keyturn, for each project", *(_money(total / projects) for projects, total in totals.items())))
    print(row("script: daily, an item for each snapshot", *map(_money, naive_totals.values())))
    name = f"the keys themselves, {keys_each:.2f} for each project"
    print(row(name, *(_money(keys_each * projects * prices.each["kms_key_month"]) for projects in SHOWN)))
    print(
        goal(f"dollars / script's, {SHOWN[-1]:,} projects", totals[SHOWN[-1]] / naive_totals[SHOWN[-1]], AT_MOST, 1.0)
    )
    print(goal("slope of dollars against projects", slope(totals), AT_MOST, MOST_SLOPE))
    _print_what_is_assumed(cycles, prices, start)


def _money(dollars: float) -> str:
    digits = 2 if dollars >= 1 else 2 + max(0, -math.floor(math.log10(dollars))) if dollars > 0 else 2
    return f"{dollars:,.{digits}f}"


def _print_what_is_assumed(cycles: tuple[Cycle, Cycle], prices: Prices, start: float) -> None:
    print(f"prices: {prices.region}, read {prices.read}, bench/prices.toml with their sources")
    print(f"metered: fleets of {cycles[0].projects} and {cycles[1].projects}; a straight line through them for others")
    units = " and ".join(f"{sum(use.invocations for use in one.uses.values()):,}" for one in cycles)
    print(f"metered: {units} invocations in {CYCLE} days; schedules by the rates in app.py: {_rates()}")
    assumed = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in prices.assumed.items())
    print(f"assumed: {assumed}; calls one after another; snapshots kept for {EVERY_FOUR_HOURS.keep.days} days")
    takes = f"{start * KILO:.0f} ms of a whole processor here (track before its first call, from the zip)"
    print(f"a start takes {takes}; functions have {MEMORY} MB")
    look = (cycles[1].uses["discover"].atlas_calls - cycles[0].uses["discover"].atlas_calls) / CYCLE
    each = look / (cycles[1].projects - cycles[0].projects) * prices.assumed["atlas_call_seconds"]
    print(f"one daily look at {SHOWN[-1]:,} projects: {each * SHOWN[-1] / 8:,.0f} s with 8 calls at once, of 900 s")


def _rates() -> str:
    return ", ".join(f"{name} {rate}" for name, rate in rates().items())


def main() -> None:
    """Two fleets, metered for a cycle each; then calls, then dollars."""
    if not (BUILD / "unpacked" / "app.py").exists():
        sys.exit("there is no unpacked package: run `make package` first")
    prices = read_prices(ROOT / "bench" / "prices.toml")
    few, more = (live(projects, prices) for projects in FLEETS)
    scope = f"{CLUSTERS} clusters with {SNAPSHOTS} snapshots each"
    print(f"P1, a cycle: calls, bytes and dollars of {CYCLE} days; {scope}; {interpreter()}")
    print_calls(few)
    print()
    print_dollars((few, more), prices, start_seconds())


if __name__ == "__main__":
    main()
