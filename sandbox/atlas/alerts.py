"""Alerts about keys: opened when a key is too old or does not work, closed when that is over, told by webhook."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hmac import digest

from sandbox.atlas.alert_answers import alert_body
from sandbox.atlas.alert_model import KEY_INVALID, NEEDS_ROTATION, Alert, AlertConfig
from sandbox.atlas.ground import Ground
from sandbox.atlas.model import Project


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where alerts are sent to: `deliver` gets the raw body and the headers, signed where there is a secret.

    It is called while the world is locked, so it must not wait for an answer from this Atlas: let it keep the
    delivery for later.
    """

    deliver: Callable[[bytes, dict[str, str]], object]
    secret: str | None = None

    def send(self, event: str, body: dict[str, object]) -> None:
        """Deliver one alert."""
        raw = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-MMS-Event": event}
        if self.secret is not None:
            headers["X-MMS-Signature"] = b64encode(digest(self.secret.encode(), raw, "sha1")).decode()
        self.deliver(raw, headers)


class Alerts:
    """Watches the projects' keys; `webhook` may be set at any time."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.webhook: Webhook | None = None

    def watch(self, project: Project) -> None:
        """Look at a project now, and again at every age of its key that it wants to be told of."""
        self.look(project)
        for config in _enabled(project):
            if config.days is not None and project.key_since is not None:
                opens_at = project.key_since + timedelta(days=config.days, seconds=1)
                if opens_at > self._ground.now():
                    self._ground.agenda.add(opens_at, partial(self.look, project))

    def look(self, project: Project) -> None:
        """Open what has come, close what is over."""
        due = {config.config_id: config for config in _enabled(project) if self._is_due(project, config)}
        open_now = {alert.config_id: alert for alert in project.alerts.values() if alert.resolved_at is None}
        for config_id, alert in open_now.items():
            if config_id not in due:
                self._close(project, alert)
        for config_id, config in due.items():
            if config_id not in open_now:
                self._open(project, config)

    def acknowledge(self, project: Project, alert: Alert, until: datetime | None, comment: str | None) -> None:
        """Have an alert tracked until a time; None takes that back."""
        alert.acknowledged_until, alert.comment = until, comment
        alert.updated_at = self._ground.now()
        self._send("alert.acknowledge", project, alert)

    def _is_due(self, project: Project, config: AlertConfig) -> bool:
        if config.kind in KEY_INVALID:
            return project.encryption is not None and not project.was_valid
        if config.kind != NEEDS_ROTATION or config.days is None or project.key_since is None:
            return False
        return self._ground.now() - project.key_since > timedelta(days=config.days)

    def _open(self, project: Project, config: AlertConfig) -> None:
        now = self._ground.now()
        alert = Alert(
            alert_id=self._ground.names.object_id(now),
            config_id=config.config_id,
            kind=config.kind,
            opened_at=now,
            updated_at=now,
        )
        project.alerts[alert.alert_id] = alert
        if config.kind == NEEDS_ROTATION:
            self._ground.tell(project, NEEDS_ROTATION)
        self._send("alert.open", project, alert)

    def _close(self, project: Project, alert: Alert) -> None:
        alert.resolved_at = alert.updated_at = self._ground.now()
        self._send("alert.close", project, alert)

    def _send(self, event: str, project: Project, alert: Alert) -> None:
        if self.webhook is not None:
            text = f"{alert.kind}: project {project.name}"
            body = alert_body(alert, project, self._ground.now()) | {"humanReadable": text}
            self.webhook.send(event, body)


def _enabled(project: Project) -> Iterator[AlertConfig]:
    return (config for config in project.alert_configs.values() if config.enabled)
