"""The pretend Atlas' world, and what a customer does in it: projects, clusters, backups, keys."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import Any, Literal

from chalicelib.domain.arn import atlas_region, parse_key_arn
from sandbox.atlas.alerts import Alerts
from sandbox.atlas.backups import Backups
from sandbox.atlas.cmk import AccessKey, PrivateEndpoint
from sandbox.atlas.deployment import Deployment
from sandbox.atlas.encryption import Encryption
from sandbox.atlas.estate import add_role, new_project, role_beside
from sandbox.atlas.ground import Ground
from sandbox.atlas.habits import Habits
from sandbox.atlas.jobs import Jobs
from sandbox.atlas.keys import Keys, NoUsers, Trust, Users, trusted_by_all
from sandbox.atlas.lags import Lags
from sandbox.atlas.model import Organization, Project, ServiceAccount
from sandbox.atlas.news import news_of
from sandbox.atlas.oplogs import Oplogs
from sandbox.atlas.validity import Validity
from sandbox.atlas.world_backups import BackupsOfTheWorld
from sandbox.atlas.world_clusters import ClustersOfTheWorld

ORGANIZATION = "5f0000000000000000000a71"
ACCOUNT_SECRETS_LIVE = timedelta(days=3650)
"""Longer than any story, which is longer than Atlas lets them."""


class AtlasWorld(ClustersOfTheWorld, BackupsOfTheWorld):
    """The state of one organization on a virtual clock; share it between threads under `lock`.

    `kms` is KMS as roles call it, which `trust` says may be assumed; `users` is AWS as IAM users call it, for projects
    of `credentials`.
    """

    def __init__(  # noqa: PLR0913 - all that a world stands on
        self,
        now: Callable[[], datetime],
        kms: Callable[..., dict[str, Any]],
        *,
        users: Users | None = None,
        trust: Trust = trusted_by_all,
        organization: str = ORGANIZATION,
        seed: int = 0,
        habits: Habits | None = None,
        changes: Callable[[], object] | None = None,
    ) -> None:
        self.lock = RLock()
        self.ground = Ground(now, seed=seed, habits=habits or Habits())
        self.organization = Organization(organization_id=organization, name="Pretend organization")
        keys = Keys(kms, users or NoUsers(), trust)
        self.validity = Validity(self.ground, keys, changes)
        self.deployment = Deployment(self.ground, keys)
        self.backups = Backups(self.ground, keys, self.validity.check)
        self.oplogs = Oplogs(self.ground, keys)
        self.jobs = Jobs(self.ground, keys, self.oplogs)
        self.encryption = Encryption(self.ground, keys, self.validity)
        self.alerts = Alerts(self.ground)
        self._connect()
        secrets = Random(f"service accounts {seed}")
        self.reader = _service_account("reader", secrets)
        self.owner = _service_account("owner", secrets)
        self.secrets_expire = {one.client_id: now() + ACCOUNT_SECRETS_LIVE for one in (self.reader, self.owner)}
        """Per service account when its one secret expires; change it as you like. It goes on being taken."""

    def _connect(self) -> None:
        self.deployment.on_moved = self.oplogs.follow
        self.encryption.on_swap = self._swapped
        self.validity.on_change = self._validity_changed
        self.validity.on_broken = self.deployment.shut_down

    def _swapped(self, project: Project) -> None:
        self.deployment.swap(project)
        self.alerts.watch(project)

    def _validity_changed(self, project: Project) -> None:
        if project.was_valid:
            self.deployment.start_up(project)
        self.alerts.look(project)

    @property
    def lags(self) -> Lags:
        """How late things show; change them as you like."""
        return self.ground.lags

    @property
    def projects(self) -> dict[str, Project]:
        """The projects by id."""
        return self.ground.projects

    @property
    def changes(self) -> object:
        """A value that is another one after whatever a look at the projects could find; new snapshots are no news."""
        with self.lock:
            return self.ground.told, tuple(news_of(project) for project in self.projects.values())

    def now(self) -> datetime:
        """The virtual time."""
        return self.ground.now()

    def next_event_at(self) -> datetime | None:
        """When the next thing happens by itself."""
        with self.lock:
            coming = [at for at in (self.ground.agenda.next_at(), self.validity.next_look()) if at is not None]
            return min(coming, default=None)

    def run_due(self) -> None:
        """Do all that is due, each thing at its own moment; KMS sees the present, so call this at every event."""
        with self.lock:
            until = self.ground.clock()
            while (due := self.ground.agenda.take_due(until)) is not None:
                at, action = due
                with self.ground.at(at):
                    action()
            self.validity.look()

    def add_project(
        self,
        name: str,
        *,
        key: str | None = None,
        region: str = "us-east-1",
        role_arn: str | None = None,
        provider: Literal["AWS", "AZURE", "GCP"] | None = None,
        credentials: AccessKey | None = None,
    ) -> str:
        """Make a project and give its id; with a key, encryption is enabled with it, else a Refusal is raised.

        Without `role_arn` the key is used by a role in its own account. Providers but AWS only show as enabled.
        With `credentials` it is one of the old projects that encrypt as an IAM user.
        """
        with self.lock:
            project = new_project(self.ground, name, self.organization.organization_id)
            project.check = self.validity.check
            project.other_provider = provider if provider in {"AZURE", "GCP"} else None
            project.legacy = credentials is not None
            if key is not None:
                self._enable(project, key, region, credentials or role_arn)
            elif role_arn is not None:
                add_role(self.ground, project, role_arn)
            self.projects[project.project_id] = project
            return project.project_id

    def switch_key_by_hand(self, project_id: str, key: str) -> None:
        """Change the project's key as somebody with a browser does; a Refusal is raised as the API answers it."""
        arn = parse_key_arn(key)
        block: dict[str, object] = {"enabled": True, "customerMasterKeyID": key}
        if arn is not None:
            block["region"] = atlas_region(arn.region)
        with self.lock:
            self.encryption.change(self.ground.project(project_id), {"awsKms": block})

    def disable_encryption(self, project_id: str) -> None:
        """Take the customer key off all clusters and then off the project; old snapshots keep theirs."""
        with self.lock:
            project = self.ground.project(project_id)
            for cluster in project.alive():
                self.deployment.decrypt(cluster)
            self.encryption.change(project, {"awsKms": {"enabled": False}})

    def remove_project(self, project_id: str) -> None:
        """Remove a project with all that is in it, backups too."""
        with self.lock:
            for cluster in self.ground.project(project_id).alive():
                self.delete_cluster(project_id, cluster.name, retain_backups=False)
            del self.projects[project_id]

    def add_role(self, project_id: str, arn: str | None) -> str:
        """Offer Atlas a role for a project and give its id; without an ARN it is one that was not authorized yet."""
        with self.lock:
            return add_role(self.ground, self.ground.project(project_id), arn).role_id

    def add_private_endpoint(self, project_id: str, region: str, status: str = "ACTIVE") -> str:
        """Give a project a private endpoint to KMS in a region (Atlas' spelling), and give its id."""
        with self.lock:
            endpoint_id = self.ground.names.object_id(self.now())
            made = PrivateEndpoint(endpoint_id=endpoint_id, region=region, status=status)
            self.ground.project(project_id).private_endpoints.append(made)
            return endpoint_id

    def _enable(self, project: Project, key: str, region: str, user_or_role: AccessKey | str | None) -> None:
        arn = parse_key_arn(key)
        where = atlas_region(region if arn is None else arn.region)
        block: dict[str, object] = {"enabled": True, "customerMasterKeyID": key, "region": where}
        if isinstance(user_or_role, AccessKey):
            block["accessKeyID"] = user_or_role.access_key_id
            block["secretAccessKey"] = user_or_role.secret_access_key
        else:
            block["roleId"] = add_role(self.ground, project, user_or_role or role_beside(arn)).role_id
        self.encryption.change(project, {"awsKms": block})


def _service_account(role: str, secrets: Random) -> ServiceAccount:
    return ServiceAccount(f"mdb_sa_id_{role}", f"mdb_sa_sk_{secrets.getrandbits(160):040x}")
