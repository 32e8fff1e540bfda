"""The shipped resources, made in the pretend AWS: one template for both, so that neither can drift.

Only tables, queues, topics and buses are made; everything else in the template means nothing to moto. The
template's conditions stand for what its parameters add (a key, topics of one's own): here none of them holds.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Client = Any  # boto3's clients carry no types
Properties = Mapping[str, Any]
Made = dict[str, str]
"""`arn` and `name` of a resource, `url` of a queue, `stream_arn` of a table, and `ref`, what Ref gives."""

_NO_VALUE = object()
"""What AWS::NoValue gives: the property is left out."""

_VARIABLE = re.compile(r"\$\{([^}!]+)\}")
_STACK = "keyturn"
_TABLE_PARTS = (
    "KeySchema",
    "AttributeDefinitions",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
    "DeletionProtectionEnabled",
    "Tags",
)
_QUEUE_PARTS = (
    "VisibilityTimeout",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "MaximumMessageSize",
    "RedrivePolicy",
    "FifoQueue",
    "ContentBasedDeduplication",
)


@dataclass(kw_only=True)
class Template:
    """The resources of one template, made as they are needed: a dead-letter queue before its queue."""

    resources: Mapping[str, Any]
    client: Callable[[str], Client]
    account: str
    region: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    _making: list[str] = field(default_factory=list)

    def make_all(self) -> dict[str, Made]:
        """Make everything that the sandbox knows how to make."""
        for name, resource in self.resources.items():
            if resource.get("Type") in _MAKERS:
                self.make(name)
        return self.made

    def make(self, name: str) -> Made:
        """Make one resource unless it was, and first what it refers to; raises ValueError if it cannot."""
        if name in self.made:
            return self.made[name]
        kind = self.resources.get(name, {}).get("Type")
        if kind not in _MAKERS or name in self._making:
            raise ValueError(f"the template refers to {name}, which the sandbox cannot make ({kind})")
        self._making.append(name)
        properties = self.resolve(self.resources[name].get("Properties", {}))
        self._making.remove(name)
        self.made[name] = _MAKERS[kind](self, name, properties)
        return self.made[name]

    def resolve(self, value: Any) -> Any:  # noqa: ANN401 - any part of a template
        """Replace the intrinsics in a part of the template; raises ValueError for one it does not know."""
        if isinstance(value, list):
            return [found for item in value if (found := self.resolve(item)) is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        intrinsic = next(iter(value), "") if len(value) == 1 else ""
        if intrinsic == "Ref" or intrinsic.startswith("Fn::"):
            return self._intrinsic(intrinsic, value[intrinsic])
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not _NO_VALUE}

    def _intrinsic(self, intrinsic: str, given: Any) -> Any:  # noqa: ANN401 - any part of a template
        if intrinsic == "Ref":
            return _NO_VALUE if given == "AWS::NoValue" else self._variable(given)
        if intrinsic == "Fn::If":
            return self.resolve(given[2])
        if intrinsic == "Fn::GetAtt":
            parts = given.split(".", 1) if isinstance(given, str) else given
            return self._attribute(*parts)
        if intrinsic == "Fn::Sub":
            return self._substitute(given)
        if intrinsic == "Fn::Join":
            return given[0].join(self.resolve(given[1]))
        raise ValueError(f"the sandbox does not know the intrinsic {intrinsic}")

    def _substitute(self, given: Any) -> str:  # noqa: ANN401 - a text, or a text and its variables
        text, own = (given, {}) if isinstance(given, str) else given
        values = self.resolve(own)
        return _VARIABLE.sub(lambda found: str(values.get(found[1]) or self._variable(found[1])), text)

    def _variable(self, name: str) -> str:
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": "aws",
            "AWS::StackName": _STACK,
            "AWS::URLSuffix": "amazonaws.com",
        }
        known = {**pseudo, **self.parameters}
        if name in known:
            return known[name]
        if "." in name:
            return self._attribute(*name.split(".", 1))
        return self.make(name)["ref"]

    def _attribute(self, name: str, attribute: str) -> str:
        key = {"Arn": "arn", "StreamArn": "stream_arn", "QueueUrl": "url"}.get(attribute, "name")
        return self.make(name)[key]


def _make_table(template: Template, logical: str, properties: Properties) -> Made:
    client = template.client("dynamodb")
    wanted = {part: properties[part] for part in _TABLE_PARTS if part in properties}
    if "StreamSpecification" in properties:
        wanted["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
    name = properties.get("TableName", f"{_STACK}-{logical}")
    table = client.create_table(TableName=name, **wanted)["TableDescription"]
    if "TimeToLiveSpecification" in properties:
        life = properties["TimeToLiveSpecification"]
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=life)
    if "PointInTimeRecoverySpecification" in properties:
        recovery = properties["PointInTimeRecoverySpecification"]
        client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    stream = table.get("LatestStreamArn", "")
    return {"arn": table["TableArn"], "name": name, "ref": name, "stream_arn": stream}


def _make_queue(template: Template, logical: str, properties: Properties) -> Made:
    client = template.client("sqs")
    name = properties.get("QueueName", f"{_STACK}-{logical}")
    attributes = {part: _as_text(properties[part]) for part in _QUEUE_PARTS if part in properties}
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return {"arn": arn, "name": name, "ref": url, "url": url}


def _make_topic(template: Template, logical: str, properties: Properties) -> Made:
    name = properties.get("TopicName", f"{_STACK}-{logical}")
    shown = {"DisplayName": properties["DisplayName"]} if "DisplayName" in properties else {}
    arn = template.client("sns").create_topic(Name=name, Attributes=shown)["TopicArn"]
    return {"arn": arn, "name": name, "ref": arn}


def _make_bus(template: Template, logical: str, properties: Properties) -> Made:
    name = properties.get("Name", f"{_STACK}-{logical}")
    arn = template.client("events").create_event_bus(Name=name)["EventBusArn"]
    return {"arn": arn, "name": name, "ref": name}


def _as_text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


_MAKERS: dict[str, Callable[[Template, str, Properties], Made]] = {
    "AWS::DynamoDB::Table": _make_table,
    "AWS::SQS::Queue": _make_queue,
    "AWS::SNS::Topic": _make_topic,
    "AWS::Events::EventBus": _make_bus,
}
