"""Operations on alerts and on their configurations."""

from datetime import datetime
from typing import Any

from sandbox.atlas.alert_answers import SECRET, alert_body, config_body
from sandbox.atlas.alert_model import KEY_INVALID, NEEDS_ROTATION, Alert, AlertConfig
from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked
from sandbox.atlas.operation import ALERTS_MANAGER, GROUP, Operation
from sandbox.atlas.refusals import Refusal, bad_request

_RATE = "alerts"
_CONFIGS, _ALERTS = f"{GROUP}/alertConfigs", f"{GROUP}/alerts"
_ONE_CONFIG = f"{_CONFIGS}/{{alertConfigId}}"
_LONGEST_COMMENT = 200


def _show_config(asked: Asked, config: AlertConfig) -> Body:
    return config_body(config, asked.project.project_id)


def _configs(asked: Asked) -> Body:
    return asked.page(list(asked.project.alert_configs.values()), lambda one: _show_config(asked, one))


def _config_asked(asked: Asked) -> AlertConfig:
    config_id = asked.ids["alertConfigId"]
    config = asked.project.alert_configs.get(config_id)
    if config is None:
        text = f"There is no alert configuration {config_id}."
        raise Refusal(404, "ALERT_CONFIG_NOT_FOUND", text, (config_id, asked.project.project_id))
    return config


def _config(asked: Asked) -> Body:
    return _show_config(asked, _config_asked(asked))


def _add_config(asked: Asked) -> Body:
    body, ground, now = asked.body(), asked.world.ground, asked.world.now()
    kind = body.get("eventTypeName")
    if kind != NEEDS_ROTATION and kind not in KEY_INVALID:
        raise bad_request("INVALID_ATTRIBUTE", f"This Atlas has no alert {kind}.", "eventTypeName")
    config = AlertConfig(
        config_id=ground.names.object_id(now),
        kind=str(kind),
        days=_days(body, str(kind)),
        enabled=body.get("enabled", True) is True,
        created_at=now,
        updated_at=now,
    )
    asked.project.alert_configs[config.config_id] = config
    asked.world.alerts.watch(asked.project)
    return _show_config(asked, config)


def _change_config(asked: Asked) -> Body:
    config, body = _config_asked(asked), asked.body()
    if body.get("eventTypeName") != config.kind:
        raise bad_request("INVALID_ATTRIBUTE", "The kind of an alert does not change.", "eventTypeName")
    config.days = _days(body, config.kind)
    config.matchers = _list_in(body, "matchers")
    config.notifications = [_with_its_secrets(config, one) for one in _list_in(body, "notifications")]
    return _changed(asked, config, enabled=body.get("enabled", True) is True)


def _list_in(body: Body, name: str) -> list[Any]:
    """What a change does not send is gone: whether Atlas keeps it, nobody says."""
    sent = body.get(name, [])
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise bad_request("INVALID_ATTRIBUTE", f"{name} is no list of objects.", name)
    return sent


def _with_its_secrets(config: AlertConfig, sent: dict[str, Any]) -> dict[str, Any]:
    """A notification that names itself (`notifierId`) need not send its secrets again."""
    same = [one for one in config.notifications if one.get("notifierId") == sent.get("notifierId", "")]
    return {name: value for one in same for name, value in one.items() if name in SECRET} | sent


def _toggle_config(asked: Asked) -> Body:
    enabled = asked.body().get("enabled")
    if not isinstance(enabled, bool):
        raise bad_request("MISSING_ATTRIBUTE", "enabled is missing.", "enabled")
    return _changed(asked, _config_asked(asked), enabled=enabled)


def _changed(asked: Asked, config: AlertConfig, *, enabled: bool) -> Body:
    config.enabled, config.updated_at = enabled, asked.world.now()
    asked.world.alerts.watch(asked.project)
    return _show_config(asked, config)


def _days(body: Body, kind: str) -> int | None:
    threshold = body.get("threshold")
    if kind in KEY_INVALID:
        if threshold is not None:
            raise bad_request("THRESHOLD_PRESENT", "This alert has no threshold.")
        return None
    days = threshold.get("threshold") if isinstance(threshold, dict) else None
    if not isinstance(days, int) or isinstance(days, bool):
        raise bad_request("MISSING_THRESHOLD", "This alert needs a threshold.")
    return days


