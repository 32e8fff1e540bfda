"""Preflight: named checks over gathered facts, all run, all shown; one that fails stops the rotation."""

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.domain.arn import account_of, parse_key_arn
from chalicelib.domain.key_policy import (
    ATLAS_ACTIONS,
    Inheritance,
    UnreadablePolicy,
    denies_conditionally,
    inherit,
    missing_permissions,
)
from chalicelib.domain.observed import (
    ON_DEMAND_LIMIT,
    Cluster,
    Encryption,
    Grant,
    KeyDescription,
    KeyRotations,
    KeyStatus,
    PrivateEndpoint,
    Settings,
)
from chalicelib.domain.records import Check, Problem, Rotation
from chalicelib.domain.regions import REGIONS
from chalicelib.domain.renewal import objections
from chalicelib.domain.swap import names
from chalicelib.domain.vocabulary import Strategy

Grants = dict[str, Grant]


@dataclass(frozen=True, kw_only=True)
class PreflightFacts:
    """What is true just before a rotation; a None that stands for “could not be read” never passes as good.

    `principal` is the ARN of the IAM role, or user, that Atlas comes as. The two grants are what its own IAM
    policies say of the three actions on the wanted, else on any key where the next one is made, and on the old key.
    """

    rotation: Rotation
    settings: Settings
    clusters: tuple[Cluster, ...]
    principal: str | None
    credentials_problem: str | None = None
    """Why nobody is behind the credentials that the request names."""
    current: KeyDescription | None
    current_rotations: KeyRotations | None = None
    current_policy: str | None = None
    wanted: KeyDescription | None = None
    wanted_policy: str | None = None
    made_in: str | None = None
    """The account in which a new key will be made; None also where one is brought."""
    account_problem: str | None = None
    """Why nobody can say which account that is."""
    wanted_grants: Grants | None = None
    old_grants: Grants | None = None
    endpoints: tuple[PrivateEndpoint, ...] | None = field(default=None)

    @property
    def inheritance(self) -> Inheritance | None:
        """What the current key's policy says to the principal; None where that may not be read, or nobody asks."""
        if self.rotation.wanted_key is not None or self.current_policy is None or self.principal is None:
            return None
        try:
            return inherit(self.current_policy, self.principal, self.rotation.old_key.account)
        except UnreadablePolicy:
            return None

    @property
    def next_region(self) -> str:
        """Where the next key lives."""
        if self.wanted is not None:
            return self.wanted.arn.region
        return self.rotation.region or self.rotation.old_key.region


def encryption_enabled(facts: PreflightFacts) -> Check:
    """There is a customer key to rotate."""
    return _check("encryption_enabled", facts.settings.enabled, "encryption at rest with AWS KMS is enabled")


