"""The hall: every trigger of Keyturn on one screen, each a one-line adapter to one verb."""

import warnings
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from chalice.app import Chalice, CloudWatchEvent, ConvertToMiddleware, DynamoDBEvent, SQSEvent

from chalicelib import wiring
from chalicelib.api import routes

app = Chalice(app_name="keyturn", configure_logs=False)
logger = Logger(service="keyturn-functions", use_rfc3339=True)
metrics = Metrics(namespace="Keyturn", service="keyturn")
wiring.guard_logs(logger)
warnings.filterwarnings("ignore", "No application metrics to publish")  # a quiet wake-up is no news

app.register_middleware(ConvertToMiddleware(logger.inject_lambda_context))
app.register_middleware(ConvertToMiddleware(metrics.log_metrics))
app.register_blueprint(routes)

# Replaced by the stack's own queues and stream when the template is merged (.chalice/resources.yaml).
QUEUE = "arn:aws:sqs:us-east-1:000000000000:placeholder"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/placeholder/stream/placeholder"
KMS_OPERATIONS = [
    "ScheduleKeyDeletion",
    "DisableKey",
    "PutKeyPolicy",
    "DeleteAlias",
    "CancelKeyDeletion",
    "EnableKey",
]
KMS_CALLS = {
    "source": ["aws.kms"],
    "$or": [
        {"detail": {"eventName": KMS_OPERATIONS}},
        {"detail-type": ["KMS CMK Deletion"]},
    ],
}


@app.schedule("rate(1 day)")
def discover(event: CloudWatchEvent) -> None:
    """Read every project: settings, clusters, keys, drift."""
    from chalicelib.usecases.discover import discover_all

    metrics.add_metric("ProjectsDiscovered", "Count", discover_all(wiring.outside(event.context)))


@app.schedule("rate(1 hour)")
def remind(event: CloudWatchEvent) -> None:
    """Speak the reminders that are owed, each once."""
    from chalicelib.usecases.remind import remind_all

    metrics.add_metric("RemindersOwed", "Count", remind_all(wiring.outside(event.context)))


@app.schedule("rate(1 hour)")
def digest(event: CloudWatchEvent) -> None:
    """Write the day's digests: in one message what many projects owe before their due days."""
    from chalicelib.usecases.digest import send_digests

    metrics.add_metric("DigestsWritten", "Count", send_digests(wiring.outside(event.context)))


@app.on_sqs_message(queue_arn=QUEUE, batch_size=1)
def rotate(event: SQSEvent) -> Any:  # noqa: ANN401 - Lambda's own shape
    """Take one step of each rotation that is woken."""
    from chalicelib.usecases.rotate import advance_woken

    return wiring.each_message(event.to_dict(), event.context, lambda body: advance_woken(wiring.outside(), body))


@app.lambda_function()
def preview(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 - Lambda's own shapes
    """Make the preflight of a rotation that nobody has opened: it reads, and changes nothing."""
    from chalicelib.usecases.preview import preview_asked

    return preview_asked(wiring.outside(context), event)


@app.lambda_function()
def hear(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 - Lambda's own shapes
    """Judge a call of Atlas' alert webhook: who has the secret may make us look."""
    from chalicelib.usecases.hear import hear_asked

    return hear_asked(wiring.outside(context, cause=event.get("request_id")), event)


@app.lambda_function()
def adjust(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 - Lambda's own shapes
    """Set Atlas' own alert to our period."""
    from chalicelib.usecases.adjust import adjust_asked

    return adjust_asked(wiring.outside(context), event)


@app.schedule("rate(1 hour)")
def track(event: CloudWatchEvent) -> None:
    """Wake the keys that need a look and the rotations that overslept."""
    from chalicelib.usecases.track import wake_what_is_due

    metrics.add_metric("Woken", "Count", wake_what_is_due(wiring.outside(event.context)))


@app.on_sqs_message(queue_arn=QUEUE, batch_size=1)
def sweep(event: SQSEvent) -> Any:  # noqa: ANN401 - Lambda's own shape
    """Gather one key's evidence and give the verdict."""
    from chalicelib.usecases.sweep import sweep_woken

    return wiring.each_message(event.to_dict(), event.context, lambda body: sweep_woken(wiring.outside(), body))


@app.schedule("rate(1 hour)")
def retire(event: CloudWatchEvent) -> None:
    """Advance approved deletions, each step on a fresh proof."""
    from chalicelib.usecases.retire import advance_deletions

    metrics.add_metric("DeletionsAdvanced", "Count", advance_deletions(wiring.outside(event.context)))


@app.on_cw_event(KMS_CALLS)
def guard(event: CloudWatchEvent) -> None:
    """Call off what would destroy a key that is still needed, and tell who did it."""
    from chalicelib.usecases.guard import guard_key

    going = guard_key(wiring.outside(event.context), event.to_dict())
    metrics.add_metric("KeysPendingDeletionOutside", "Count", going)


@app.schedule("rate(1 day)")
def patrol(event: CloudWatchEvent) -> None:
    """Look after every needed key as KMS has it: an event may have been missed."""
    from chalicelib.usecases.patrol import patrol_keys

    seen = patrol_keys(wiring.outside(event.context))
    metrics.add_metric("KeysPatrolled", "Count", seen.keys)
    metrics.add_metric("KeysPendingDeletionOutside", "Count", seen.going)


@app.schedule("rate(1 hour)")
def watch(event: CloudWatchEvent) -> None:
    """Watch over Keyturn itself: dead letters, and credentials that expire."""
    from chalicelib.usecases.watch import watch_over_keyturn

    metrics.add_metric("DeadLetters", "Count", watch_over_keyturn(wiring.outside(event.context)))


@app.on_dynamodb_record(stream_arn=STREAM, batch_size=10, starting_position="TRIM_HORIZON")
def announce(event: DynamoDBEvent) -> Any:  # noqa: ANN401 - Lambda's own shape
    """Send notices as they are written: the fast path."""
    from chalicelib.usecases.announce import announce_written

    return wiring.each_record(event.to_dict(), event.context, lambda name: announce_written(wiring.outside(), name))


@app.schedule("rate(5 minutes)")
def relay(event: CloudWatchEvent) -> None:
    """Send notices that still wait: the sure path."""
    from chalicelib.usecases.relay import send_all_due

    metrics.add_metric("NoticesRelayed", "Count", send_all_due(wiring.outside(event.context)))
