"""Knows the true world, watches every call that reaches it, and says at once when a promise is broken."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prove.true_world import TrueAtlas, TrueKeys

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Change, Deletion, Key, Project, Record, Rotation
from chalicelib.domain.swap import exchange_of, names
from chalicelib.domain.vocabulary import KeyState, Strategy
from chalicelib.domain.vocabulary import RotationState as State


class BrokenPromise(AssertionError):
    """What must never happen has happened."""


@dataclass(kw_only=True)
class Oracle:
    """Sees the tracker from behind; `shown` is what this invocation has read of each project's settings."""

    tracker: Any
    atlas: TrueAtlas
    keys: TrueKeys
    shown: dict[str, Settings] = field(default_factory=dict)
    swaps: dict[str, int] = field(default_factory=dict)
    """How many changes of settings reached Atlas, by rotation."""
    changes: int = 0

    def begin(self) -> None:
        """A new invocation has read nothing yet."""
        self.shown.clear()

    def reaches(self, call: str, args: tuple, named: dict) -> None:
        """Judge a call just before its effect."""
        match call:
            case "owner.swap_key":
                self._judge_swap(args[0], args[1], named)
            case "keys.disable" | "keys.schedule_deletion":
                self._judge_end(call, args[0])
            case "tracker.commit":
                self._judge_change(args[0])

    def answered(self, call: str, args: tuple, answer: Any) -> None:
        """Note what the invocation has seen."""
        if call == "atlas.settings":
            self.shown[args[0]] = answer

    def kept(self, kind: type) -> list:
        """Every record of a kind, as the tracker has it now."""
        return [record for record in self.tracker._kept.values() if isinstance(record, kind)]

    def open_of(self, project_id: str) -> list[Rotation]:
        """The rotations of a project that are not over."""
        return [r for r in self.kept(Rotation) if r.project_id == project_id and not r.state.terminal]

    def _judge_swap(self, project_id: str, wanted: KeyArn, named: dict) -> None:
        rotation = next(iter(self.open_of(project_id)), None)
        exchange = exchange_of(rotation) if rotation is not None else None
        _hold(exchange is not None, f"a change of {project_id}'s settings belongs to no open rotation")
        self.swaps[rotation.rotation_id] = self.swaps.get(rotation.rotation_id, 0) + 1
        _hold(wanted == exchange.wanted, f"{wanted} was sent, the rotation wants {exchange.wanted}")
        _hold(exchange.sent_at is not None, "a change was sent that is not announced in the tracker")
        seen, true = self.shown.get(project_id), self.atlas.world.get(project_id)
        _hold(seen is not None, "a change was sent by an invocation that has not looked at the settings")
        _hold(names(seen, exchange.leaving), f"a change was sent while Atlas showed {seen.key}")
        _hold(seen.enabled and seen.valid is True, "a change was sent while Atlas found the settings invalid")
        _hold(named["settings"].valid is True, "a change carries settings that are not valid")
        if true is not None:
            _hold(names(true.settings, exchange.leaving), f"a change overwrites {true.settings.key}")
        on_its_way = [late for late in self.atlas.late if late[1] == project_id]
        _hold(not on_its_way, "a second change was sent while the first is on its way")

    def _judge_end(self, call: str, arn: KeyArn) -> None:
        needs = self.atlas.needs(arn)
        _hold(not needs, f"{call} of {arn}, but {needs[:3]}")
        key = self.tracker._kept.get(("Key", arn.key_id, arn.account, arn.region))
        deletion = self.tracker._kept.get(("Deletion", key.deletion_id)) if key is not None else None
        _hold(deletion is not None, f"{call} of {arn} without a deletion")
        _hold(deletion.compensation or deletion.approved_by is not None, f"{call} of {arn} without approval")
        _hold(arn in self.keys.ours() or not deletion.compensation, f"{call} of {arn}, which we did not make")

    def _judge_change(self, change: Change) -> None:
        self.changes += 1
        if any(record.version != getattr(self._before(record), "version", 0) for record in change.records):
            return  # the tracker refuses it: somebody else wrote first
        for record in change.records:
            before = self._before(record)
            moved = getattr(before, "state", None) != getattr(record, "state", None)
            if isinstance(record, Rotation | Key | Deletion) and moved:
                self._judge_trail(record, before, change)
            if isinstance(record, Rotation) and moved:
                self._judge_claim(record)
            if isinstance(record, Key) and record.safe_since is not None and _verdict(before) is None:
                needs = self.atlas.needs(record.arn)
                _hold(not needs, f"{record.arn} is called safe, but {needs[:3]}")

    def _before(self, record: Record) -> Any:
        match record:
            case Key():
                return self.tracker._kept.get(("Key", record.arn.key_id, record.arn.account, record.arn.region))
            case Rotation():
                return self.tracker._kept.get(("Rotation", record.project_id, record.rotation_id))
            case Deletion():
                return self.tracker._kept.get(("Deletion", record.deletion_id))
            case Project():
                return self.tracker._kept.get(("Project", record.project_id))
            case _:
                return None

    def _judge_trail(self, record: Rotation | Key | Deletion, before: Any, change: Change) -> None:
        said = f"{getattr(before, 'state', 'nothing')} → {record.state}"
        found_unused = isinstance(record, Key) and before is None and record.state is KeyState.UNUSED
        if not found_unused:
            _hold(bool(change.audit), f"{type(record).__name__} went {said} without a line in the trail")
        if isinstance(record, Rotation) and before is not None:
            entries = [(entry.before, entry.after) for entry in change.audit if entry.subject == record.project_id]
            asked = any(entry.what == "rollback requested" for entry in change.audit)
            _hold(asked or (before.state, record.state) in entries, f"the trail does not say {said}")

    def _judge_claim(self, rotation: Rotation) -> None:
        project_id = rotation.project_id
        if (
            rotation.state is State.DEPLOYED
            and rotation.strategy is Strategy.NEW_CMK
            and project_id in self.atlas.world
        ):
            left = self.atlas.still_on(project_id, rotation.new_key)
            _hold(not left, f"deployed is said while {left} still run on another key")
        if rotation.state is State.DEPLOYED and rotation.strategy is Strategy.KMS_ON_DEMAND:
            done = self.keys.renewals(rotation.old_key) - (rotation.renewals_before or 0)
            _hold(done == 1, f"deployed is said after {done} renewals on demand")
        if rotation.state in {State.CANCELLED, State.FAILED} and rotation.new_key is not None:
            on_its_way = [late for late in self.atlas.late if late[1] == project_id]
            told = rotation.error is not None and rotation.error.code in _HANDS
            sent = rotation.swapped_at is None and on_its_way and not told
            _hold(not sent, f"{rotation.state} is said while a change is on its way: {rotation.error}")

    def look(self) -> None:
        """Judge the whole state between two invocations."""
        self.atlas.live()
        for project in self.kept(Project):
            self._judge_open(project)
        for rotation in self.kept(Rotation):
            made = self.keys.made_for(rotation.rotation_id)
            _hold(len(made) <= 1, f"rotation {rotation.rotation_id} has made {len(made)} keys")
            if rotation.swapped_at is not None and rotation.project_id in self.atlas.named:
                ever = {named for named, _ in self.atlas.named[rotation.project_id]}
                took = any(rotation.new_key.key_id in named for named in ever)
                _hold(took, f"the tracker claims a swap to {rotation.new_key} that Atlas never took")

    def _judge_open(self, project: Project) -> None:
        there = [rotation.rotation_id for rotation in self.open_of(project.project_id)]
        _hold(len(there) <= 1, f"{len(there)} rotations of {project.project_id} are open")
        stuck = project.open_rotation is not None and project.open_rotation not in there
        _hold(not stuck, f"the project is held by {project.open_rotation}, which is over")
        _hold(not there or project.open_rotation == there[0], "a rotation is open that the project does not know")

    def agree(self, project_id: str) -> None:
        """After quiet and a discover: what the tracker says of a project's keys is what is true."""
        project = self.tracker._kept[("Project", project_id)]
        current = self.atlas.current(project_id)
        if current is None or not self.atlas.finds_valid(project_id):
            return
        _hold(project.key == current, f"the tracker has {project.key}, Atlas has {current}")
        in_use = [k.arn for k in self.kept(Key) if project_id in k.projects and k.state in _IN_USE]
        _hold(in_use == [current], f"in use are {in_use}, not {current} alone")

    def orphans(self, but_for: Collection[str] = ()) -> list[str]:
        """The keys that we made and that nobody would find again: neither tracked, nor gone for good.

        Those of a project that is gone are left alone: nobody can say any more whether something needs them.
        """
        ours = [arn for arn in self.keys.ours() if self.keys.tags(arn)["keyturn:project"] not in but_for]
        tracked = {key.arn for key in self.kept(Key)}
        lost = [str(arn) for arn in ours if arn not in tracked]
        open_ones = {r.new_key for r in self.kept(Rotation) if not r.state.terminal}
        unused = [k for k in self.kept(Key) if k.state is KeyState.UNUSED and k.arn in ours]
        left = [k for k in unused if k.deletion_id is None and k.arn not in open_ones]
        return lost + [f"{k.arn} is unused" for k in left if not self._is_kept_for_a_stranger(k)]

    def _is_kept_for_a_stranger(self, key: Key) -> bool:
        """Whether the one thing that keeps a key is a snapshot that truly names a key which nobody ever tracked.

        People may name a key in Atlas between two looks and take it away again: whose the snapshot is cannot be known.
        """
        known = {kept.arn.key_id for kept in self.kept(Key)}
        there = [self.atlas.world[p].snapshots for p in key.projects if p in self.atlas.world]
        strange = any(snapshot.key not in known for kept in there for each in kept.values() for snapshot in each)
        return strange and {reason.kind for reason in key.reasons} == {"unidentified_snapshots"}


_IN_USE = frozenset({KeyState.CURRENT, KeyState.DEPLOYING})
_HANDS = frozenset({"key_changed_by_hand", "encryption_disabled"})


def _verdict(before: Key | None) -> datetime | None:
    return before.safe_since if before is not None else None


def _hold(promise: bool, said: str) -> None:  # noqa: FBT001 - the promise itself
    if not promise:
        raise BrokenPromise(said)
