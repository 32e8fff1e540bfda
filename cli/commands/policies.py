"""`policy`: what holds for a project or for the fleet, shown and changed."""

from typing import Annotated, Any

import typer

from cli.arguments import GuardMode, Mode, ProjectId, Strategy, ladder_from
from cli.desk import Desk
from cli.drawing.policies import draw_fleet_policy, draw_policy, draw_threshold, field_of
from cli.front import command

_NONE = "none"


@command("policy", example="keyturn policy 64b0c0c0c0c0c0c0c0c0c0c0 --mode rotate --ladder -30,-7,0,7")
def policy(  # noqa: PLR0913 - each parameter is an option
    desk: Desk,
    project_id: Annotated[
        str | None,
        typer.Argument(metavar="PROJECT", help="A project's id or name; without one, the policy of the whole fleet."),
    ] = None,
    *,
    period_days: Annotated[
        str | None,
        typer.Option(metavar="DAYS", help="How long a key may serve; `none`: as Atlas' alert says, else 90."),
    ] = None,
    ladder: Annotated[
        str | None, typer.Option(metavar="DAYS,…", help="When to remind, in days from the due date, as -30,-7,0,7.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="On the due day: remind people, or rotate.")] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="How a key is renewed.")] = None,
    automatic_period_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="How often KMS rotates, with kms-automatic.")
    ] = None,
    kms_role_arn: Annotated[
        str | None,
        typer.Option(metavar="ARN", help="The role for keys of another account, named keyturn-…, or `none`."),
    ] = None,
    recipient: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who is told; once for each, or `none`.")
    ] = None,
    escalate_after_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="From how many days overdue on others are told too.")
    ] = None,
    digest: Annotated[
        bool | None, typer.Option(help="Whether reminders before the due day come in one message a day.")
    ] = None,
    digest_hour: Annotated[
        int | None, typer.Option(metavar="HOUR", help="The hour, in UTC, from which that message is sent.")
    ] = None,
    quarantine_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="How long a key is disabled before its deletion is scheduled.")
    ] = None,
    guard: Annotated[
        GuardMode | None, typer.Option(help="Somebody else deletes a needed key: cancel that, or only tell.")
    ] = None,
    delete_foreign_keys: Annotated[
        bool | None, typer.Option(help="Whether a key may be deleted that Keyturn did not make.")
    ] = None,
    prove_by_snapshot: Annotated[
        bool | None, typer.Option(help="Whether every cluster must show a snapshot made with the next key.")
    ] = None,
    attestation_always: Annotated[
        bool | None, typer.Option(help="Whether a person must vouch for every key that was in use.")
    ] = None,
    inherit: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="Leave this to the fleet's policy again, as `ladder`.")
    ] = None,
) -> None:
    """Show a policy, a project's or the fleet's, or change what is given."""
    wishes: dict[str, Any] = {
        "rotation_period_days": _none_or_days(period_days),
        "ladder": ladder_from(ladder) if ladder is not None else None,
        "mode": mode,
        "strategy": strategy,
        "automatic_period_days": automatic_period_days,
        "kms_role_arn": kms_role_arn,
        "recipients": [] if recipient == [_NONE] else recipient,
        "escalate_after_days": escalate_after_days,
        "digest": digest,
        "digest_hour": digest_hour,
        "quarantine_days": quarantine_days,
        "guard": guard,
        "delete_foreign_keys": delete_foreign_keys,
        "prove_by_snapshot": prove_by_snapshot,
        "attestation_always": attestation_always,
    }
    body = {name: None if wish == _NONE else wish for name, wish in wishes.items() if wish is not None}
    if project_id is None:
        if inherit:
            raise typer.BadParameter("--inherit is for a project: name one")
        shown = desk.client.ask("PATCH", ("policy",), body=body).read() if body else desk.client.get("policy")
        desk.show(shown, draw_fleet_policy)
        return
    if inherit:
        body["inherit"] = [field_of(name) for name in inherit]
    if body:
        shown = desk.client.ask("PATCH", ("projects", project_id, "policy"), body=body).read()
    else:
        shown = desk.client.get("projects", project_id)
    desk.show(shown, draw_policy)


@command("threshold", example="keyturn threshold 64b0c0c0c0c0c0c0c0c0c0c0")
def threshold(desk: Desk, project_id: ProjectId) -> None:
    """Have Atlas' own alert come after the project's rotation period.

    Atlas knows nothing of rotations made by AWS (kms-automatic, kms-on-demand): it counts from the last change of the
    settings, so there its alert comes though the material is fresh. Set it higher in Atlas, or disable it.
    """
    shown = desk.client.ask("POST", ("projects", project_id, "atlas-threshold")).read()
    desk.show(shown, draw_threshold)


def _none_or_days(text: str | None) -> int | str | None:
    if text is None or text == _NONE:
        return text
    if not text.isascii() or not text.isdigit():
        raise typer.BadParameter("--period-days takes a number of days, or `none`")
    return int(text)
