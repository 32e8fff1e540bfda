"""One CloudFormation stack: what a change would do to it, the change itself, and its end."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Client = Any  # boto3's clients carry no types
Sleep = Callable[[float], None]

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
"""The template makes roles without names of their own, and is a SAM template."""

KEEPS = {"AWS::DynamoDB::Table"}
"""What a change must not take away: the memory of every key and every proof."""

_NOTHING = ("didn't contain changes", "No updates are to be performed")
_LONGEST_PAUSE = 5.0
_ABSENT = {"", "REVIEW_IN_PROGRESS"}


class Refused(Exception):
    """CloudFormation, or we, would not do it; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a change set does to one resource."""

    action: str
    logical_id: str
    kind: str
    replaces: bool

    def __str__(self) -> str:
        return f"{self.action:6} {self.logical_id} ({self.kind}){', replaced by a new one' if self.replaces else ''}"


class Stack:
    """A stack by name; every call waits until CloudFormation has done what was asked."""

    def __init__(self, client: Client, name: str, sleep: Sleep = time.sleep) -> None:
        self.name = name
        self._client = client
        self._sleep = sleep

    def status(self) -> str:
        """The stack's status as CloudFormation has it, empty where there is no such stack."""
        return str(self._described().get("StackStatus", ""))

    def outputs(self) -> dict[str, str]:
        """The stack's outputs by name."""
        return {one["OutputKey"]: one["OutputValue"] for one in self._described().get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        """The parameters that the stack was last deployed with."""
        return {one["ParameterKey"]: one["ParameterValue"] for one in self._described().get("Parameters", [])}

    def propose(self, template_url: str, template: Mapping[str, Any], given: Mapping[str, str]) -> str | None:
        """Make a change set and give its ARN, None when nothing would change; raises Refused for a wrong one.

        What is not `given` keeps the value of the last deployment, or takes the template's default.
        """
        status = self.status()
        if status == "ROLLBACK_COMPLETE":
            raise Refused(f"the first deployment of {self.name} failed and left {status}: undeploy it, then try again")
        before = set() if status in _ABSENT else set(self.parameters())
        named = template["Parameters"]
        unknown = sorted(set(given) - set(named))
        if unknown:
            raise Refused(f"the template has no parameter {', '.join(unknown)}")
        missing = [name for name in named if "Default" not in named[name] and name not in {*given, *before}]
        if missing:
            raise Refused(f"give a value for {', '.join(missing)}")
        kept = [name for name in named if name in before and name not in given]
        answer = self._client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"deploy-{time.time_ns()}",
            ChangeSetType="CREATE" if status in _ABSENT else "UPDATE",
            TemplateURL=template_url,
            Capabilities=CAPABILITIES,
            Parameters=[
                *({"ParameterKey": name, "ParameterValue": value} for name, value in given.items()),
                *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
            ],
        )
        return self._when_ready(str(answer["Id"]))

    def effects(self, change_set: str) -> list[Effect]:
        """All that a change set does, resource by resource."""
        pages = self._client.get_paginator("describe_change_set").paginate(
            StackName=self.name, ChangeSetName=change_set
        )
        return [_effect(change["ResourceChange"]) for page in pages for change in page["Changes"]]

    def drop(self, change_set: str) -> None:
        """Forget a change set, and the empty stack that proposing a first one leaves."""
        self._client.delete_change_set(StackName=self.name, ChangeSetName=change_set)
        if self.status() == "REVIEW_IN_PROGRESS":
            self._client.delete_stack(StackName=self.name)

    def execute(self, change_set: str) -> str:
        """Carry a change set out and give the stack's status; raises Refused with the first causes if it failed."""
        since = self._last_event()
        self._client.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        status = self._when_at_rest(change_set)
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            causes = "\n".join(self._failures(since)) or "CloudFormation gave no reason"
            raise Refused(f"{self.name} ended in {status}:\n{causes}")
        return status

    def delete(self) -> list[str]:
        """Delete the stack and give the physical names of what it leaves behind; raises Refused if it could not."""
        described = self._described()
        if not described:
            raise Refused(f"there is no stack {self.name}")
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        resources = [one for page in pages for one in page["StackResourceSummaries"]]
        stack_id = described["StackId"]
        self._client.delete_stack(StackName=self.name)
        status = self._when_gone(stack_id)
        if status not in {"DELETE_COMPLETE", ""}:
            causes = "\n".join(self._failures(None, stack_id))
            raise Refused(f"{self.name} could not be deleted ({status}):\n{causes}")
        return [
            f"{one['ResourceType']} {one['PhysicalResourceId']}" for one in resources if one["ResourceType"] in KEEPS
        ]

    def _described(self, name: str | None = None) -> dict[str, Any]:
        try:
            (found,) = self._client.describe_stacks(StackName=name or self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return {}
            raise
        return dict(found)

    def _when_ready(self, change_set: str) -> str | None:
        for _ in self._pauses():
            found = self._client.describe_change_set(StackName=self.name, ChangeSetName=change_set)
            if found["Status"] == "CREATE_COMPLETE":
                return change_set
            if found["Status"] == "FAILED":
                self.drop(change_set)
                reason = str(found.get("StatusReason", ""))
                if any(text in reason for text in _NOTHING):
                    return None
                raise Refused(f"CloudFormation refuses the change: {reason}")
        raise AssertionError

    def _when_at_rest(self, change_set: str) -> str:
        for _ in self._pauses():
            status = self.status()
            if status != "REVIEW_IN_PROGRESS" and not status.endswith("_IN_PROGRESS"):
                # An update is at rest before it has begun, too.
                found = self._client.describe_change_set(StackName=self.name, ChangeSetName=change_set)
                if found.get("ExecutionStatus") not in {"AVAILABLE", "EXECUTE_IN_PROGRESS"}:
                    return status
        raise AssertionError

    def _when_gone(self, stack_id: str) -> str:
        for _ in self._pauses():
            status = str(self._described(stack_id).get("StackStatus", ""))
            if not status.endswith("_IN_PROGRESS"):
                return status
        raise AssertionError

    def _pauses(self) -> Iterator[None]:
        pause = 0.2
        while True:
            yield
            self._sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _last_event(self) -> str | None:
        try:
            events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        except ClientError:
            return None
        return str(events[0]["EventId"]) if events else None

    def _failures(self, since: str | None, stack_id: str | None = None) -> Iterator[str]:
        """Per resource that failed after an event why it did, latest first."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id or self.name)
        for event in (event for page in pages for event in page["StackEvents"]):
            if event["EventId"] == since:
                return
            if event.get("ResourceStatus", "").endswith("_FAILED"):
                yield f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"


def _effect(change: Mapping[str, Any]) -> Effect:
    return Effect(
        action=change["Action"],
        logical_id=change["LogicalResourceId"],
        kind=change["ResourceType"],
        replaces=change.get("Replacement", "False") in {"True", "Conditional"},
    )


def endangered(effects: list[Effect]) -> list[Effect]:
    """What a change would take away that must be kept: replaced, removed, or perhaps so."""
    return [one for one in effects if one.kind in KEEPS and (one.replaces or one.action == "Remove")]
