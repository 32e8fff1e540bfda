"""What a look from outside can find: the way to Keyturn, the caller's credentials, the clock, the fleet, its keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from cli.failures import Failure
from cli.shapes import Shape
from cli.standing import MINOR, Standing, drift_text, standing
from cli.words import count, plain

if TYPE_CHECKING:
    from cli.client import Answer, Client

_SKEW_ALLOWED = 60
"""Seconds; AWS refuses signatures that are more than five minutes off."""
_MOST_NAMED = 10
_SANDBOX = "keyturn-sandbox"
"""What a sandbox calls itself in `Server`."""

_MENDS = {
    "key_changed_by_hand": "nothing to do if that was meant; the old key is tracked: do not delete it",
    "encryption_disabled": "switch encryption at rest on again in Atlas, if that was not meant",
    "provider_changed": "set AWS KMS as the provider again in Atlas, if that was not meant",
    "key_invalid": "look at the key's state and policy in KMS, and at the role that Atlas assumes",
    "grant_removed": "give Atlas' role kms:Encrypt, kms:Decrypt and kms:DescribeKey in the key's policy",
    "backups_unread": "give the reader's service account Project Backup Manager in the project",
    "key_not_enabled": "in KMS, cancel the key's deletion if one is scheduled, then enable the key at once",
    "project_gone": "its keys stay tracked; look for where the project went",
    "access_key_old": "change the access key and rotate with `--credentials-secret`, or go over to a role",
    "atlas_alert_late": "`keyturn threshold PROJECT` sets Atlas' alert to the project's period",
    "atlas_alert_blind": "set the threshold of that alert higher in Atlas, or disable it there",
    "alert_not_acknowledged": "acknowledge it in Atlas, or give the reader the role Project Alerts Manager",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check: what was found, and how to mend it where it is wrong."""

    check: str
    verdict: Literal["ok", "look", "wrong", "not tried", "not verifiable"]
    found: str
    mend: str | None = None
    shuts_out: bool = False
    """Whether nothing else works before this is mended."""


def examine(client: "Client", now: datetime, version: str) -> Iterator[Finding]:
    """Check one thing after the other; what stands on a thing that is wrong is not tried."""
    try:
        answer = client.knock()
    except Failure as failure:
        yield _shut("endpoint", failure)
        return
    yield Finding(check="endpoint", verdict="ok", found=f"{client.place.address} answers")
    yield from _door(answer)
    yield _clock(answer, now)
    try:
        found = f"found by `{client.signer.source}`, signing for {client.signer.signing_region}"
    except Failure as failure:
        yield _shut("credentials", failure)
        return
    yield Finding(check="credentials", verdict="ok", found=found)
    yield from _inside(client, client.heard_at or now, version)


def _inside(client: "Client", now: datetime, version: str) -> Iterator[Finding]:
    """What only those see who are let in."""
    try:
        health = client.get("health")
    except Failure as failure:
        yield _shut("access", failure)
        return
    yield Finding(check="access", verdict="ok", found="the signature is accepted")
    yield _version(health, version)
    yield from _itself(client)
    yield from _fleet(client, now)
    yield _old_keys(client)


def _itself(client: "Client") -> Iterator[Finding]:
    """What Keyturn found out about itself."""
    try:
        watch = client.get("watch")
    except Failure as failure:
        yield Finding(check="watch", verdict="wrong", found=failure.text)
        return
    if watch["changed_at"] is None:
        mend = "the function `watch` looks once an hour: see its log if this stays so"
        yield Finding(check="watch", verdict="look", found="Keyturn has not looked at itself yet", mend=mend)
        return
    for queue in watch["dead_letters"]:
        found = f"{plain(queue)} is not empty: messages lie there that could not be handled"
        mend = "look into the functions' logs, mend the cause, then redrive the queue or purge it"
        yield Finding(check="dead letters", verdict="wrong", found=found, mend=mend)
    for secret in watch["expiring"]:
        mend = "make a new secret in Atlas, put it into Secrets Manager, then delete the old one"
        yield Finding(check="credentials of Atlas", verdict="look", found=plain(secret), mend=mend)
    for unknown in watch["unverified"]:
        yield Finding(check="not verifiable", verdict="not verifiable", found=plain(unknown))
    if not watch["dead_letters"] and not watch["expiring"]:
        yield Finding(check="watch", verdict="ok", found="no dead letters, and no credentials that expire soon")


def _shut(check: str, failure: Failure) -> Finding:
    found, _, mend = failure.text.partition("\n")
    return Finding(check=check, verdict="wrong", found=found, mend=mend or None, shuts_out=True)


