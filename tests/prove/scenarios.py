"""Short stories of one rotation in trouble, each with what must be true at its end; the oracle watches all along."""

import contextlib
from collections.abc import Callable, Iterator

from fake_atlas import ROLE_ARN
from figures import FULL_SIZE
from prove.trial import Trial
from prove.turmoil import Fault
from simple_world import ANNA, DAY, HOUR, MINUTE, SECOND, a_policy_for

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Key, Rotation
from chalicelib.domain.refusals import Refusal
from chalicelib.domain.vocabulary import KeyState, Strategy
from chalicelib.domain.vocabulary import RotationState as State
from chalicelib.usecases.request_rotation import cancel_rotation, roll_back_rotation
from chalicelib.usecases.rotate import advance_woken

GRANTS = a_policy_for(ROLE_ARN)
SO_LONG = 20 * MINUTE if FULL_SIZE else MINUTE
"""Until when trouble may begin: until the first looks at the deployment, or until the settings are changed."""


def begin(**asked: object) -> tuple[Trial, Rotation]:
    """A project for which a rotation was just requested, and nothing more."""
    trial = Trial()
    rotation = trial.ask(trial.projects[0], **asked)
    assert rotation is not None
    return trial, rotation


def calls_of(**asked: object) -> Iterator[int]:
    """The numbers of the outside calls that such a rotation makes in so long a time."""
    trial, _ = begin(**asked)
    before = trial.weather.calls
    trial.run(SO_LONG)
    yield from range(trial.weather.calls - before)


def through(trial: Trial, rotation: Rotation, *, made: int = 1, swaps: int = 1) -> None:
    """The rotation was deployed with so many keys and changes, and nothing lies about."""
    done = trial.rotation(rotation)
    assert done.state is State.DEPLOYED, done
    assert len(trial.keys.made_for(done.rotation_id)) == made
    assert trial.oracle.swaps.get(done.rotation_id, 0) == swaps
    tidy(trial)


def tidy(trial: Trial) -> None:
    """Two days later the tracker and the true world agree, and no key is lost."""
    trial.run(2 * DAY)
    trial.oracle.agree(trial.projects[0])
    assert trial.oracle.open_of(trial.projects[0]) == []
    assert trial.oracle.orphans() == []


def current(trial: Trial) -> KeyArn | None:
    """The key that Atlas truly has."""
    return trial.atlas.current(trial.projects[0])


def ask(trial: Trial, work: Callable[[], object]) -> None:
    """A person asks; to be refused is an answer too."""

    def asked() -> None:
        with contextlib.suppress(Refusal):
            work()

    trial.invoke(asked)


def cancel(trial: Trial, rotation: Rotation) -> None:
    """A person gives the rotation up."""
    ask(trial, lambda: cancel_rotation(trial.outside, rotation.project_id, rotation.rotation_id, who=ANNA))


def a_rotation_of_a_key_that_clusters_turn_to_slowly() -> None:
    """Clusters leave IDLE eight minutes after the change: until they are done the old key is needed."""
    trial, rotation = begin()
    trial.run(2 * HOUR)
    through(trial, rotation)


def a_death_at_every_call() -> None:
    """The process dies before or after any call; the message comes again."""
    for fault in (Fault.DIES_BEFORE, Fault.DIES_AFTER):
        for number in calls_of():
            trial, rotation = begin()
            trial.keys.lists_after = 4 * MINUTE
            trial.weather.strike(fault, after_calls=number)
            trial.run(5 * HOUR)
            through(trial, rotation)


def a_lost_answer_at_every_call() -> None:
    """Any call is done, but its answer is lost."""
    for number in calls_of():
        trial, rotation = begin()
        trial.keys.lists_after = 4 * MINUTE
        trial.weather.strike(Fault.LOST, after_calls=number)
        trial.run(5 * HOUR)
        through(trial, rotation)


def a_second_worker_at_every_call() -> None:
    """The message is delivered twice, and the second worker starts in the middle of the first."""
    for number in calls_of():
        trial, rotation = begin()
        trial.keys.lists_after = 4 * MINUTE
        body = {"project_id": rotation.project_id, "rotation_id": rotation.rotation_id}

        def work(trial: Trial = trial, body: dict[str, str] = body) -> None:
            trial.overtake(lambda: advance_woken(trial.outside, body))

        trial.weather.meddle(work, after_calls=number)
        trial.run(5 * HOUR)
        through(trial, rotation)


