"""Operations on the activity feed of a project."""

from bisect import bisect_left

from sandbox.atlas import answers
from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked
from sandbox.atlas.model import ProjectEvent
from sandbox.atlas.operation import GROUP, Operation
from sandbox.atlas.refusals import Refusal


def _visible(asked: Asked) -> list[ProjectEvent]:
    """What has happened and shows by now, the newest first, as far as the query does not go further back."""
    until = asked.world.now() - asked.world.lags.events
    events, since, to = asked.project.events, asked.moment("minDate"), asked.moment("maxDate")
    first = 0 if since is None else bisect_left(events, since, key=lambda known: known.at.replace(microsecond=0))
    latest = until if to is None else min(until, to)
    return [known for known in reversed(events[first:]) if known.at <= latest]


def _events(asked: Asked) -> Body:
    kinds, other, clusters = asked.every("eventType"), asked.every("excludedEventType"), asked.every("clusterNames")
    known = [
        one
        for one in _visible(asked)
        if (not kinds or one.kind in kinds) and one.kind not in other and (not clusters or one.cluster in clusters)
    ]
    # Recorded answers do not count events unless they are asked to.
    return asked.page(known, lambda one: answers.event(one, asked.project.project_id), counted=False)


def _event(asked: Asked) -> Body:
    wanted = asked.ids["eventId"]
    for known in _visible(asked):
        if known.event_id == wanted:
            return answers.event(known, asked.project.project_id)
    raise Refusal(404, "EVENT_NOT_FOUND", f"There is no event {wanted}.", (wanted,))


OPERATIONS = (
    Operation(template=f"{GROUP}/events", answer=_events, rate="events"),
    Operation(template=f"{GROUP}/events/{{eventId}}", answer=_event, rate="events"),
)
