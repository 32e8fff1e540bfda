"""How a new key reaches the clusters: node by node, over virtual time, with every cluster at its own pace.

After a swap a cluster stays IDLE for another minute or three: whoever looks at once sees nothing happening.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from secrets import token_bytes

from sandbox.atlas.cmk import Cmk, KmsSettings
from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import NODES_PER_SHARD, Cluster, Node, Project, Rolling

MASTER_KEY_LIFE = timedelta(days=90)
"""Atlas renews MongoDB master keys at least this often."""
MOST_PATIENCE = timedelta(days=1)


class Deployment:
    """Moves clusters from one customer key to the next; `on_moved` is told of a cluster that has another key."""

    def __init__(self, ground: Ground, keys: Keys) -> None:
        self._ground = ground
        self._keys = keys
        self.on_moved: Callable[[Cluster], None] = lambda _cluster: None

    def encrypt(self, cluster: Cluster) -> None:
        """Give a new cluster its MongoDB master keys under the project's current key; raises KeyTrouble."""
        cmk = self._settings_of(cluster).cmk
        cluster.nodes = [self._new_node(cmk) for _ in range(cluster.shards * NODES_PER_SHARD)]
        cluster.cmk, cluster.encryption = cmk, "AWS"
        self._expect_renewal(cluster)

    def grow(self, cluster: Cluster) -> None:
        """Give a cluster the nodes of shards that it got; they start on the key that it uses."""
        cmk = cluster.cmk
        while cmk is not None and len(cluster.nodes) < cluster.shards * NODES_PER_SHARD:
            cluster.nodes.append(self._new_node(cmk))

    def _new_node(self, cmk: Cmk) -> Node:
        return Node(cmk=cmk, wrapped=self._keys.wrap(cmk, token_bytes(32)))

    def decrypt(self, cluster: Cluster) -> None:
        """Take the customer key off a cluster."""
        cluster.cmk, cluster.encryption, cluster.rolling = None, "NONE", None
        cluster.nodes, cluster.master_keys_due, cluster.state, cluster.down = [], None, "IDLE", False
        self.on_moved(cluster)

    def swap(self, project: Project) -> None:
        """Have every running encrypted cluster take up the project's key soon; paused ones wait."""
        for cluster in project.alive():
            self.catch_up(cluster)

    def catch_up(self, cluster: Cluster) -> None:
        """Have a cluster take up what it is behind with: its project's key, or the renewal of its master keys."""
        if cluster.keyed:
            self._ground.after(self._ground.minutes(1, 3), partial(self._start, cluster))

    def shut_down(self, project: Project) -> None:
        """Stop the processes of every cluster that runs on the project's key; changes wait until they run again."""
        for cluster in project.alive():
            cluster.down = cluster.down or cluster.keyed

    def start_up(self, project: Project) -> None:
        """Start what was shut down; each cluster catches up with what it missed."""
        for cluster in project.alive():
            if cluster.down:
                cluster.down = False
                self.catch_up(cluster)

    def halt(self, cluster: Cluster) -> None:
        """Stop what goes through a cluster (it was paused or deleted); what is done stays done."""
        cluster.rolling, cluster.state, cluster.down = None, "IDLE", False

    def _settings_of(self, cluster: Cluster) -> KmsSettings:
        settings = self._ground.project(cluster.project_id).encryption
        if settings is None:
            raise RuntimeError(f"cluster {cluster.name} encrypts with a key that its project does not have")
        return settings

    def _start(self, cluster: Cluster) -> None:
        if cluster.rolling is not None or cluster.down or not cluster.keyed:
            return
        wanted = self._wanted(cluster)
        if wanted is None:
            return
        cluster.rolling, cluster.state = wanted, "UPDATING"
        self._tell(cluster, "CLUSTER_UPDATE_STARTED")
        self._ground.after(self._ground.minutes(2, 5), partial(self._step, cluster, wanted))

    def _wanted(self, cluster: Cluster) -> Rolling | None:
        target = self._settings_of(cluster).cmk
        due = cluster.master_keys_due
        renew = due is not None and due <= self._ground.now()
        behind = any(node.cmk.arn != target.arn for node in cluster.nodes)
        return Rolling(target=target, renew=renew) if behind or renew else None

    def _step(self, cluster: Cluster, rolling: Rolling) -> None:
        if cluster.rolling is not rolling:
            return
        try:
            self._change(cluster.nodes[rolling.done], rolling)
        except KeyTrouble:
            # A node without its key stays as it is; Atlas tries again, ever more rarely.
            self._ground.after(rolling.patience, partial(self._step, cluster, rolling))
            rolling.patience = min(2 * rolling.patience, MOST_PATIENCE)
            return
        rolling.done += 1
        if rolling.done < len(cluster.nodes):
            self._ground.after(self._ground.minutes(2, 5), partial(self._step, cluster, rolling))
        else:
            self._finish(cluster, rolling)

    def _change(self, node: Node, rolling: Rolling) -> None:
        old = replace(node.cmk, principal=rolling.target.principal, access=rolling.target.access)
        master_key = self._keys.unwrap(old, node.wrapped)
        if rolling.renew:
            master_key = token_bytes(32)
        node.wrapped = self._keys.wrap(rolling.target, master_key)
        node.cmk = rolling.target

    def _finish(self, cluster: Cluster, rolling: Rolling) -> None:
        cluster.cmk, cluster.rolling, cluster.state = rolling.target, None, "IDLE"
        self.on_moved(cluster)
        self._tell(cluster, "CLUSTER_UPDATE_COMPLETED")
        if rolling.renew:
            cluster.renewals += 1
            self._expect_renewal(cluster)
        if self._wanted(cluster) is not None:
            self.catch_up(cluster)

    def _expect_renewal(self, cluster: Cluster) -> None:
        cluster.master_keys_due = self._ground.now() + MASTER_KEY_LIFE
        self._ground.agenda.add(cluster.master_keys_due, partial(self._start, cluster))

    def _tell(self, cluster: Cluster, kind: str) -> None:
        self._ground.tell(self._ground.project(cluster.project_id), kind, cluster.name)
