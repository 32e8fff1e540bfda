"""Names of KMS keys and of principals, normalised so that the same thing always has the same name.

Atlas, KMS and people write the same key as a bare id, as an ARN, with or without capitals, and as
`mrk-…` for multi-Region keys. Comparing anything but the normalised form loses snapshots.
"""

import re
from dataclasses import dataclass

_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_KEY_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):key/(?P<key_id>.+)"
)
_PARTITIONS = {"us-gov-": "aws-us-gov", "cn-": "aws-cn", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}
"""How the names of regions begin outside the partition `aws`."""
_FEDERATED_USER = re.compile(r"arn:aws[a-z-]*:sts::\d{12}:federated-user/.+")
_ASSUMED_ROLE = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/(.+)")


@dataclass(frozen=True, kw_only=True, order=True)
class KeyArn:
    """One KMS key, fully named; `str()` gives its ARN."""

    account: str
    region: str
    key_id: str
    partition: str = "aws"

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:key/{self.key_id}"


def parse_key_id(text: str) -> str | None:
    """Give the bare, lower-case key id that a bare id or key ARN names; None when it names no key."""
    bare = text.strip().lower().rsplit("key/", 1)[-1]
    return bare if _KEY_ID.fullmatch(bare) else None


def parse_key_arn(text: str) -> KeyArn | None:
    """Read a full key ARN; None when it is not one."""
    parts = _KEY_ARN.fullmatch(text.strip().lower())
    if parts is None or _KEY_ID.fullmatch(parts["key_id"]) is None:
        return None
    return KeyArn(**parts.groupdict())


def locate_key(text: str, *, account: str, region: str) -> KeyArn | None:
    """Name fully the key that Atlas or a person wrote as `text`: ARNs say where, bare ids live here."""
    arn = parse_key_arn(text)
    if arn is not None:
        return arn
    key_id = parse_key_id(text)
    if key_id is None:
        return None
    return KeyArn(account=account, region=region, key_id=key_id, partition=partition_of(region))


def partition_of(region: str) -> str:
    """Name the part of AWS in which a region (`us-gov-west-1`) lies, as ARNs spell it."""
    return next((partition for begin, partition in _PARTITIONS.items() if region.startswith(begin)), "aws")


def any_key(*, account: str, region: str, partition: str) -> KeyArn:
    """Stands for a key that is not made yet: whoever may use it may use every key of the account and region."""
    return KeyArn(account=account, region=region, partition=partition, key_id="00000000-0000-0000-0000-000000000000")


def account_of(principal: str) -> str:
    """The account of an IAM role or user; empty for what is no ARN."""
    return principal.split(":")[4] if principal.count(":") > 4 else ""  # noqa: PLR2004 - the fields of an ARN


def aws_region(atlas_region: str) -> str:
    """Turn Atlas' spelling of a region (`US_EAST_1`) into AWS' (`us-east-1`)."""
    return atlas_region.lower().replace("_", "-")


def atlas_region(aws_region: str) -> str:
    """Turn AWS' spelling of a region (`us-east-1`) into Atlas' (`US_EAST_1`)."""
    return aws_region.upper().replace("-", "_")


def principal(caller_arn: str) -> str:
    """Name the person or role behind a caller, so that two sessions of one are never taken for two.

    IAM Identity Center puts the person's name into the session of an `AWSReservedSSO_…` role: there the
    session is the person. Any other assumed role counts as one principal, whatever its sessions are called.
    """
    session = _ASSUMED_ROLE.fullmatch(caller_arn)
    if session is None:
        return caller_arn
    partition, account, role, name = session.groups()
    if role.startswith("AWSReservedSSO_"):
        return f"arn:{partition}:sts::{account}:person/{name.lower()}"
    return f"arn:{partition}:iam::{account}:role/{role}"


def names_nobody(principal: str) -> bool:
    """Whether a principal is a federated user: whoever calls GetFederationToken chooses that name, anew each time."""
    return _FEDERATED_USER.fullmatch(principal) is not None