def a_change_that_shows_nine_minutes_late() -> None:
    """The settings read back are the old ones for nine minutes, whoever dies meanwhile."""
    for number in (None, *calls_of()):
        trial, rotation = begin()
        trial.atlas.shows_after = 9 * MINUTE
        if number is not None:
            trial.weather.strike(Fault.DIES_AFTER, after_calls=number)
        trial.run(5 * HOUR)
        through(trial, rotation)


def a_refusal_for_good() -> None:
    """Atlas finds the new key unusable: one change was sent, and the old key stays."""
    trial, rotation = begin()
    trial.weather.meddle(lambda: _spoil_new_keys(trial), after_calls=_calls_until("owner.swap_key"))
    trial.run(HOUR)
    assert trial.rotation(rotation).state is State.FAILED
    assert trial.oracle.swaps == {rotation.rotation_id: 1}
    assert current(trial) == rotation.old_key
    tidy(trial)


def _spoil_new_keys(trial: Trial) -> None:
    for arn in trial.keys.ours():
        trial.keys.set_policy(arn, a_policy_for("arn:aws:iam::111122223333:role/other"))


def _calls_until(name: str) -> int:
    """How many calls a rotation makes before this one."""
    trial, _ = begin()
    made: list[str] = []
    trial.weather.broken = lambda call, _: made.append(call)
    trial.run(MINUTE)
    return made.index(name)


def _while_iam_catches_up(asked: dict[str, object], meanwhile: Callable[[Trial], object]) -> tuple[Trial, Rotation]:
    """Atlas refuses the new key for two minutes, and something else happens in between."""
    trial = Trial()
    trial.atlas.not_yet_until = trial.now + 2 * MINUTE
    rotation = trial.ask(trial.projects[0], **{name: each(trial) for name, each in asked.items()})
    assert rotation is not None
    trial.run(30 * SECOND)
    meanwhile(trial)
    trial.run(2 * HOUR)
    return trial, rotation


def iam_that_catches_up_late() -> None:
    """What passes by itself is asked for again until it has passed."""
    trial, rotation = _while_iam_catches_up({}, lambda _: None)
    assert trial.rotation(rotation).state is State.DEPLOYED


def a_current_key_that_becomes_invalid_before_the_swap() -> None:
    """While the current key cannot be used nothing is sent."""
    first: list[KeyArn] = []

    def disable(trial: Trial) -> None:
        first.append(trial.first_keys[trial.projects[0]])
        trial.keys.disable(first[0])

    trial, rotation = _while_iam_catches_up({}, disable)
    assert trial.rotation(rotation).error.code == "current_key_invalid"
    assert current(trial) == first[0]


def a_key_changed_by_hand_before_the_swap() -> None:
    """What a person has set is never overwritten, and adopted."""
    by_hand: list[KeyArn] = []

    def switch(trial: Trial) -> None:
        by_hand.append(trial.keys.add(policy=GRANTS))
        trial.atlas.set_by_hand(trial.projects[0], key=str(by_hand[0]))

    trial, rotation = _while_iam_catches_up({}, switch)
    assert trial.rotation(rotation).error.code == "key_changed_by_hand"
    assert current(trial) == by_hand[0]
    tidy(trial)


def a_key_changed_by_hand_while_kms_is_slow() -> None:
    """What was seen before KMS took its time is looked at again before anything is sent on its strength."""
    trial, rotation = begin()
    by_hand = trial.keys.add(policy=GRANTS)

    def be_slow() -> None:
        trial.now += 30 * SECOND
        trial.atlas.set_by_hand(trial.projects[0], key=str(by_hand))

    trial.weather.strike_at("keys.name", be_slow)
    trial.run(HOUR)
    assert trial.rotation(rotation).error.code == "key_changed_by_hand"
    assert current(trial) == by_hand
    tidy(trial)


def a_slow_kms() -> None:
    """A look that has grown old costs one more look, and no waiting."""
    trial, rotation = begin()

    def be_slow() -> None:
        trial.now += 15 * SECOND

    trial.weather.strike_at("keys.name", be_slow)
    trial.run(MINUTE)
    assert trial.rotation(rotation).state is State.DEPLOYING
    trial.run(2 * HOUR)
    through(trial, rotation)


