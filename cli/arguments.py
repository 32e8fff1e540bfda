"""What operators type: ids, moments, ladders and words to choose from."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer


class Strategy(StrEnum):
    """How a key is renewed."""

    NEW_CMK = "new-cmk"
    KMS_ON_DEMAND = "kms-on-demand"
    KMS_AUTOMATIC = "kms-automatic"


class Mode(StrEnum):
    """What happens on the due day."""

    REMIND = "remind"
    ROTATE = "rotate"


class GuardMode(StrEnum):
    """What the guard does for a key that is still needed."""

    CANCEL = "cancel"
    TELL = "tell"


class Form(StrEnum):
    """How an evidence pack is written."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


ProjectId = Annotated[str, typer.Argument(metavar="PROJECT", help="An Atlas project, by its id or its name.")]
RotationId = Annotated[str, typer.Argument(metavar="ROTATION", help="The id of a rotation.")]
DeletionId = Annotated[str, typer.Argument(metavar="DELETION", help="The id of a deletion.")]
KeyName = Annotated[
    str,
    typer.Argument(metavar="KEY", help="The id of a KMS key, or its whole ARN where the id names several."),
]

_ARN = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):(?P<account>\d{12}):key/(?P<key_id>[^/:]+)")
_IN_DAYS = re.compile(r"(\d{1,4})d")


def key_place(name: str) -> tuple[str, dict[str, str]]:
    """A key's bare id, and with a whole ARN the query that says which of its name."""
    found = _ARN.fullmatch(name)
    return (name, {}) if found is None else (found["key_id"], {"account": found["account"], "region": found["region"]})


def counts_from_now(text: str) -> bool:
    """Whether a moment is written as so many days from now."""
    return _IN_DAYS.fullmatch(text) is not None


def moment_from(text: str, now: datetime) -> str:
    """A moment as the API wants it, from `14d`, a date (its beginning in UTC) or a time; raises BadParameter."""
    in_days = _IN_DAYS.fullmatch(text)
    try:
        moment = now + timedelta(days=int(in_days[1])) if in_days else datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"`{text}` is neither a date (2027-03-01), a time, nor a number of days (14d)"
        ) from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()


def ladder_from(text: str) -> list[int]:
    """Rungs from `-30,-7,0,7`; raises BadParameter."""
    try:
        return [int(rung) for rung in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"`{text}` is no ladder: give days with commas, as -30,-7,0,7") from error
