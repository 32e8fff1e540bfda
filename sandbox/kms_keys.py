"""Keys, their material and their calendar: what happens to a key by itself as virtual time passes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib.domain.arn import KeyArn
from sandbox.kms_callers import Caller

SYMMETRIC = "SYMMETRIC_DEFAULT"


class State(StrEnum):
    """The states of a key that the sandbox knows (`KeyState`)."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_IMPORT = "PendingImport"
    PENDING_DELETION = "PendingDeletion"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"

    @property
    def pending_deletion(self) -> bool:
        """Whether the key is on its way out."""
        return self in {State.PENDING_DELETION, State.PENDING_REPLICA_DELETION}


class Origin(StrEnum):
    """How one generation of material came about (`RotationType`); FIRST is not a rotation."""

    FIRST = ""
    AUTOMATIC = "AUTOMATIC"
    ON_DEMAND = "ON_DEMAND"


@dataclass(frozen=True, kw_only=True)
class Material:
    """One generation of a key's material: 256 bits that never leave this process."""

    origin: Origin
    created_at: datetime
    identity: bytes = field(default_factory=lambda: os.urandom(32))
    cipher: AESGCM = field(default_factory=lambda: AESGCM(os.urandom(32)), repr=False)

    @property
    def material_id(self) -> str:
        """The id that KMS shows for it."""
        return self.identity.hex()


@dataclass(kw_only=True)
class Family:
    """What a multi-Region primary shares with its replicas: material and rotation; others are alone in it."""

    primary_region: str
    generations: list[Material] = field(default_factory=list)
    period_days: int | None = None
    next_rotation: datetime | None = None
    on_demand_since: datetime | None = None
    on_demand_until: datetime | None = None
    """A rotation on demand that runs: when it began, and when its material will be there."""
    pending: Material | None = None
    """Imported material that a rotation on demand will put in front."""
    members: "dict[str, Key]" = field(default_factory=dict)
    """The living keys by Region."""

    @property
    def current(self) -> Material:
        """The material that encrypts now."""
        return self.generations[-1]

    @property
    def primary(self) -> "Key | None":
        """The primary key, None after it was deleted."""
        return self.members.get(self.primary_region)

    def rotate(self, origin: Origin, at: datetime) -> Material:
        """Put new material in front of the old, which goes on decrypting."""
        material = Material(origin=origin, created_at=at)
        if self.pending is not None:
            material, self.pending = replace(self.pending, origin=origin, created_at=at), None
        self.generations.append(material)
        if origin is Origin.ON_DEMAND:
            self.on_demand_since = self.on_demand_until = None
        if origin is Origin.AUTOMATIC and self.period_days is not None:
            self.next_rotation = at + timedelta(days=self.period_days)
        return material

    def due(self, now: datetime) -> tuple[datetime, Origin] | None:
        """The earliest rotation that fell due until `now`."""
        planned = ((self.next_rotation, Origin.AUTOMATIC), (self.on_demand_until, Origin.ON_DEMAND))
        return min(((at, origin) for at, origin in planned if at is not None and at <= now), default=None)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A permission given to one principal outside the key policy."""

    grant_id: str
    token: str
    grantee: str
    issuer: str
    operations: tuple[str, ...]
    created_at: datetime
    retiring: str | None = None
    name: str | None = None
    constraints: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The last successful cryptographic use of a key."""

    operation: str
    at: datetime
    event_id: str
    request_id: str


@dataclass(frozen=True, kw_only=True)
class CustomStore:
    """The key store outside of KMS that a key lives in; `external_id` names it in an external store."""

    store_id: str
    external_id: str | None = None


