"""Preflight: named checks over gathered facts, all run, all shown; one that fails stops the rotation."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.key_policy import UnreadablePolicy, missing_permissions
from chalicelib.domain.observed import Cluster, Encryption, KeyDescription, KeyStatus, Settings
from chalicelib.domain.records import Check, Problem, Rotation
from chalicelib.domain.rotation import names


@dataclass(frozen=True, kw_only=True)
class PreflightFacts:
    """What is true just before a rotation; a None that stands for “could not be read” never passes as good."""

    rotation: Rotation
    settings: Settings
    clusters: tuple[Cluster, ...]
    principal: str | None
    current: KeyDescription | None
    wanted: KeyDescription | None = None
    wanted_policy: str | None = None


def encryption_enabled(facts: PreflightFacts) -> Check:
    """There is a customer key to rotate."""
    return _check("encryption_enabled", facts.settings.enabled, "encryption at rest with AWS KMS is enabled")


def settings_valid(facts: PreflightFacts) -> Check:
    """Atlas takes no new key while it cannot use the present one."""
    return _check(
        "settings_valid",
        facts.settings.valid is True,
        "Atlas finds the current key valid",
        otherwise="Atlas does not find the current key valid: restore it first, Atlas takes no other before that",
    )


def current_key_expected(facts: PreflightFacts) -> Check:
    """The settings still name the key that the rotation was requested for."""
    return _check(
        "current_key_expected",
        names(facts.settings, facts.rotation.old_key),
        f"the settings name {facts.rotation.old_key}",
        otherwise=f"the settings name {facts.settings.key}, not {facts.rotation.old_key}",
    )


def tier_has_the_feature(facts: PreflightFacts) -> Check:
    """Customer keys exist on M10 and larger only."""
    return _check(
        "tier_has_the_feature",
        any(not cluster.shared_tier for cluster in facts.clusters) or not facts.clusters,
        "the project has clusters on which customer keys are available",
        otherwise="customer keys are unavailable on M0, M2, M5 and flex clusters",
    )


def providers_known(facts: PreflightFacts) -> Check:
    """A provider that we cannot name may or may not follow the swap."""
    unknown = sorted(c.name for c in facts.clusters if c.encryption is Encryption.UNKNOWN)
    return _check(
        "providers_known",
        not unknown,
        "the encryption provider of every cluster is known",
        otherwise=f"the encryption provider of {', '.join(unknown)} is unknown",
    )


def role_authorized(facts: PreflightFacts) -> Check:
    """The new key's policy must name the role that Atlas assumes."""
    return _check(
        "role_authorized",
        facts.principal is not None,
        f"Atlas uses the role {facts.principal}",
        otherwise="no authorized IAM role is found in cloudProviderAccess: create the role in Atlas and authorize it",
    )


def current_key_enabled(facts: PreflightFacts) -> Check:
    """The old key must go on working until the new one has reached every cluster."""
    if facts.current is None:
        return Check(name="current_key_enabled", passed=None, text="the current key may not be read in KMS")
    return _check(
        "current_key_enabled",
        facts.current.status is KeyStatus.ENABLED,
        "the current key is enabled",
        otherwise=f"the current key is {facts.current.status}",
    )


def wanted_key_usable(facts: PreflightFacts) -> Check:
    """A brought key must exist, be enabled, symmetric and made for encryption."""
    name = "wanted_key_usable"
    if facts.rotation.wanted_key is None:
        return Check(name=name, passed=True, text="a new key will be created")
    wanted = facts.wanted
    if wanted is None or wanted.status is KeyStatus.GONE:
        return Check(name=name, passed=False, text=f"{facts.rotation.wanted_key} is not found in KMS")
    faults = [
        text
        for text, wrong in (
            (f"it is {wanted.status}, not Enabled", wanted.status is not KeyStatus.ENABLED),
            (f"its spec is {wanted.spec}, not SYMMETRIC_DEFAULT", wanted.spec != "SYMMETRIC_DEFAULT"),
            (f"its usage is {wanted.usage}, not ENCRYPT_DECRYPT", wanted.usage != "ENCRYPT_DECRYPT"),
            ("it lives in another region", wanted.arn.region != facts.rotation.old_key.region),
        )
        if wrong
    ]
    return _check(name, not faults, f"{wanted.arn} can be used", otherwise="; ".join(faults))


def wanted_key_grants(facts: PreflightFacts) -> Check:
    """A brought key's policy must really give Atlas' principal all it needs."""
    name = "wanted_key_grants"
    if facts.rotation.wanted_key is None:
        return Check(name=name, passed=True, text="the new key's policy will be written for Atlas' role")
    if facts.wanted_policy is None or facts.principal is None:
        return Check(name=name, passed=None, text="the policy of the wanted key may not be read")
    try:
        missing = missing_permissions(facts.wanted_policy, facts.principal)
    except UnreadablePolicy as problem:
        return Check(name=name, passed=False, text=str(problem))
    return _check(
        name,
        not missing,
        f"the key policy gives {facts.principal} all three permissions",
        otherwise=f"the key policy does not give {facts.principal} {', '.join(missing)}",
    )


CHECKS: tuple[Callable[[PreflightFacts], Check], ...] = (
    encryption_enabled,
    settings_valid,
    current_key_expected,
    tier_has_the_feature,
    providers_known,
    role_authorized,
    current_key_enabled,
    wanted_key_usable,
    wanted_key_grants,
)


def run_checks(facts: PreflightFacts) -> tuple[Check, ...]:
    """Run every check, in order, and show every result."""
    return tuple(check(facts) for check in CHECKS)


def problem_of(checks: tuple[Check, ...]) -> Problem | None:
    """What stops the rotation: every failed check in one sentence; what is not verifiable only warns."""
    failed = [check for check in checks if check.passed is False]
    if not failed:
        return None
    return Problem(code=failed[0].name, detail="; ".join(check.text for check in failed))


def _check(name: str, passed: bool, text: str, *, otherwise: str | None = None) -> Check:  # noqa: FBT001 - the result itself
    return Check(name=name, passed=passed, text=text if passed else (otherwise or f"not so: {text}"))