def a_brought_key_of_a_rotation_that_is_given_up() -> None:
    """Compensation takes back what was made, never what was brought."""
    trial, rotation = _while_iam_catches_up(
        {"key": lambda trial: str(trial.keys.add(policy=GRANTS))},
        lambda trial: cancel(trial, trial.rotations(trial.projects[0])[0]),
    )
    trial.run(3 * DAY)
    ended = trial.rotation(rotation)
    assert ended.state is State.CANCELLED
    assert trial.keys.status(ended.new_key) is KeyStatus.ENABLED


def a_made_key_of_a_rotation_that_is_given_up() -> None:
    """A key that was made for nothing is taken back within a day."""
    trial, rotation = _while_iam_catches_up({}, lambda trial: cancel(trial, trial.rotations(trial.projects[0])[0]))
    trial.run(DAY)
    ended = trial.rotation(rotation)
    assert ended.state is State.CANCELLED
    assert trial.keys.status(ended.new_key) is KeyStatus.PENDING_DELETION


def a_death_after_the_creation_and_a_cancellation() -> None:
    """A key that nobody has recorded is found, though the rotation was given up."""
    for fault in (Fault.DIES_AFTER, Fault.LOST):
        trial, rotation = begin()
        trial.keys.lists_after = 4 * MINUTE
        trial.weather.strike(fault, after_calls=_calls_until("keys.create"))
        trial.run(SECOND)
        cancel(trial, rotation)
        trial.run(DAY)
        assert trial.rotation(rotation).state is State.CANCELLED
        assert [trial.keys.status(arn) for arn in trial.keys.ours()] == [KeyStatus.PENDING_DELETION]
        tidy(trial)


def a_cancellation_at_every_call() -> None:
    """Given up at any moment: then all is as before, or too late: then it goes on to its end."""
    for delay in (0 * MINUTE, 5 * MINUTE):
        for number in calls_of():
            trial, rotation = begin()
            trial.atlas.shows_after = delay

            def give_up(trial: Trial = trial, rotation: Rotation = rotation) -> None:
                trial.overtake(lambda: cancel(trial, rotation))

            trial.weather.meddle(give_up, after_calls=number)
            trial.run(5 * HOUR)
            ended = trial.rotation(rotation)
            assert ended.state in {State.CANCELLED, State.DEPLOYED}
            assert (current(trial) == rotation.old_key) == (ended.state is State.CANCELLED)
            tidy(trial)


def a_cancellation_while_the_change_is_on_its_way() -> None:
    """From the moment the change is sent there is no cancelling."""
    trial, rotation = begin()
    trial.atlas.shows_after = 5 * MINUTE
    trial.run(MINUTE)
    cancel(trial, rotation)
    trial.run(2 * HOUR)
    through(trial, rotation)


def a_rollback() -> None:
    """Back to the old key, whose cycle goes on."""
    trial, rotation = begin()
    trial.run(2 * HOUR)
    ask(trial, lambda: roll_back_rotation(trial.outside, rotation.project_id, rotation.rotation_id, who=ANNA))
    trial.run(2 * HOUR)
    assert trial.rotation(rotation).state is State.ROLLED_BACK
    assert current(trial) == rotation.old_key
    tidy(trial)


def a_rollback_to_a_key_that_was_disabled() -> None:
    """There is no way back to a key that cannot be used: no change is sent."""
    trial, rotation = begin()
    trial.run(2 * HOUR)
    trial.keys.disable(rotation.old_key)
    ask(trial, lambda: roll_back_rotation(trial.outside, rotation.project_id, rotation.rotation_id, who=ANNA))
    trial.run(2 * HOUR)
    assert trial.oracle.swaps == {rotation.rotation_id: 1}
    assert current(trial) == trial.rotation(rotation).new_key
    assert trial.rotation(rotation).state is State.DEPLOYED


def a_swap_that_a_person_undoes() -> None:
    """A person puts the old key back in Atlas during the deployment: the rotation ends, and the project is free."""
    trial, rotation = begin()
    trial.run(20 * MINUTE)
    trial.atlas.set_by_hand(trial.projects[0], key=str(rotation.old_key))
    trial.run(DAY)
    assert trial.rotation(rotation).state is State.FAILED
    assert current(trial) == rotation.old_key
    tidy(trial)