def _door(answer: "Answer") -> Iterator[Finding]:
    """Whoever does not sign must be kept out."""
    if answer.status == HTTPStatus.OK:
        mend = "the API's routes have lost their IAM authorization: deploy Keyturn again"
        yield Finding(check="door", verdict="wrong", found="calls without a signature are let in", mend=mend)
    else:
        yield Finding(check="door", verdict="ok", found="calls without a signature are kept out")


def _clock(answer: "Answer", now: datetime) -> Finding:
    """Compare this machine's clock with the Date header (RFC 9110, section 6.6.1)."""
    try:
        skew = round((now - parsedate_to_datetime(answer.headers.get("date", ""))).total_seconds())
    except (TypeError, ValueError):
        return Finding(check="clock", verdict="not tried", found="the answer carries no date")
    if answer.headers.get("server") == _SANDBOX:
        return Finding(check="clock", verdict="ok", found="a sandbox's own, that may be turned")
    if abs(skew) <= _SKEW_ALLOWED:
        return Finding(check="clock", verdict="ok", found=f"within {count(_SKEW_ALLOWED, 'second')} of the API's")
    found = f"{count(abs(skew), 'second')} {'ahead of' if skew > 0 else 'behind'} the API's"
    return Finding(check="clock", verdict="wrong", found=found, mend="set this machine's clock, by NTP for instance")


def _version(health: Shape, version: str) -> Finding:
    theirs = plain(health.get("version"))
    if theirs == version:
        return Finding(check="version", verdict="ok", found=f"{version} here and there")
    mend = f"install the command of version {theirs}, or deploy Keyturn {version}"
    return Finding(check="version", verdict="look", found=f"{version} here, {theirs} there", mend=mend)


def _fleet(client: "Client", now: datetime) -> Iterator[Finding]:
    try:
        projects = client.everything("projects")["items"]
    except Failure as failure:
        yield Finding(check="projects", verdict="wrong", found=failure.text)
        return
    troubled = [one for one in projects if standing(one, now) is Standing.TROUBLE]
    overdue = [one for one in projects if standing(one, now) is Standing.OVERDUE]
    if not projects:
        mend = "discovery runs once a day; the secrets in ATLAS_SECRETS name the organizations"
        yield Finding(check="projects", verdict="look", found="no project is known", mend=mend)
    elif not troubled and not overdue:
        yield Finding(check="projects", verdict="ok", found=f"{count(len(projects), 'project')}, none in trouble")
    yield from (_trouble(project) for project in troubled[:_MOST_NAMED])
    if len(troubled) > _MOST_NAMED:
        more = count(len(troubled) - _MOST_NAMED, "project")
        yield Finding(check="projects", verdict="wrong", found=f"{more} more in trouble", mend="keyturn status")
    yield from _minor(projects)
    if overdue:
        found = f"{count(len(overdue), 'project')} overdue"
        yield Finding(check="projects", verdict="look", found=found, mend="keyturn status names them")


def _old_keys(client: "Client") -> Finding:
    """Needed keys that somebody is taking away; the first page tells of all keys."""
    try:
        endangered = client.get("keys", limit=1).get("endangered")
    except Failure as failure:
        return Finding(check="keys", verdict="wrong", found=failure.text)
    if endangered is None:
        return Finding(
            check="keys", verdict="not verifiable", found="the API does not tell which needed keys are harmed"
        )
    if not endangered:
        return Finding(check="keys", verdict="ok", found="no needed key is disabled or about to be deleted")
    told = [f"{one['key_id']}: {plain(one['warning']['text'])}" for one in endangered[:_MOST_NAMED]]
    more = [f"and {len(endangered) - _MOST_NAMED} more"] if len(endangered) > _MOST_NAMED else []
    return Finding(
        check="keys",
        verdict="wrong",
        found="; ".join([*told, *more]),
        mend="at once: `keyturn key KEY` says who needs it",
    )


def _minor(projects: list[Shape]) -> Iterator[Finding]:
    """What somebody should see to some day, and the age that nobody can know."""
    for code in sorted(MINOR):
        having = [plain(one["name"]) for one in projects if code in one["drift"]]
        if having:
            found = f"{drift_text(code)}: {_some(having)}"
            yield Finding(check="outlook", verdict="look", found=found, mend=_MENDS[code])
    legacy = [plain(one["name"]) for one in projects if one.get("access_key_id")]
    if legacy:
        found = f"how old the access keys of IAM users are, which Keyturn may not ask IAM: {_some(legacy)}"
        yield Finding(check="not verifiable", verdict="not verifiable", found=found)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _trouble(project: Shape) -> Finding:
    codes = project["drift"] or ["key_invalid"]
    mends = [_MENDS[code] for code in codes if code in _MENDS]
    found = "; ".join(drift_text(code) for code in codes)
    return Finding(
        check=f"project {plain(project['name'])}", verdict="wrong", found=plain(found), mend="; ".join(mends) or None
    )
