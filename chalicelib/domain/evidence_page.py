"""The evidence pack as people print it (HTML without anything from elsewhere) and as they sort it (CSV).

Both leave out the entries of the chains and the text of the proofs: those are for programs, in the JSON.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from chalicelib.domain.counting import counted

Pack = dict[str, Any]
Row = dict[str, Any]

_STYLE = """
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #1c2430; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; break-after: avoid; }
p { margin: .2rem 0; } .about, .none, .note { color: #566173; } .note { margin-top: .4rem; }
.digest { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } thead { display: table-header-group; } tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #dde2ea; }
th { font-weight: 600; color: #566173; } td { overflow-wrap: break-word; }
.exceptions td:first-child { font-weight: 600; color: #9b1c1c; }
@page { size: A4 landscape; margin: 14mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 8.5pt; } }
@media screen and (max-width: 60rem) {
  thead { display: none; } tr { display: block; padding: .5rem 0; border-bottom: 1px solid #dde2ea; }
  td { display: grid; grid-template-columns: 9rem minmax(0, 1fr); gap: .6rem; padding: .1rem 0; border: 0; }
  td:empty { display: none; }
  td::before { content: attr(data-label); color: #566173; } td > span { min-width: 0; overflow-wrap: anywhere; }
}
@media screen and (max-width: 30rem) { td { grid-template-columns: minmax(0, 1fr); gap: 0; padding: .2rem 0; } }
"""
_TABLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("exceptions", "Exceptions", ("kind", "text", "days")),
    (
        "policy_history",
        "Changes of the policy",
        ("at", "who", "before", "after", "why"),
    ),
    (
        "keys",
        "Keys and their cryptoperiods",
        (
            "arn",
            "state",
            "in_use_from",
            "renewed_by_kms_at",
            "stop_encrypting_by",
            "stopped_encrypting_at",
            "stop_decrypting_by",
            "needed_until",
            "proof",
        ),
    ),
    ("dependents", "Dependents", ("key", "cluster", "snapshots", "last_expiry", "seen_at")),
    (
        "rotations",
        "Rotations",
        (
            "rotation_id",
            "requested_at",
            "requested_by",
            "reason",
            "strategy",
            "state",
            "settings_changed_at",
            "deployed_at",
            "old_key",
            "new_key",
        ),
    ),
    ("checks", "Checks before each rotation", ("rotation_id", "name", "passed", "text")),
    (
        "deletions",
        "Deletions",
        (
            "key",
            "state",
            "requested_by",
            "approved_by",
            "called_off_by",
            "disabled_at",
            "scheduled_at",
            "deletion_date",
            "snapshots_of_this_key",
            "proof",
        ),
    ),
    ("trail", "Audit trail", ("at", "who", "what", "subject", "why", "before", "after", "request_id")),
    ("heads", "Where the chains of the audit trail end", ("subject", "entries", "unchained", "hash")),
    ("controls", "Controls", ("standard", "control", "asks_for", "see")),
)
"""Part of the page, its heading, and the columns shown."""

_PASSED = {True: "yes", False: "no", None: "not verified"}
_BESIDE = {"old_key", "new_key", "key"}
"""Columns where a key goes by its id: its whole ARN stands in the table of keys."""
_CODES = {"kind", "state", "name"}
"""Columns whose words are for programs: people read them without their underscores."""
_ARN = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):\d+:key/(?P<key_id>.+)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_BREAKS = re.compile(r"(?<=[/,_])|(?<=[a-z0-9:]:)(?=\S)(?!\d\d\b)|(?<=[0-9a-f]{16})(?=[0-9a-f]{16})")
"""Where a long name may go on in the next line: ARNs at their separators, digests every sixteen digits."""


def to_html(pack: Pack) -> str:
    """One page that stands by itself and prints well."""
    title = f"Evidence: {pack['project']['name']}"
    about = f'<p class="about">{escape(_scope(pack))}</p>\n<p class="about">{escape(_cryptoperiod(pack))}</p>'
    rows = _parts(pack)
    parts = "".join(_section(rows[part], part, heading, columns) for part, heading, columns in _TABLES)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f"{about}\n{parts}"
        '<p class="note">Made from the pack whose SHA-256 is '
        f'<span class="digest">{pack["digest"]}</span>. Its JSON holds the whole chains and proofs, for keyturn'
        " verify to check.</p>\n</body>\n</html>\n"
    )


def _scope(pack: Pack) -> str:
    project, begin = pack["project"], _said(pack["period"]["from"]) or "the beginning"
    whose = f"Atlas project {project['project_id']} of organization {project['organization']}"
    return f"{whose}, from {begin} to {_said(pack['period']['to'])}, made {_said(pack['made_at'])}."


def _cryptoperiod(pack: Pack) -> str:
    policy = pack["policy"]
    due = _said(policy["due_at"]) or "never: the project is not covered"
    period = f"Cryptoperiod {counted(policy['rotation_period_days'], 'day')}, set by {policy['set_by']}"
    return f"{period}; strategy {policy['strategy']}; next change due {due}."


def _parts(pack: Pack) -> dict[str, list[Row]]:
    """The pack as flat tables, those of its nested lists beside the others."""
    return {
        **{name: pack[name] for name in ("exceptions", "keys", "rotations", "trail", "controls")},
        "policy_history": pack["policy"]["history"],
        "dependents": [
            {"key": key["arn"], "seen_at": key["dependents_seen_at"], **one}
            for key in pack["keys"]
            for one in key["dependents"]
        ],
        "checks": [_check(r["rotation_id"], check) for r in pack["rotations"] for check in r["checks"]],
        "deletions": [
            {**one, "snapshots_of_this_key": (one["proved"] or {}).get("snapshots_of_this_key")}
            for one in pack["deletions"]
        ],
        "heads": list(_heads(pack)),
    }


def _check(rotation_id: str, check: Row) -> Row:
    return check | {"rotation_id": rotation_id, "passed": _PASSED[check["passed"]]}


def _heads(pack: Pack) -> Iterator[Row]:
    for chain in pack["chains"]:
        head = chain["head"] or {"number": 0, "hash": None}
        loose = sum(1 for row in chain["entries"] if row["number"] is None)
        if head["number"] or loose:
            yield {
                "subject": chain["subject"],
                "entries": head["number"],
                "unchained": loose or None,
                "hash": head["hash"],
            }


def _section(rows: list[Row], part: str, heading: str, columns: tuple[str, ...]) -> str:
    if not rows:
        return f'<h2>{heading}</h2>\n<p class="none">None.</p>\n'
    shown = [column for column in columns if any(_said(row.get(column)) for row in rows)]
    head = "".join(f'<th scope="col">{escape(_label(column))}</th>' for column in shown)
    body = "".join(f"<tr>{''.join(_cell(column, row.get(column)) for column in shown)}</tr>\n" for row in rows)
    table = f'<table class="{part}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n'
    return f"<h2>{heading}</h2>\n{table}"


def _label(column: str) -> str:
    return column.replace("_", " ").removesuffix(" at")


def _cell(column: str, value: object) -> str:
    text = _said(value)
    arn = _ARN.fullmatch(text) if column in _BESIDE else None
    text = f"{arn['key_id']} ({arn['region']})" if arn is not None else text
    text = text.replace("_", " ") if column in _CODES else text
    inner = f"<span>{_breakable(text)}</span>" if text else ""
    return f'<td data-label="{escape(_label(column))}">{inner}</td>'


def _breakable(text: str) -> str:
    return "<wbr>".join(escape(piece) for piece in _BREAKS.split(text) if piece)


def _said(value: object) -> str:
    """A value as people read it: a proof by its digest, a time to the minute, nothing for nothing."""
    if isinstance(value, dict):
        return str(value.get("digest") or "")
    if isinstance(value, str) and _TIME.fullmatch(value):
        return f"{value[:10]} {value[11:16]}\N{NO-BREAK SPACE}UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def to_csv(pack: Pack) -> str:
    """Every value of every part on a line of its own, so that parts of all shapes fit one file."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["project_id", "part", "number", "name", "value"])
    project_id = pack["project"]["project_id"]
    for part, number, row in _csv_rows(pack):
        writer.writerows([project_id, part, number, name, _plain(value)] for name, value in _flat(row))
    return out.getvalue()


def _csv_rows(pack: Pack) -> Iterator[tuple[str, int, Row]]:
    scalars = {name: value for name, value in pack.items() if not isinstance(value, dict | list)}
    yield "pack", 1, scalars
    for part in ("period", "project", "policy"):
        yield part, 1, pack[part]
    shown = pack | {
        "heads": list(_heads(pack)),
        "proofs": [{name: value for name, value in proof.items() if name != "document"} for proof in pack["proofs"]],
    }
    for part in ("exceptions", "keys", "rotations", "deletions", "proofs", "trail", "heads", "controls"):
        yield from ((part, number, row) for number, row in enumerate(shown[part], start=1))


def _flat(row: Row, prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            for number, one in enumerate(value, start=1):
                inner = one if isinstance(one, dict) else {"": one}
                yield from _flat(inner, f"{prefix}{name}.{number}.")
        else:
            yield f"{prefix}{name}".rstrip("."), value


def _plain(value: object) -> str:
    """A cell as it is in the JSON, and that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    begins = text.lstrip()[:1]  # some spreadsheets leave out what is blank before they look
    return f"'{text}" if begins in {"=", "+", "-", "@"} or text[:1] in {"\t", "\r", "\n"} else text
