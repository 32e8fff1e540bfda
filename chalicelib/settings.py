"""Every environment variable of Keyturn, its name, its default; read once, and loudly when it is wrong."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULTS: dict[str, str] = {
    "ATLAS_BASE_URL": "https://cloud.mongodb.com",
    "ATLAS_SECRETS": "",
    "TABLE_NAME": "",
    "ROTATIONS_QUEUE_URL": "",
    "SWEEPS_QUEUE_URL": "",
    "ALERTS_TOPIC_ARN": "",
    "ESCALATIONS_TOPIC_ARN": "",
    "EVENT_BUS_NAME": "default",
    "PREVIEW_FUNCTION": "",
    "HEAR_FUNCTION": "",
    "ADJUST_FUNCTION": "",
    "DEAD_LETTER_QUEUES": "",
    "VIEWERS": "",
    "OPERATORS": "",
    "APPROVERS": "",
}
"""Every setting with its default; an empty default means that there is none and the stack must set it.

The lists of people alone may stay empty: then nobody is named, and IAM's leave is enough.
"""

VERSION = "0.1.0"


class MissingSetting(RuntimeError):
    """A setting that a function needs is not there."""


@dataclass(frozen=True)
class Settings:
    """The environment, read by name."""

    environment: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        value = self.environment.get(name) or DEFAULTS[name]
        if not value:
            raise MissingSetting(f"the environment variable {name} is not set: the stack's template sets it")
        return value

    @property
    def atlas_secrets(self) -> tuple[str, ...]:
        """The Secrets Manager ids, one per Atlas organization."""
        return tuple(part.strip() for part in self["ATLAS_SECRETS"].split(",") if part.strip())

    @property
    def dead_letter_queues(self) -> tuple[str, ...]:
        """The addresses of the queues in which lies what could not be handled."""
        return tuple(part.strip() for part in self["DEAD_LETTER_QUEUES"].split(",") if part.strip())

    def people(self, name: str) -> tuple[str, ...]:
        """The principals, or patterns of them, that a list names; of a list of nothing but commas, nobody's name."""
        listed = self.environment.get(name, "")
        return tuple(part.strip() for part in listed.split(",")) if listed.strip() else ()


def read_settings() -> Settings:
    """The settings of this process; each value is looked at when it is first needed."""
    return Settings(os.environ)