@dataclass(kw_only=True)
class Key:
    """One KMS key in one Region."""

    arn: KeyArn
    family: Family
    created_by: Caller
    created_at: datetime
    visible_from: datetime
    policy: str
    description: str = ""
    usage: str = "ENCRYPT_DECRYPT"
    spec: str = SYMMETRIC
    origin: str = "AWS_KMS"
    multi_region: bool = False
    state: State = State.ENABLED
    tags: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    deletion_date: datetime | None = None
    window_days: int | None = None
    store: CustomStore | None = None
    last_usage: Usage | None = None

    @property
    def name(self) -> str:
        """The ARN as text."""
        return str(self.arn)

    @property
    def is_replica(self) -> bool:
        """Whether this is a replica of a multi-Region primary."""
        return self.multi_region and self.arn.region != self.family.primary_region

    @property
    def rotates(self) -> bool:
        """Whether KMS can rotate keys of this kind by itself."""
        return self.spec == SYMMETRIC and self.origin == "AWS_KMS"


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A name for a key."""

    name: str
    key_id: str
    created_at: datetime
    updated_at: datetime


Place = tuple[str, str]
"""An account and a Region."""


class Vault:
    """Every key and alias there is, kept up with the virtual time by `settle`."""

    def __init__(self) -> None:
        self.keys: dict[Place, dict[str, Key]] = {}
        self.aliases: dict[Place, dict[str, Alias]] = {}
        self._families: dict[bytes, Family] = {}
        self.import_tokens: dict[bytes, object] = {}
        """What each token of GetParametersForImport stands for."""
        self._burnt: set[bytes] = set()
        self._settled: datetime | None = None

    def add(self, key: Key) -> None:
        """Take in a new key."""
        self.keys.setdefault((key.arn.account, key.arn.region), {})[key.arn.key_id] = key
        key.family.members[key.arn.region] = key
        for material in key.family.generations:
            self._families[material.identity] = key.family

    def rotate(self, family: Family, origin: Origin, at: datetime) -> None:
        """Give a family new material and remember where it belongs."""
        self._families[family.rotate(origin, at).identity] = family

    def put(self, family: Family, material: Material) -> None:
        """Give a family material of somebody's own and remember where it belongs."""
        family.generations.append(material)
        self._families[material.identity] = family

    def family_of(self, identity: bytes) -> Family | None:
        """The family whose material has this identity, None when it never was or was destroyed."""
        return self._families.get(identity)

    def was_destroyed(self, identity: bytes) -> bool:
        """Whether material of this identity once was, and is no more."""
        return identity in self._burnt

    def settle(self, now: datetime) -> None:
        """Do everything that fell due until `now`: rotations first, then deletions, each at its own time."""
        if self._settled == now:
            return
        self._settled = now
        for key in self._all():
            self._settle_rotation(key.family, now)
        while doomed := [key for key in self._all() if key.deletion_date and key.deletion_date <= now]:
            for key in doomed:
                self._destroy(key)

    def catch_up(self, family: Family, now: datetime) -> None:
        """Rotate now, once of each kind, a key whose rotation fell due while it was not enabled."""
        while (due := family.due(now)) is not None:
            self.rotate(family, due[1], now)

    def _settle_rotation(self, family: Family, now: datetime) -> None:
        primary = family.primary
        if primary is None or primary.state is not State.ENABLED:
            return
        while (due := family.due(now)) is not None:
            at, origin = due
            self.rotate(family, origin, at)

    def _all(self) -> Iterator[Key]:
        return iter([key for place in self.keys.values() for key in place.values()])

    def _destroy(self, key: Key) -> None:
        place = (key.arn.account, key.arn.region)
        del self.keys[place][key.arn.key_id]
        names = self.aliases.get(place, {})
        for alias in [alias for alias in names.values() if alias.key_id == key.arn.key_id]:
            del names[alias.name]
        family = key.family
        del family.members[key.arn.region]
        primary = family.primary
        if primary is not None and primary.state is State.PENDING_REPLICA_DELETION and len(family.members) == 1:
            _start_countdown(primary, key.deletion_date)
        if not family.members:
            self._burn(family)

    def _burn(self, family: Family) -> None:
        for material in family.generations:
            del self._families[material.identity]
            self._burnt.add(material.identity)
        family.generations.clear()


def _start_countdown(key: Key, since: datetime | None) -> None:
    if since is None or key.window_days is None:
        return
    key.state = State.PENDING_DELETION
    key.deletion_date = since + timedelta(days=key.window_days)
