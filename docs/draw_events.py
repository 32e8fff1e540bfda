"""Draws docs/events.md and docs/event.schema.json from the code: `python docs/draw_events.py`."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from chalicelib.adapters.messages_shapes import SCHEMA_VERSION, SOURCE, Detail  # noqa: E402 - the path must be set first
from chalicelib.domain.vocabulary import NoticeKind  # noqa: E402 - as above

PAGE = ROOT / "docs" / "events.md"
SCHEMA = ROOT / "docs" / "event.schema.json"

KINDS: dict[NoticeKind, str] = {
    NoticeKind.REMINDER: "a rotation is due soon, due or overdue; `rung` says how many days after the due day",
    NoticeKind.DIGEST: "what several projects owe before their due days, for one group of recipients; `projects`",
    NoticeKind.ROTATION_STARTED: "a rotation was requested, or begun by policy; `rotation_id`",
    NoticeKind.ROTATION_DEPLOYING: "Atlas has the new key and deploys it: nobody may touch the old one; `rotation_id`",
    NoticeKind.ROTATION_DEPLOYED: "every running cluster uses the new key; `rotation_id`",
    NoticeKind.ROTATION_FAILED: "a rotation gave up and says why; the old key stays; `rotation_id`",
    NoticeKind.ROTATION_BLOCKED: "a rotation waits for something that a person must mend; `rotation_id`",
    NoticeKind.ROTATION_CANCELLED: "a rotation was called off before the settings were changed; `rotation_id`",
    NoticeKind.ROTATION_ROLLED_BACK: "the project is back on its old key; `rotation_id`",
    NoticeKind.STILL_READABLE: "after an emergency: what the old key still opens; `rotation_id`, `document`",
    NoticeKind.DRIFT: "something was changed from outside, or needs a look; `drift` is its code",
    NoticeKind.KEY_SAFE: "nothing needs an old key any more; `key`, `proof`",
    NoticeKind.KEY_NEEDED_AGAIN: "a key that was safe to delete is needed after all; `key`",
    NoticeKind.DELETION_REQUESTED: "somebody asks for a key's deletion; another person must approve",
    NoticeKind.DELETION_APPROVED: "another person has approved a deletion",
    NoticeKind.KEY_QUARANTINED: "a key was disabled, and waits for its quarantine to pass",
    NoticeKind.DELETION_SCHEDULED: "KMS will delete a key, on a day that is named",
    NoticeKind.KEY_DELETED: "KMS has deleted a key",
    NoticeKind.DELETION_ENDED: "a deletion expired or was called off; the key stays",
    NoticeKind.KEY_RESCUED: "a need was found, or somebody touched a needed key: it was brought back",
    NoticeKind.ATLAS_UNREACHABLE: "projects could not be looked at, or an organization not be listed, and why",
    NoticeKind.ENCRYPTION_ENABLED: "a project has begun to encrypt with a key of its own; what Keyturn will do",
    NoticeKind.SECRET_EXPIRES: "a credential of Atlas' or IAM's expires soon, or has grown old",
    NoticeKind.DEAD_LETTERS: "something could not be handled and lies in a dead-letter queue",
}
"""When each kind is told, and which texts of its own its event holds."""


def schema() -> dict[str, Any]:
    """The JSON Schema of an event's detail; beside the fields of every event it may hold texts of its kind."""
    (_, components) = msgspec.json.schema_components([Detail], ref_template="#/$defs/{name}")
    detail = components["Detail"]
    detail["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    detail["properties"]["kind"] = {"enum": [str(kind) for kind in NoticeKind]}
    detail["properties"]["created_at"] = {"type": "string", "format": "date-time"}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Keyturn's events"}
    return (
        head
        | {key: value for key, value in detail.items() if key != "title"}
        | {"additionalProperties": {"type": "string"}}
    )


def page() -> str:
    """The whole page."""
    rows = "\n".join(f"| `{kind}` | {KINDS[kind]} |" for kind in NoticeKind)
    return f"""# Messages and events

Drawn from the code by `python docs/draw_events.py`; a test compares them.

Every notice is written down with the fact that it tells, and sent afterwards: to the alerts topic, to the escalations
topic too when it escalates, and to the event bus. It is never lost. A copy more comes only where a process died between
sending and noting it, and it carries the same `notice_id`: whoever must act once goes by that.

## On the topics (SNS)

The subject is ASCII of at most 100 characters, the body text for people. Subscribers choose by filter policies on the
message attributes:

| attribute | holds |
|---|---|
| `kind` | what it is about, as below |
| `notice_id` | the same on every copy |
| `project_id`, `key_id` | where it is about one project or key |
| `rung` | a number: of a reminder, how many days after the due day |
| `recipients` | a list: whom the project's policy names, so that one topic serves many teams |

A subscription over HTTPS gets another body: the custom notification (version 1.0) that Amazon Q Developer in chat
applications, once AWS Chatbot, shows in Slack and Microsoft Teams. Its `threadId` keeps one project's news together.

## On the event bus (EventBridge)

`source` is `{SOURCE}`, `detail-type` the kind. `detail` is as [event.schema.json](event.schema.json) says, with
`schema_version` {SCHEMA_VERSION}: fields may be added under it, and none is removed or changes its meaning.

| kind | told when; texts of its own in `detail` |
|---|---|
{rows}
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
