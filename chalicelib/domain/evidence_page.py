"""The evidence pack as people print it (HTML without anything from elsewhere) and as they sort it (CSV)."""

import csv
import io
from collections.abc import Iterable
from html import escape
from typing import Any

Pack = dict[str, Any]
Row = dict[str, Any]

_STYLE = """
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #1c2430; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; break-after: avoid; }
p.about { color: #566173; margin: .2rem 0 1.2rem; }
table { border-collapse: collapse; width: 100%; } thead { display: table-header-group; } tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid #dde2ea; }
th { font-weight: 600; color: #566173; } td { overflow-wrap: anywhere; }
.none { color: #566173; } .exceptions td:first-child { font-weight: 600; color: #9b1c1c; }
@page { size: A4 landscape; margin: 14mm; } @media print { body { margin: 0; max-width: none; } }
"""
_TABLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("exceptions", "Exceptions", ("kind", "text", "days")),
    (
        "keys",
        "Keys",
        ("arn", "state", "in_use_from", "stop_encrypting_by", "stopped_encrypting_at", "stop_decrypting_by", "proof"),
    ),
    (
        "rotations",
        "Rotations",
        ("requested_at", "strategy", "state", "requested_by", "settings_changed_at", "deployed_at", "new_key"),
    ),
    (
        "deletions",
        "Deletions",
        ("key", "state", "requested_by", "approved_by", "disabled_at", "scheduled_at", "deletion_date", "proof"),
    ),
    ("trail", "Audit trail", ("at", "who", "what", "why", "before", "after")),
    ("controls", "Controls", ("standard", "control", "asks_for", "see")),
)
"""Part of the pack, its heading, and the columns shown."""


def to_html(pack: Pack) -> str:
    """One page that stands by itself and prints well."""
    project, period = pack["project"], pack["period"]
    title = f"Evidence: {project['name']}"
    about = (
        f"Atlas project {project['project_id']} · {_said(period['from']) or 'from the beginning'} to"
        f" {_said(period['to'])} · made {_said(pack['made_at'])} · cryptoperiod"
        f" {pack['policy']['rotation_period_days']} days, set by {pack['policy']['set_by']}"
    )
    parts = "".join(_section(pack, *table) for table in _TABLES)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p class="about">{escape(about)}</p>{parts}</body></html>'
    )


def _section(pack: Pack, part: str, heading: str, columns: tuple[str, ...]) -> str:
    rows: list[Row] = pack[part]
    if not rows:
        return f'<h2>{heading}</h2><p class="none">None.</p>'
    head = "".join(f'<th scope="col">{escape(column.replace("_", " "))}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_cell(row.get(column)) for column in columns)}</tr>" for row in rows)
    return f'<h2>{heading}</h2><table class="{part}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: object) -> str:
    return f"<td>{escape(_said(value))}</td>"


def _said(value: object) -> str:
    """A value as people read it: a proof by its digest, nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return str(value.get("digest") or "")
    return str(value)


def to_csv(pack: Pack) -> str:
    """Every value of every part on a line of its own, so that parts of all shapes fit one file."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["part", "number", "name", "value"])
    for part, _, _ in _TABLES:
        for number, row in enumerate(pack[part], start=1):
            writer.writerows([part, number, name, _plain(value)] for name, value in _flat(row))
    return out.getvalue()


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
    """A cell that no spreadsheet takes for a formula."""
    text = _said(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