def _looked_at(asked: Asked) -> list[Alert]:
    asked.world.alerts.look(asked.project)
    return sorted(asked.project.alerts.values(), key=lambda known: known.opened_at, reverse=True)


def _show_alert(asked: Asked, alert: Alert) -> Body:
    return alert_body(alert, asked.project, asked.world.now())


def _alerts(asked: Asked) -> Body:
    wanted, now = asked.query.get("status"), asked.world.now()
    known = [one for one in _looked_at(asked) if wanted in {None, one.status(now)}]
    return asked.page(known, lambda one: _show_alert(asked, one))


def _alerts_of_config(asked: Asked) -> Body:
    config = _config_asked(asked)
    known = [one for one in _looked_at(asked) if one.config_id == config.config_id and one.resolved_at is None]
    return asked.page(known, lambda one: _show_alert(asked, one))


def _alert_asked(asked: Asked) -> Alert:
    wanted = asked.ids["alertId"]
    for known in _looked_at(asked):
        if known.alert_id == wanted:
            return known
    raise Refusal(404, "ALERT_NOT_FOUND", f"There is no alert {wanted}.", (wanted, asked.project.project_id))


def _alert(asked: Asked) -> Body:
    return _show_alert(asked, _alert_asked(asked))


def _configs_of_alert(asked: Asked) -> Body:
    alert = _alert_asked(asked)
    known = [one for one in asked.project.alert_configs.values() if one.config_id == alert.config_id]
    return asked.page(known, lambda one: _show_config(asked, one))


def _acknowledge(asked: Asked) -> Body:
    alert, body = _alert_asked(asked), asked.body()
    comment = body.get("acknowledgementComment")
    if comment is not None and (not isinstance(comment, str) or len(comment) > _LONGEST_COMMENT):
        raise bad_request("INVALID_ATTRIBUTE", "The comment is too long or no text.", "acknowledgementComment")
    asked.world.alerts.acknowledge(asked.project, alert, _until(body), comment)
    return _show_alert(asked, alert)


def _until(body: Body) -> datetime | None:
    if body.get("unacknowledgeAlert") is True:
        return None
    try:
        until = datetime.fromisoformat(str(body["acknowledgedUntil"]))
    except KeyError as silent:
        raise bad_request("MISSING_ATTRIBUTE", "acknowledgedUntil is missing.", "acknowledgedUntil") from silent
    except ValueError as strange:
        raise bad_request("INVALID_ATTRIBUTE", "acknowledgedUntil is no moment.", "acknowledgedUntil") from strange
    if until.tzinfo is None:
        raise bad_request("INVALID_ATTRIBUTE", "acknowledgedUntil has no time zone.", "acknowledgedUntil")
    return until


OPERATIONS = (
    Operation(template=_CONFIGS, answer=_configs, rate=_RATE),
    Operation(method="POST", template=_CONFIGS, answer=_add_config, role=ALERTS_MANAGER, rate=_RATE, status=201),
    Operation(template=_ONE_CONFIG, answer=_config, rate=_RATE),
    Operation(method="PUT", template=_ONE_CONFIG, answer=_change_config, role=ALERTS_MANAGER, rate=_RATE),
    Operation(method="PATCH", template=_ONE_CONFIG, answer=_toggle_config, role=ALERTS_MANAGER, rate=_RATE),
    Operation(template=f"{_ONE_CONFIG}/alerts", answer=_alerts_of_config, rate=_RATE),
    Operation(template=_ALERTS, answer=_alerts, rate=_RATE),
    Operation(template=f"{_ALERTS}/{{alertId}}", answer=_alert, rate=_RATE),
    Operation(template=f"{_ALERTS}/{{alertId}}/alertConfigs", answer=_configs_of_alert, rate=_RATE),
    Operation(
        method="PATCH",
        template=f"{_ALERTS}/{{alertId}}",
        answer=_acknowledge,
        version="2024-05-30",
        role=ALERTS_MANAGER,
        rate=_RATE,
    ),
)
