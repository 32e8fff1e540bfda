"""Which project a word means, and which word a project: its id, or the name that people know it by."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cli.failures import Failure, Misused, Refused
from cli.words import count, plain

if TYPE_CHECKING:
    from cli.client import Client

_ID = re.compile(r"[0-9A-Fa-f]{24}")
"""How Atlas writes the id of a project: what looks like one is never looked for among the names."""


_ONE_BY_ONE = 5
"""Up to so many projects are asked for by themselves, more are looked for in the whole fleet."""


def project_id_of(client: "Client", given: str) -> str:
    """The id of a project that is named by its id or, whatever its case, by its name; raises a Failure.

    A name is looked for in the whole fleet, page by page, because another project may have it too.
    """
    if _ID.fullmatch(given):
        return given
    if given.strip() in {"", ".", ".."}:
        raise Misused(f"`{plain(given)}` names no project.")
    wanted, found = given.casefold(), []
    for page in client.pages("projects"):
        for project in page["items"]:
            if project["project_id"] == given:
                return given
            if project["name"].casefold() == wanted:
                found.append(project["project_id"])
    if not found:
        raise Refused(f"No project has the id or the name `{plain(given)}`: `keyturn projects` lists them all.")
    if len(found) > 1:
        ids = "\n".join(f"  - {project_id}" for project_id in found)
        raise Misused(f"{count(len(found), 'project')} are called `{plain(given)}`: name one by its id.\n{ids}")
    return str(found[0])


def names_of_projects(client: "Client", wanted: Collection[str]) -> Mapping[str, str]:
    """What people call these projects, by their ids; nothing where one cannot be read: an id tells enough then."""
    try:
        if len(wanted) > _ONE_BY_ONE:
            return {one["project_id"]: one["name"] for page in client.pages("projects") for one in page["items"]}
        return {one: client.get("projects", one)["name"] for one in wanted if _ID.fullmatch(one)}
    except Failure:
        return {}
