"""The front of `keyturn`: how a command is announced, and the four options that every command has."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from cli import VERSION
from cli.desk import Desk, Sheet, Surroundings, open_desk, telling_failures
from cli.projects import project_id_of

ORDER = (
    *("status", "projects", "project", "policy", "ack", "threshold", "activity"),
    *("rotate", "rotations", "rotation", "rollback", "cancel"),
    *("keys", "key", "attest", "delete", "approve", "calloff", "deletion"),
    *("evidence", "verify", "rehearse", "console", "health", "doctor"),
)
"""The commands in the order of the help."""


class _InOrder(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own Context lies in a private module
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="keyturn",
    cls=_InOrder,
    help="Rotate the AWS KMS keys of MongoDB Atlas projects, and learn when an old key may go.",
    epilog="Exit codes: 0 fine, 1 refused or failed, 2 called wrongly, 3 unreachable or not let in.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

PROJECT = "project_id"
"""The parameter of every command that a project can be named for."""

Endpoint = Annotated[
    str | None,
    typer.Option(
        envvar="KEYTURN_ENDPOINT",
        metavar="URL",
        help="Where Keyturn is: the stack's output EndpointURL, or a sandbox's address.",
    ),
]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="A profile of your AWS configuration.")]
Region = Annotated[
    str | None,
    typer.Option(metavar="REGION", help="The API's AWS region, where its address does not name it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the API says, unchanged.")]
AsJsonOfOurs = Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")]

_EVERYWHERE = {
    "endpoint": (Endpoint, None),
    "profile": (Profile, None),
    "region": (Region, None),
    "as_json": (AsJson, False),
}


def command(name: str, *, example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Announce a command: it gets a Desk before its own arguments, and the options of every command behind them.

    A parameter `project_id` is given as the id, also where somebody typed the project's name.
    """

    def announce(work: Callable[..., None]) -> Callable[..., None]:
        @wraps(work)
        def run(ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - typer hands in what the signature says
            common = {option: given.pop(option) for option in _EVERYWHERE}
            around = ctx.obj if isinstance(ctx.obj, Surroundings) else None
            with open_desk(**common, around=around) as desk:
                if given.get(PROJECT) is not None:
                    given[PROJECT] = project_id_of(desk.client, given[PROJECT])
                work(desk, **given)

        _dress(run, work, _EVERYWHERE)
        app.command(name, epilog=f"\b\nExample:\n  {example}")(run)
        return work

    return announce


def offline_command(name: str, *, example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Announce a command that asks nobody: it gets a Sheet before its own arguments, and --json behind them."""

    def announce(work: Callable[..., None]) -> Callable[..., None]:
        @wraps(work)
        def run(ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - typer hands in what the signature says
            as_json = given.pop("as_json")
            around = ctx.obj if isinstance(ctx.obj, Surroundings) else Surroundings()
            with telling_failures(as_json=as_json):
                work(Sheet(as_json=as_json, around=around), **given)

        _dress(run, work, {"as_json": (AsJsonOfOurs, False)})
        app.command(name, epilog=f"\b\nExample:\n  {example}")(run)
        return work

    return announce


def _dress(run: Callable[..., None], work: Callable[..., None], everywhere: dict[str, tuple[Any, Any]]) -> None:
    """Give a command's runner the signature that typer reads: the work's own, and what all of its kind have."""
    own = [one for one in inspect.signature(work).parameters.values() if one.annotation not in {Desk, Sheet}]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in everywhere.items()
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    parameters = [context, *keyword_only, *common]
    dressed = cast("Any", run)
    del dressed.__wrapped__
    dressed.__signature__ = inspect.Signature(parameters)
    dressed.__annotations__ = {one.name: one.annotation for one in parameters}


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way to call
    if wanted:
        typer.echo(f"keyturn {VERSION}")
        raise typer.Exit


@app.callback()
def front(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show this command's version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Rotate the AWS KMS keys of MongoDB Atlas projects, and learn when an old key may go."""
