"""The fleet and one project as pictures."""

from collections import Counter
from datetime import datetime

from rich.text import Text

from cli.pictures import BAD, BUSY, GOOD, QUIET, WARN, Picture, pairs, points, said, stack, table
from cli.shapes import Shape
from cli.standing import Standing, drift_text, standing, to_know
from cli.words import count, day, distance, dollars, listed, moment, named, when

_MOST_ENDANGERED = 5
_COLOURS = {
    Standing.TROUBLE: BAD,
    Standing.OVERDUE: BAD,
    Standing.DEPLOYING: BUSY,
    Standing.ROTATING: BUSY,
    Standing.DUE_SOON: WARN,
    Standing.FINE: GOOD,
    Standing.NOT_COVERED: QUIET,
}


def draw_status(shape: Shape, now: datetime, top: int) -> Picture:
    """The fleet at a glance: a sentence, then the worst projects, then what old keys cost."""
    projects = shape["items"]
    hidden = len(projects) - top
    return stack(
        said(_summary(projects, now), "bold"),
        said(_old_keys(shape["retiring"])) if shape.get("retiring") else None,
        _endangered(shape["endangered"]) if shape.get("endangered") else None,
        Text(),
        draw_projects({"items": projects[:top]}, now),
        said(f"and {count(hidden, 'project')} more that stand no worse: --top {len(projects)}", QUIET)
        if hidden > 0
        else None,
    )


def _summary(projects: list[Shape], now: datetime) -> str:
    if not projects:
        return "No projects yet: discovery runs once a day."
    counted = Counter(standing(project, now) for project in projects)
    parts = [f"{counted[one]:,} {one.word}" for one in Standing if counted[one]]
    return f"{count(len(projects), 'project')}: {listed(parts)}."


def _old_keys(retiring: Shape) -> str:
    if not retiring["keys"]:
        return "No old key is kept."
    kept = "is" if retiring["keys"] == 1 else "are"
    return f"{count(retiring['keys'], 'old key')} {kept} kept, for {dollars(retiring['dollars_per_month'])} a month."


def _endangered(keys: list[Shape]) -> Picture:
    """Needed keys that somebody disabled or scheduled for deletion, the most urgent first: what can still be saved."""
    shown = [f"{one['key_id']}: {one['warning']['text']}" for one in keys[:_MOST_ENDANGERED]]
    more = len(keys) - len(shown)
    rest = [f"and {count(more, 'key')} more: `keyturn keys`"] if more > 0 else []
    are = "is" if len(keys) == 1 else "are"
    return stack(said(f"{count(len(keys), 'needed key')} {are} in danger:", BAD), points([*shown, *rest]))


def draw_projects(shape: Shape, now: datetime) -> Picture:
    """Projects as a table."""
    columns = ("!standing", "name", "!project", "!due", "to know")
    return table(columns, (_row(project, now) for project in shape["items"]))


def _row(project: Shape, now: datetime) -> tuple[Picture, ...]:
    stands = standing(project, now)
    due = distance(project["due_at"], now) if project["due_at"] else "-"
    name = named(project, "name")
    return Text(stands.word, _COLOURS[stands]), name, project["project_id"], due, to_know(project, now)


def draw_project(project: Shape, now: datetime) -> Picture:
    """One project: how it stands, its key, what is covered, and its policy in a line."""
    stands = standing(project, now)
    policy = project["policy"]
    facts = pairs(
        [
            ("project", project["project_id"]),
            ("standing", Text(stands.word, _COLOURS[stands])),
            ("key", project["key"] or "none"),
            ("key since", day(project["key_since"])),
            ("due", when(project["due_at"], now)),
            ("open rotation", project["open_rotation"]),
            ("not covered", project["not_covered_because"]),
            ("quiet until", _quiet(project, now)),
            ("acknowledged by", project.get("acknowledged_by") if project["quiet_until"] else None),
            (
                "Atlas' alert",
                f"after {count(project['atlas_threshold_days'], 'day')}"
                if project.get("atlas_threshold_days")
                else None,
            ),
            ("covered", ", ".join(project["covered"]) or "no cluster"),
            ("policy", f"every {count(policy['rotation_period_days'], 'day')}, {policy['mode']}, {policy['strategy']}"),
        ]
    )
    return stack(
        said(named(project, "name"), "bold"),
        said(project["banner"], WARN) if project["banner"] else None,
        facts,
        *_list("Drift:", [drift_text(code) for code in project["drift"]]),
        *_list("Not covered:", [f"{one['name']}: {one['reason']}" for one in project["not_covered"]]),
    )


def _quiet(project: Shape, now: datetime) -> str | None:
    """Until when nobody is reminded, and that what is rotated by policy waits as long."""
    until = project["quiet_until"]
    if not until:
        return None
    waits = project["policy"]["mode"] == "rotate" and moment(until) > now
    return f"{day(until)}; the rotation that the policy makes waits until then" if waits else day(until)


def _list(title: str, texts: list[str]) -> tuple[Picture, ...]:
    return (said(title), points(texts)) if texts else ()