def settings_valid(facts: PreflightFacts) -> Check:
    """Atlas takes no new key while it cannot use the present one."""
    return _check(
        "settings_valid",
        facts.settings.valid is True,
        "Atlas finds the current key valid",
        otherwise="Atlas does not find the current key valid: restore it first, its policy or the role that Atlas uses;"
        " Atlas takes no other before that",
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


def principal_known(facts: PreflightFacts) -> Check:
    """The new key's policy must name the principal that Atlas comes as."""
    if facts.settings.legacy_access_key:
        return _check(
            "principal_known",
            facts.rotation.credentials_secret is not None and facts.principal is not None,
            f"Atlas comes as the IAM user {facts.principal}",
            otherwise=facts.credentials_problem
            or "the project gives Atlas the credentials of an IAM user: name in `credentials_secret` the Secrets"
            " Manager secret that holds them, or authorize an IAM role in cloudProviderAccess",
        )
    return _check(
        "principal_known",
        facts.principal is not None,
        f"Atlas uses the role {facts.principal}",
        otherwise="no authorized IAM role is found in cloudProviderAccess: create the role in Atlas and authorize it",
    )


def credentials_allowed(facts: PreflightFacts) -> Check:
    """Atlas takes an IAM user's credentials only from projects that still hold some."""
    given = facts.rotation.credentials_secret is not None
    return _check(
        "credentials_allowed",
        not given or facts.settings.legacy_access_key,
        "an IAM user's credentials go along" if given else "Atlas assumes a role: no credentials are passed",
        otherwise="the project uses an IAM role: Atlas takes no IAM user's credentials from it any more"
        " (AWS_KMS_CREDENTIALS_AUTH_DEPRECATED); leave `credentials_secret` out",
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
        return Check(
            name=name, passed=False, text=f"{facts.rotation.wanted_key} is not found in KMS, or may not be read"
        )
    faults = [
        text
        for text, wrong in (
            (f"it is {wanted.status}, not Enabled", wanted.status is not KeyStatus.ENABLED),
            (f"its spec is {wanted.spec}, not SYMMETRIC_DEFAULT", wanted.spec != "SYMMETRIC_DEFAULT"),
            (f"its usage is {wanted.usage}, not ENCRYPT_DECRYPT", wanted.usage != "ENCRYPT_DECRYPT"),
            ("it is managed by AWS: Atlas cannot be let in", wanted.aws_managed),
        )
        if wrong
    ]
    return _check(name, not faults, f"{wanted.arn} can be used", otherwise="; ".join(faults))


def wanted_key_is_another(facts: PreflightFacts) -> Check:
    """The next key is not the present one, unless the credentials alone are to change."""
    same = facts.wanted is not None and facts.wanted.arn == facts.rotation.old_key
    if same and facts.rotation.credentials_secret is not None:
        return Check(name="wanted_key_is_another", passed=True, text="the key stays, its user's credentials change")
    return _check(
        "wanted_key_is_another",
        not same,
        "the next key is another than the current one",
        otherwise="the wanted key is the project's current key",
    )


def wanted_key_named_fully(facts: PreflightFacts) -> Check:
    """Atlas finds a key of another account than its principal's only by the full ARN."""
    name = "wanted_key_named_fully"
    text, principal = facts.rotation.wanted_key, facts.principal
    if text is None or facts.wanted is None or principal is None:
        return Check(name=name, passed=True, text="Keyturn names the key to Atlas by its full ARN")
    abroad = facts.wanted.arn.account != account_of(principal)
    return _check(
        name,
        not abroad or parse_key_arn(text) is not None,
        "the key is named well",
        otherwise=f"the key lives in account {facts.wanted.arn.account}, its user in {account_of(principal)}:"
        " give the key's full ARN",
    )


def region_supported(facts: PreflightFacts) -> Check:
    """Atlas takes customer keys of some regions only."""
    return _check(
        "region_supported",
        facts.next_region in REGIONS,
        f"Atlas takes keys of {facts.next_region}",
        otherwise=f"Atlas takes no keys of the region {facts.next_region}",
    )


def region_kept(facts: PreflightFacts) -> Check:
    """Another region is possible with a multi-Region key only: Atlas reaches the same key from there."""
    old, there = facts.rotation.old_key.region, facts.next_region
    if there == old:
        return Check(name="region_kept", passed=True, text=f"the key stays in {old}")
    multi_region = facts.wanted is not None and facts.wanted.multi_region
    return _check(
        "region_kept",
        multi_region,
        f"the multi-Region key is used from {there}",
        otherwise=f"the current key lives in {old}: only a multi-Region key of your own may take over in {there}",
    )


def private_endpoint_active(facts: PreflightFacts) -> Check:
    """Where Atlas reaches KMS over private networking, the next key's region needs an active endpoint."""
    name = "private_endpoint_active"
    if not facts.settings.private_networking:
        return Check(name=name, passed=True, text="Atlas reaches KMS over public addresses")
    if facts.endpoints is None:
        return Check(name=name, passed=None, text="the private endpoints may not be read: they need Project Owner")
    active = {e.region for e in facts.endpoints if e.status == "ACTIVE"}
    return _check(
        name,
        facts.next_region in active,
        f"the private endpoint in {facts.next_region} is active",
        otherwise=f"no private endpoint is ACTIVE in {facts.next_region}: create it in Atlas first",
    )


def role_may_use_the_wanted_key(facts: PreflightFacts) -> Check:
    """Across accounts the principal's own policies must allow the next key too, brought or made."""
    name = "role_may_use_the_wanted_key"
    if facts.wanted is not None:
        wanted = facts.wanted.arn
        return _allowed(name, facts.wanted_grants, facts.principal, str(wanted), wanted.account)
    if facts.rotation.wanted_key is not None:
        return Check(name=name, passed=True, text="no key is found that could be asked about")
    if facts.made_in is None:
        because = facts.account_problem or "it is not known in which account the new key will be made"
        return Check(name=name, passed=None, text=f"not verifiable: {because}")
    if facts.principal is not None and facts.made_in == account_of(facts.principal):
        return Check(name=name, passed=True, text="the new key's policy names the principal")
    old = facts.rotation.old_key
    made = f"arn:{old.partition}:kms:{old.region}:{facts.made_in}:key/*"
    return _allowed(name, facts.wanted_grants, facts.principal, made, facts.made_in)


def role_may_use_the_old_key(facts: PreflightFacts) -> Check:
    """Restores of old snapshots need the old key as long as one of them exists."""
    old = facts.rotation.old_key
    return _allowed("role_may_use_the_old_key", facts.old_grants, facts.principal, str(old), old.account)


def _allowed(name: str, grants: Grants | None, principal: str | None, key: str, account: str) -> Check:
    if grants is None or principal is None:
        return Check(name=name, passed=None, text=f"not verifiable: the IAM policies of {principal} may not be read")
    denied = [action for action in ATLAS_ACTIONS if grants.get(action) is Grant.EXPLICIT_DENY]
    missing = [action for action in ATLAS_ACTIONS if grants.get(action) is not Grant.ALLOWED]
    if denied:
        return Check(name=name, passed=False, text=f"IAM policies of {principal} deny {', '.join(denied)} on {key}")
    if missing and account != account_of(principal):
        text = (
            f"the IAM policies of {principal} do not allow {', '.join(missing)} on {key} of another account:"
            " a key's own policy is not enough across accounts, let the principal's IAM policies allow it too"
        )
        return Check(name=name, passed=False, text=text)
    return Check(name=name, passed=True, text=f"nothing in the IAM policies of {principal} stands against {key}")


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
    if not missing and denies_conditionally(facts.wanted_policy, facts.principal):
        text = f"the key policy denies {facts.principal} in some cases: it alone does not tell in which"
        return Check(name=name, passed=None, text=text)
    return _check(
        name,
        not missing,
        f"the key policy gives {facts.principal} all three permissions",
        otherwise=f"the key policy does not give {facts.principal} {', '.join(missing)}",
    )


def conditions_carried_over(facts: PreflightFacts) -> Check:
    """A new key's policy lets the principal in under the conditions of the current one's, or no key is made."""
    name = "conditions_carried_over"
    if facts.rotation.wanted_key is not None:
        return Check(name=name, passed=True, text="the wanted key has a policy of its own")
    inheritance = facts.inheritance
    if inheritance is None:
        text = "the current key's policy may not be read: a new key's has no conditions"
        return Check(name=name, passed=None, text=text)
    conditional = any(clause.condition for clause in inheritance.clauses)
    return _check(
        name,
        not inheritance.obstacles,
        "the new key's policy repeats the conditions of the current one"
        if conditional
        else "the current key's policy has no conditions to repeat",
        otherwise=f"the current key's policy says something that a new one's cannot repeat"
        f" ({'; '.join(inheritance.obstacles)}): bring a key of your own with a policy of yours",
    )


def kms_can_renew(facts: PreflightFacts) -> Check:
    """KMS renews the material of some kinds of keys only, and on demand 25 times at the most."""
    if facts.current is None:
        return Check(name="kms_can_renew", passed=None, text="the current key may not be read in KMS")
    strategy, shown = facts.rotation.strategy, facts.current_rotations
    found = objections(strategy, facts.current, shown)
    if found or strategy is not Strategy.KMS_ON_DEMAND:
        return _check("kms_can_renew", not found, "KMS can renew this key's material", otherwise="; ".join(found))
    if shown is None:
        return Check(name="kms_can_renew", passed=None, text="how often KMS has rotated the key may not be read")
    left = f"{ON_DEMAND_LIMIT - shown.on_demand} of {ON_DEMAND_LIMIT} on-demand rotations are left"
    return Check(name="kms_can_renew", passed=True, text=f"KMS can renew this key's material; {left}")


_ALWAYS: tuple[Callable[[PreflightFacts], Check], ...] = (
    encryption_enabled,
    settings_valid,
    current_key_expected,
    tier_has_the_feature,
    current_key_enabled,
)
_FOR_ANOTHER_KEY: tuple[Callable[[PreflightFacts], Check], ...] = (
    providers_known,
    principal_known,
    credentials_allowed,
    wanted_key_usable,
    wanted_key_is_another,
    wanted_key_named_fully,
    wanted_key_grants,
    conditions_carried_over,
    region_supported,
    region_kept,
    private_endpoint_active,
    role_may_use_the_wanted_key,
    role_may_use_the_old_key,
)
CHECKS: dict[Strategy, tuple[Callable[[PreflightFacts], Check], ...]] = {
    Strategy.NEW_CMK: (*_ALWAYS, *_FOR_ANOTHER_KEY),
    Strategy.KMS_ON_DEMAND: (*_ALWAYS, kms_can_renew),
    Strategy.KMS_AUTOMATIC: (*_ALWAYS, kms_can_renew),
}


def run_checks(facts: PreflightFacts) -> tuple[Check, ...]:
    """Run every check of the strategy, in order, and show every result."""
    return tuple(check(facts) for check in CHECKS[facts.rotation.strategy])


def problem_of(checks: tuple[Check, ...]) -> Problem | None:
    """What stops the rotation: every failed check in one sentence; what is not verifiable only warns."""
    failed = [check for check in checks if check.passed is False]
    if not failed:
        return None
    return Problem(code=failed[0].name, detail="; ".join(check.text for check in failed))


def lets_atlas_in(checks: tuple[Check, ...]) -> bool:
    """Whether the checks found that the next key's own policy gives Atlas' principal all it needs, or will."""
    return any(check.name == wanted_key_grants.__name__ and check.passed is True for check in checks)


def _check(name: str, passed: bool, text: str, *, otherwise: str | None = None) -> Check:  # noqa: FBT001 - the result itself
    return Check(name=name, passed=passed, text=text if passed else (otherwise or f"not so: {text}"))
