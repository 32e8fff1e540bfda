"""The Atlas of a pretend world: our own in this process, calling the strict KMS, or somebody else's by address."""

import base64
import json
import urllib.request
from typing import Any

from sandbox.atlas import ATLAS_ACCOUNT, AtlasWorld, PretendAtlas, Webhook
from sandbox.atlas.aws_users import SignedUsers
from sandbox.kms_callers import Caller
from sandbox.world import WEBHOOK_SECRET, AtlasMaker, AtlasPlace, AtlasTime, Timeless, World

ORGANIZATION = "5e1f00000000000000000001"
SEED = 1

_ATLAS = Caller(ATLAS_ACCOUNT, ATLAS_ACCOUNT.split(":")[4])
_LOGIN = ("keyturn", "any")
_SECONDS = 10.0


class Embedded:
    """Makes the pretend Atlas of a world and keeps it at hand as `world`, its server as `server`, for storytellers."""

    def __init__(self, *, seed: int = SEED, port: int = 0) -> None:
        self._seed = seed
        self._port = port
        self.world: AtlasWorld
        self.server: PretendAtlas

    def __call__(self, outer: World) -> tuple[AtlasPlace, AtlasTime]:
        """Start it; it calls KMS as whichever principal a project names, while that role lets Atlas in."""

        def kms(operation: str, body: dict[str, object], *, principal_arn: str, region: str) -> dict[str, Any]:
            caller = Caller(principal_arn, principal_arn.split(":")[4])
            return outer.aws.kms.call(operation, body, caller=caller, region=region)

        def trust(role_arn: str, *, external_id: str) -> bool:
            return outer.aws.trusts(role_arn, _ATLAS, external_id=external_id)

        users = SignedUsers(outer.aws.address, outer.aws.secret_of)
        self.world = AtlasWorld(
            outer.clock.now,
            kms,
            users=users,
            trust=trust,
            organization=ORGANIZATION,
            seed=self._seed,
            changes=lambda: outer.aws.changes,
        )
        keep = outer.progress.webhooks.append
        self.world.alerts.webhook = Webhook(deliver=lambda raw, headers: keep((raw, headers)), secret=WEBHOOK_SECRET)
        self.server = outer.stack.enter_context(PretendAtlas(self.world, port=self._port))
        reader, owner = self.world.reader, self.world.owner
        place = AtlasPlace(
            address=self.server.address,
            organization=ORGANIZATION,
            reader=(reader.client_id, reader.client_secret),
            owner=(owner.client_id, owner.client_secret),
        )
        return place, self.world


def elsewhere(address: str) -> AtlasMaker:
    """An Atlas at `address` that takes any client id and secret; its first organization is Keyturn's."""

    def make(_outer: World) -> tuple[AtlasPlace, AtlasTime]:
        place = AtlasPlace(address=address, organization=_organization(address), reader=_LOGIN, owner=_LOGIN)
        return place, Timeless()

    return make


def _organization(address: str) -> str:
    """The id that GET /orgs names first; raises LookupError when it names none."""
    token = _read(address, "/api/oauth/token", authorization=f"Basic {_basic()}", data=b"grant_type=client_credentials")
    listed = _read(address, "/api/atlas/v2/orgs", authorization=f"Bearer {token['access_token']}")
    for organization in listed["results"]:
        return str(organization["id"])
    raise LookupError(f"the Atlas at {address} lists no organization")


def _basic() -> str:
    return base64.b64encode(":".join(_LOGIN).encode()).decode()


def _read(address: str, path: str, *, authorization: str, data: bytes | None = None) -> Any:  # noqa: ANN401 - any JSON
    accept = "application/json" if data else "application/vnd.atlas.2023-01-01+json"
    headers = {"Authorization": authorization, "Accept": accept}
    request = urllib.request.Request(address.rstrip("/") + path, data=data, headers=headers)  # noqa: S310 - given by who starts the sandbox
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - the same
        return json.load(answer)