def a_second_request() -> None:
    """A rotation during a rotation is refused; the same request again is the same rotation."""
    trial, rotation = begin(idempotency_key="one")
    again = trial.ask(trial.projects[0], idempotency_key="one")
    assert again is not None
    assert again.rotation_id == rotation.rotation_id
    ask(trial, lambda: trial.ask(trial.projects[0], idempotency_key="two"))
    assert [one.rotation_id for one in trial.rotations(trial.projects[0])] == [rotation.rotation_id]
    trial.run(2 * HOUR)
    through(trial, rotation)


def a_renewal_in_trouble_at_every_call() -> None:
    """However it went, KMS renewed the material exactly once, which the oracle counts when it is called done."""
    for fault in (Fault.BUSY, Fault.LOST, Fault.DIES_BEFORE, Fault.DIES_AFTER):
        for number in calls_of(strategy=Strategy.KMS_ON_DEMAND):
            trial, rotation = begin(strategy=Strategy.KMS_ON_DEMAND)
            trial.keys.lists_after = 4 * MINUTE
            trial.weather.strike(fault, after_calls=number)
            trial.run(5 * HOUR)
            through(trial, rotation, made=0, swaps=0)
            assert trial.keys.renewals(rotation.old_key) == 1


def a_cluster_that_is_paused_during_the_swap() -> None:
    """A paused cluster keeps the old key, and with it the key is kept, until it has been seen running."""
    trial, rotation = begin()
    project_id = trial.projects[0]
    trial.atlas.pause(project_id, "side")
    trial.run(20 * DAY)
    old = next(key for key in trial.oracle.kept(Key) if key.arn == rotation.old_key)
    assert (old.state, old.safe_since) == (KeyState.RETIRING, None)
    trial.atlas.resume(project_id, "side")
    trial.run(20 * DAY)
    old = next(key for key in trial.oracle.kept(Key) if key.arn == rotation.old_key)
    assert old.safe_since is not None


def trouble_that_lasts_for_hours() -> None:
    """What was parked wakes by itself from the time index, though every message is lost."""
    for broken, hours in (("atlas.settings", 5), ("keys.create", 5), ("atlas.clusters", 5), ("owner.swap_key", 1)):
        trial, rotation = begin()
        trial.weather.broken = lambda call, _, broken=broken: Fault.BUSY if call == broken else None
        trial.run(hours * HOUR)
        trial.weather.broken = lambda _call, _args: None
        trial.run(4 * HOUR)
        assert trial.rotation(rotation).state is State.DEPLOYED, (broken, trial.rotation(rotation))


def messages_that_come_in_threes() -> None:
    """Every message three times and out of order: as many steps and looks as when each comes once."""
    looks = []
    for copies in ([0], [0, 5, 60]):
        trial, rotation = begin()
        trial.post_office.copies = lambda copies=copies: [late * SECOND for late in copies]
        trial.run(2 * HOUR)
        through(trial, rotation)
        looks.append(trial.rotation(rotation).version)
    once, thrice = looks
    assert thrice <= once + 4, looks


SCENARIOS: tuple[Callable[[], None], ...] = (
    a_rotation_of_a_key_that_clusters_turn_to_slowly,
    a_rollback,
    a_refusal_for_good,
    iam_that_catches_up_late,
    a_current_key_that_becomes_invalid_before_the_swap,
    a_key_changed_by_hand_before_the_swap,
    a_key_changed_by_hand_while_kms_is_slow,
    a_slow_kms,
    a_brought_key_of_a_rotation_that_is_given_up,
    a_made_key_of_a_rotation_that_is_given_up,
    a_death_after_the_creation_and_a_cancellation,
    a_cancellation_while_the_change_is_on_its_way,
    a_rollback_to_a_key_that_was_disabled,
    a_cluster_that_is_paused_during_the_swap,
    a_swap_that_a_person_undoes,
    a_second_request,
    messages_that_come_in_threes,
    trouble_that_lasts_for_hours,
    a_renewal_in_trouble_at_every_call,
    a_second_worker_at_every_call,
    a_lost_answer_at_every_call,
    a_death_at_every_call,
    a_change_that_shows_nine_minutes_late,
    a_cancellation_at_every_call,
)
