"""A world for real sweeps: our verbs and our Atlas adapter over HTTP, the tracker and KMS those of the tests."""

import random
import time
from dataclasses import dataclass, replace

from peers.estate import NOW_USED, RETIRING, Estate
from simple_world import DAY, START, World, a_world

from chalicelib.adapters.atlas import AtlasReader
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_token import Credentials
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence import Evidence, Tally, tally
from chalicelib.domain.records import Key
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.gathering import gather_evidence
from chalicelib.usecases.ports import Tracker
from chalicelib.wiring import at_once, system_clock

RETIRING_KEY, KEY_NOW_USED = (
    KeyArn(account="111122223333", region="eu-west-1", key_id=key_id) for key_id in (RETIRING, NOW_USED)
)
KNOWN = frozenset({RETIRING, NOW_USED})
_FOR_EVER = 900.0


@dataclass(frozen=True, kw_only=True)
class Sweeping:
    """A world with one retiring key, and the projects that once used it."""

    world: World
    estates: tuple[Estate, ...]

    @property
    def key(self) -> Key:
        """The key that is swept."""
        key: Key | None = self.world.tracker.key(RETIRING_KEY)
        if key is None:
            raise LookupError("the world has lost its key")
        return key

    def gather(self) -> Evidence:
        """One real gathering; that it read and counted everything is asserted."""
        evidence = gather_evidence(self.world.outside, self.key, self.world.now)
        check_work(evidence, self.estates)
        return evidence


def reader(address: str) -> AtlasReader:
    """Our adapter, speaking to a server."""
    return AtlasReader(
        AtlasHttp(
            base_url=address,
            credentials=lambda: Credentials(client_id="bench", client_secret="bench"),
            now=system_clock,
            sleep=time.sleep,
            random=random.random,
            seconds_left=lambda: _FOR_EVER,
        ),
        "a0123456789abcdef0123456",
    )


def sweeping(address: str, *estates: Estate, tracker: Tracker | None = None) -> Sweeping:
    """Projects at a server that used a key together, which was replaced some time ago."""
    world = a_world()
    atlas, known = reader(address), world.project
    world.tracker = tracker or world.tracker
    world.outside = replace(world.outside, tracker=world.tracker, atlas=lambda _organization: atlas, at_once=at_once)
    names = tuple(estate.project_id for estate in estates)
    for name in names:
        world.put(replace(known, project_id=name, name=name, key=KEY_NOW_USED, version=0))
    seen = {"projects": names, "first_seen_at": START - 100 * DAY}
    swapped = {"replaced_at": START - 10 * DAY, "deployed_at": START - 9 * DAY}
    world.put(Key(arn=RETIRING_KEY, state=KeyState.RETIRING, **seen, **swapped))
    world.put(Key(arn=KEY_NOW_USED, state=KeyState.CURRENT, **seen))
    return Sweeping(world=world, estates=estates)


def check_work(evidence: Evidence, estates: tuple[Estate, ...]) -> None:
    """Every call was answered, every cluster looked at, every snapshot read once, every one of the key found."""
    unread = [*evidence.unread, *(u for p in evidence.projects for u in p.unread)]
    unread += [u for _, cluster in evidence.clusters() for u in cluster.unread]
    assert not unread, unread
    tallies = [cluster.tally for _, cluster in evidence.clusters()]
    did = (len(tallies), sum(one.read for one in tallies), sum(one.of_this_key for one in tallies))
    owed = (
        sum(estate.read for estate in estates),
        sum(estate.all_snapshots for estate in estates),
        sum(estate.of_retiring_key for estate in estates),
    )
    assert did == owed, (did, owed)


def count_snapshots(atlas: AtlasReader, estate: Estate) -> Tally:
    """Read and count the snapshots of one cluster, as a sweep does."""
    snapshots = atlas.snapshots(estate.project_id, "living-0")
    return tally(Tally(), snapshots, key_id=RETIRING, known=KNOWN, encrypted=True)
