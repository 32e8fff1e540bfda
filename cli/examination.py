"""What a look from outside can find: the way to Keyturn, the caller's credentials, the clock, the fleet."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from cli.failures import Failure
from cli.shapes import Shape
from cli.standing import Standing, drift_text, standing
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
    "key_not_enabled": "enable the key in KMS at once",
    "project_gone": "its keys stay tracked; look for where the project went",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check: what was found, and how to mend it where it is wrong."""

    check: str
    verdict: Literal["ok", "look", "wrong", "not tried"]
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
    yield from _fleet(client, now)


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
    if overdue:
        found = f"{count(len(overdue), 'project')} overdue"
        yield Finding(check="projects", verdict="look", found=found, mend="keyturn status names them")


def _trouble(project: Shape) -> Finding:
    codes = project["drift"] or ["key_invalid"]
    mends = [_MENDS[code] for code in codes if code in _MENDS]
    found = "; ".join(drift_text(code) for code in codes)
    return Finding(
        check=f"project {plain(project['name'])}", verdict="wrong", found=plain(found), mend="; ".join(mends) or None
    )
