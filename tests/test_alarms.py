"""Alarms and dashboard of the stack: who is told, where the runbook goes on, and what must not cost per project."""

import json
import re
from pathlib import Path

import pytest

from package.template import read

ROOT = Path(__file__).resolve().parent.parent
RESOURCES = read(ROOT / ".chalice" / "resources.yaml")["Resources"]
ALARMS = {name: one["Properties"] for name, one in RESOURCES.items() if one.get("Type") == "AWS::CloudWatch::Alarm"}
QUEUES = {name for name, one in RESOURCES.items() if one.get("Type") == "AWS::SQS::Queue"}
PENDING = "KeysPendingDeletionOutside"
SCHEDULED = {"Digest", "Discover", "Patrol", "Relay", "Remind", "Retire", "Track", "Watch"}


def anchors():
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_tells_people_and_says_where_the_runbook_goes_on(name):
    where = re.fullmatch(r".+: docs/runbook\.md#([a-z-]+)", ALARMS[name]["AlarmDescription"])

    assert where
    assert where[1] in anchors()
    assert "EscalationsTopic" in json.dumps(ALARMS[name]["AlarmActions"])


def test_every_part_of_the_runbook_is_reached_by_an_alarm():
    reached = {one["AlarmDescription"].rpartition("#")[2] for one in ALARMS.values()}

    assert reached == anchors()


def test_every_dead_letter_queue_has_an_alarm():
    watched = {
        json.dumps(one) for one in ALARMS.values() if one.get("MetricName") == "ApproximateNumberOfMessagesVisible"
    }

    assert {name for name in QUEUES if any(name in one for one in watched)} == {
        name for name in QUEUES if name.endswith("DeadLetters")
    }


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_is_watched_for(metric):
    watched = [
        one["MetricStat"]["Metric"]
        for alarm in ALARMS.values()
        for one in alarm.get("Metrics", [])
        if "MetricStat" in one and one["MetricStat"]["Metric"]["MetricName"] == metric
    ]

    functions = {name for name, one in RESOURCES.items() if "LoggingConfig" in one.get("Properties", {})}
    assert {one["Dimensions"][0]["Value"]["Ref"] for one in watched} == functions
    assert len(functions) == 16


def test_a_schedule_that_does_not_run_is_noticed():
    silent = {name for name, one in ALARMS.items() if one.get("TreatMissingData") == "breaching"}

    assert silent == {f"{name}SilentAlarm" for name in SCHEDULED}
    counted = set(re.findall(r'add_metric\("(\w+)"', (ROOT / "app.py").read_text(encoding="utf-8")))
    assert {ALARMS[name]["MetricName"] for name in silent} == counted - {PENDING}


def test_a_needed_key_that_is_going_to_be_deleted_is_an_alarm_whoever_sees_it_and_silence_is_none():
    alarm = ALARMS["KeyPendingDeletionAlarm"]

    seen = re.findall(rf'"{PENDING}", "Count", (.+)\)', (ROOT / "app.py").read_text(encoding="utf-8"))
    assert seen == ["going", "seen.going"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("Keyturn", PENDING, "Maximum")
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "notBreaching")
    assert alarm["Period"] * alarm["EvaluationPeriods"] >= 86400  # which the patrol, once a day, does not miss


def test_no_metric_has_a_dimension_that_grows_with_the_fleet():
    named = {
        dimension["Name"]
        for alarm in ALARMS.values()
        for metric in [alarm, *(one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one)]
        for dimension in metric.get("Dimensions", [])
    }

    assert named <= {"QueueName", "FunctionName", "ApiName", "Stage", "service"}


def test_the_dashboard_is_readable():
    text, variables = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]

    widgets = json.loads(text)["widgets"]
    used = set(re.findall(r"\$\{(\w+)\}", text))
    assert len(widgets) == 4
    assert set(variables) <= used
    assert used - set(variables) <= set(RESOURCES)
