"""Operations on what people call keys: tags and aliases."""

import re
from collections.abc import Iterable, Mapping

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import KmsError, invalid
from sandbox.kms_keys import Alias, Key
from sandbox.kms_names import key_named, locate
from sandbox.kms_pages import page

_MOST_TAGS, _MOST_ALIASES = 50, 50
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]+")


def checked_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a dict, refused where their names are AWS' own."""
    named = {tag["TagKey"]: tag["TagValue"] for tag in tags}
    if any(name.lower().startswith("aws:") for name in named):
        raise KmsError("TagException", "Tags beginning with aws: are reserved")
    if len(named) > _MOST_TAGS:
        raise KmsError("TagException", "Too many tags")
    return named


def tags_as_list(key: Key) -> list[dict[str, str]]:
    """A key's tags as KMS lists them."""
    return [{"TagKey": name, "TagValue": value} for name, value in sorted(key.tags.items())]


def tag(call: Call) -> Answer:
    """TagResource: adds tags and overwrites values."""
    call.key.tags.update(checked_tags(call.given("Tags", [])))
    return {}


def untag(call: Call) -> Answer:
    """UntagResource: takes tags off; those that are not there do no harm."""
    names: list[str] = call.given("TagKeys", [])
    for name in names:
        call.key.tags.pop(name, None)
    return {}


def create_alias(call: Call) -> Answer:
    """CreateAlias: unique per account and Region."""
    name, key = _checked_alias(call), _target(call)
    names = call.vault.aliases.setdefault(call.place, {})
    if name in names:
        arn = f"arn:aws:kms:{call.region}:{call.caller.account}:{name}"
        raise KmsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    if sum(alias.key_id == key.arn.key_id for alias in names.values()) >= _MOST_ALIASES:
        raise KmsError("LimitExceededException", f"{key.name} has reached its limit of aliases")
    names[name] = Alias(name=name, key_id=key.arn.key_id, created_at=call.now, updated_at=call.now)
    return {}


def update_alias(call: Call) -> Answer:
    """UpdateAlias: points an alias at another key; both keys are asked."""
    name = _checked_alias(call)
    old = _existing(call, name)
    call.let_in(locate(call, old.key_id, aliases=False), needs=Needs.NOTHING)
    new = _target(call)
    call.vault.aliases[call.place][name] = Alias(
        name=name, key_id=new.arn.key_id, created_at=old.created_at, updated_at=call.now
    )
    return {}


def delete_alias(call: Call) -> Answer:
    """DeleteAlias: the key stays."""
    name = _checked_alias(call)
    old = _existing(call, name)
    call.let_in(locate(call, old.key_id, aliases=False), needs=Needs.NOTHING)
    del call.vault.aliases[call.place][name]
    return {}


def list_aliases(call: Call) -> Answer:
    """ListAliases: of the account in this Region, or of one key."""
    call.gate.check_account(call, "kms:ListAliases", "*")
    wanted = call.given("KeyId", "")
    key_id = locate(call, wanted, aliases=False).arn.key_id if wanted else None
    aliases = call.vault.aliases.get(call.place, {}).values()
    shown = [
        _shown(call, alias) for alias in sorted(aliases, key=lambda alias: alias.name) if key_id in {None, alias.key_id}
    ]
    return page(call, "Aliases", shown, limit=50)


def _shown(call: Call, alias: Alias) -> Answer:
    return {
        "AliasName": alias.name,
        "AliasArn": f"arn:aws:kms:{call.region}:{call.caller.account}:{alias.name}",
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created_at,
        "LastUpdatedDate": alias.updated_at,
    }


def _checked_alias(call: Call) -> str:
    name = call.given("AliasName", "")
    if not name.startswith("alias/"):
        raise invalid(f"Value '{name}' at 'aliasName' must start with alias/")
    if name.startswith("alias/aws/"):
        raise KmsError("NotAuthorizedException", "")
    if _ALIAS.fullmatch(name) is None:
        raise KmsError("InvalidAliasNameException", f"{name} is not a valid alias")
    resource = f"arn:aws:kms:{call.region}:{call.caller.account}:{name}"
    call.gate.check_account(call, f"kms:{call.operation}", resource)
    return name


def _existing(call: Call, name: str) -> Alias:
    alias = call.vault.aliases.get(call.place, {}).get(name)
    if alias is None:
        arn = f"arn:aws:kms:{call.region}:{call.caller.account}:{name}"
        raise KmsError("NotFoundException", f"Alias {arn} is not found.")
    return alias


def _target(call: Call) -> Key:
    written = call.given("TargetKeyId", "")
    if "alias/" in written:
        raise invalid("Aliases must refer to keys. Not aliases")
    key = locate(call, written, aliases=False)
    if key.arn.account != call.caller.account:
        raise invalid("An alias and its key belong to the same account")
    return call.let_in(key, needs=Needs.KEPT)


OPERATIONS = {
    "TagResource": Operation(run=tag, find=key_named, needs=Needs.KEPT),
    "UntagResource": Operation(run=untag, find=key_named, needs=Needs.KEPT),
    "ListResourceTags": Operation(
        run=lambda call: page(call, "Tags", tags_as_list(call.key), limit=50), find=key_named
    ),
    "CreateAlias": Operation(run=create_alias, find=None),
    "UpdateAlias": Operation(run=update_alias, find=None),
    "DeleteAlias": Operation(run=delete_alias, find=None),
    "ListAliases": Operation(run=list_aliases, find=None),
}
