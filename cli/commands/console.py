"""`console`: the page for operators."""

import json
import webbrowser
from typing import Annotated

import typer

from cli.desk import Desk
from cli.front import command


@command("console", example="keyturn console --open")
def console(
    desk: Desk,
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="On loopback; 0 is any free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Serve a page for operators on this machine.

    Its calls are signed with your credentials, so whoever knows its address may do what you may. Ctrl-C ends it.
    """
    from cli.console.server import open_console

    source = desk.client.signer.source
    try:
        with open_console(desk.client, port) as (address, thread):
            if desk.as_json:
                typer.echo(json.dumps({"url": address, "endpoint": desk.client.place.address}))
            else:
                typer.echo(f"{address}\nIt acts as you (credentials: {source}). Ctrl-C ends it.")
            if open_browser:
                webbrowser.open(address)
            thread.join()
    except KeyboardInterrupt:
        desk.say("")
