"""What each function calls, found in the source from its line in app.py on, and what AWS must allow for that."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

KEYS = {
    "describe": {"kms:DescribeKey"},
    "rotations": {"kms:GetKeyRotationStatus", "kms:ListKeyRotations"},
    "last_used": {"kms:GetKeyLastUsage"},
    "policy": {"kms:GetKeyPolicy"},
    "find_by_alias": {"kms:DescribeKey"},
    "find_by_rotation": {"kms:ListKeys", "kms:ListResourceTags"},
    "create": {"kms:CreateKey", "kms:TagResource"},
    "name": {"kms:CreateAlias", "kms:DescribeKey"},
    "rotate_on_demand": {"kms:RotateKeyOnDemand"},
    "rotate_automatically": {"kms:EnableKeyRotation"},
    "enable": {"kms:EnableKey"},
    "disable": {"kms:DisableKey"},
    "schedule_deletion": {"kms:DescribeKey", "kms:ScheduleKeyDeletion"},
    "cancel_deletion": {"kms:CancelKeyDeletion", "kms:DescribeKey"},
}
"""What each call of the KMS adapter needs."""

OUR_OWN_WORDS = {"policy", "name", "create", "rotations"}
"""Calls of the KMS adapter whose names others have too: they count on something called keys alone."""

CALLS = {
    **{f"{'keys.' if name in OUR_OWN_WORDS else ''}{name}": needs for name, needs in KEYS.items()},
    "_keys(work).create": KEYS["create"],
    "outside.keys": {"sts:AssumeRole"},
    "outside.roles": {"sts:AssumeRole"},
    "allows": {"iam:SimulatePrincipalPolicy"},
    "legacy_user": {"secretsmanager:GetSecretValue"},
    "atlas": {"secretsmanager:GetSecretValue"},
    "atlas_owner": {"secretsmanager:GetSecretValue"},
    "organizations": {"secretsmanager:GetSecretValue"},
    "unread_secrets": {"secretsmanager:GetSecretValue"},
    "publish": {"sns:Publish AlertsTopic", "sns:Publish EscalationsTopic", "events:PutEvents"},
    "wake_rotation": {"sqs:SendMessage RotationsQueue"},
    "wake_sweep": {"sqs:SendMessage SweepsQueue"},
    "outside.preview": {"lambda:InvokeFunction Preview"},
    "wiring.adjust": {"lambda:InvokeFunction Adjust"},
    "dead_letters": {f"sqs:GetQueueAttributes {name}DeadLetters" for name in ("Rotations", "Sweeps", "Async")},
    "service_accounts": {"secretsmanager:GetSecretValue"},
    "tracker.watch": {"dynamodb:GetItem TrackerTable"},
    "wiring.hear": {"lambda:InvokeFunction Hear"},
    "signed_by": {"secretsmanager:GetSecretValue"},
    "commit": {"dynamodb:BatchGetItem TrackerTable", "dynamodb:PutItem TrackerTable"},
    "update_notice": {"dynamodb:PutItem TrackerTable"},
    **{
        f"tracker.{name}": {"dynamodb:GetItem TrackerTable"}
        for name in ("project", "fleet", "desk", "key", "deletion", "proof", "notice")
    },
    "tracker.rotation": {"dynamodb:BatchGetItem TrackerTable"},
    "tracker.trail": {"dynamodb:Query TrackerTable"},
    "tracker.rotations": {"dynamodb:Query history", "dynamodb:BatchGetItem TrackerTable"},
    "tracker.activity": {"dynamodb:Query history", "dynamodb:BatchGetItem TrackerTable"},
    "keys_of": {"dynamodb:BatchGetItem TrackerTable", "dynamodb:Query TrackerTable"},
    "keys_named": {"dynamodb:Query TrackerTable"},
    "tracker.due": {"dynamodb:Query due"},
    "tracker.projects": {"dynamodb:Query listing"},
    "tracker.keys": {"dynamodb:Query listing"},
}
"""What a call of a port needs of AWS; a name with a dot counts only when called on something of that name."""


class Source:
    """A file of ours: what it defines at its top, and what it imports from the verbs."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root, self.path = root, path
        tree = ast.parse(path.read_text())
        self.definitions: dict[str, ast.AST] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.definitions |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib.usecases"):
                self.imports |= {one.asname or one.name: (node.module or "", one.name) for one in node.names}

    def reached(self, name: str, seen: set[tuple[Path, str]]) -> Iterator[ast.AST]:
        """A definition and all that it leads to, in this file and in the verbs' files."""
        if name in self.imports:
            module, inner = self.imports[name]
            path = self._file(module)
            if path.is_file():
                yield from Source(self.root, path).reached(inner, seen)
        elif name in self.definitions and (self.path, name) not in seen:
            seen.add((self.path, name))
            body = self.definitions[name]
            yield body
            for node in ast.walk(body):
                if isinstance(node, ast.Name):
                    yield from self.reached(node.id, seen)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    yield from self._in_module(node.value.id, node.attr, seen)

    def _in_module(self, name: str, attribute: str, seen: set[tuple[Path, str]]) -> Iterator[ast.AST]:
        module = self._file(".".join(self.imports[name])) if name in self.imports else None
        if module is not None and module.is_file():
            yield from Source(self.root, module).reached(attribute, seen)

    def _file(self, module: str) -> Path:
        return self.root.joinpath(*module.split(".")).with_suffix(".py")


def needed(source: Source, names: Iterable[str]) -> set[str]:
    """What AWS must allow for these definitions, and all that they lead to, to work."""
    seen: set[tuple[Path, str]] = set()
    found = set()
    for body in (body for name in names for body in source.reached(name, seen)):
        for node in ast.walk(body):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found |= CALLS.get(node.func.attr, set())
            if isinstance(node, ast.Attribute):  # a port's call may be handed over, for others to make
                receiver = ast.unparse(node.value).rpartition(".")[2]
                found |= CALLS.get(f"{receiver}.{node.attr}", set())
    return found


def needs_of(function: str) -> set[str]:
    """What AWS must allow a function of app.py; the door's are all that its routes lead to."""
    if function == "api_handler":
        door = Source(ROOT, ROOT / "chalicelib" / "api.py")
        return needed(door, door.definitions)
    return needed(Source(ROOT, ROOT / "app.py"), [function])


def asked_of_kms(methods: dict[str, ast.FunctionDef], name: str) -> Iterator[str]:
    """The actions that a method of the adapter names when it speaks to KMS, itself or through others."""
    for node in ast.walk(methods[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            told = node.args[0] if node.args else None
            if node.func.attr in {"_speaking", "_all_pages"} and isinstance(told, ast.Constant):
                yield f"kms:{told.value}"
            if node.func.attr in methods and node.func.attr not in {name, "_speaking", "_all_pages"}:
                yield from asked_of_kms(methods, node.func.attr)
