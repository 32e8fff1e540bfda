"""What must be true of a template before it may be deployed; every rule answers with complaints."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from package.template import Template

FUNCTION = "AWS::Serverless::Function"

WIDE_FOR_A_REASON = {
    "kms:CreateKey": "a key that does not exist yet has no ARN; the tag it must ask for is the condition",
    "kms:ListKeys": "AWS knows no narrower resource for it",
}
"""Actions that may be allowed on every resource, and why."""


def statements(policy: Template) -> list[Template]:
    """The statements of a policy document, one or many."""
    found = policy["Statement"]
    return list(found) if isinstance(found, list) else [found]


def as_list(value: object) -> list[Any]:
    """One thing or a list of things, as a list."""
    return value if isinstance(value, list) else [value]


def too_wide(policy: Template, where: str) -> Iterator[str]:
    """Permissions on every resource, or for every action, that nothing explains."""
    for statement in statements(policy):
        if statement["Effect"] != "Allow":
            continue
        actions = as_list(statement["Action"])
        name = f"{where}: {statement.get('Sid', actions)}"
        if "NotAction" in statement or "NotResource" in statement:
            yield f"{name} says what is not meant instead of what is"
        if any("*" in action for action in actions):
            yield f"{name} allows actions by pattern"
        if "*" in as_list(statement["Resource"]):
            unexplained = [action for action in actions if action not in WIDE_FOR_A_REASON]
            if unexplained:
                yield f"{name} allows {', '.join(unexplained)} on every resource"


def of_type(template: Template, kind: str) -> dict[str, Template]:
    """The resources of one type, by logical id."""
    return {name: found for name, found in template["Resources"].items() if found.get("Type") == kind}


def wrong_functions(template: Template, runtime: str) -> Iterator[str]:
    """Functions with another runtime than their packager's, or not entered through app.py."""
    for name, function in of_type(template, FUNCTION).items():
        properties = function["Properties"]
        if properties["Runtime"] != runtime:
            yield f"{name} has the runtime {properties['Runtime']}, packaged by {runtime}"
        if not properties["Handler"].startswith("app."):
            yield f"{name} is entered at {properties['Handler']}, where no middleware of the app runs"


def shared_roles(template: Template) -> Iterator[str]:
    """Functions that share a role, or have one that is not a role of this template."""
    roles = {
        name: as_list(function["Properties"]["Role"].get("Fn::GetAtt"))[0]
        for name, function in of_type(template, FUNCTION).items()
    }
    known = of_type(template, "AWS::IAM::Role")
    for name, role in roles.items():
        if role not in known:
            yield f"{name} runs with {role}, which is no role of this template"
    for role, users in Counter(roles.values()).items():
        if users > 1:
            yield f"{users} functions share the role {role}"


def wide_roles(template: Template) -> Iterator[str]:
    """Roles that allow more than anybody explained."""
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            yield from too_wide(policy["PolicyDocument"], name)


def overlays_over_nothing(overlay: Template, generated: Template) -> Iterator[str]:
    """Overlays whose resource or event Chalice never made: a misspelt event id passes every linter."""
    for name, change in overlay["Resources"].items():
        if "Type" in change:
            continue
        target = generated["Resources"].get(name)
        if target is None:
            yield f"resources.yaml overlays {name}, which Chalice did not make"
            continue
        for event in change.get("Properties", {}).get("Events", {}):
            if event not in target["Properties"].get("Events", {}):
                yield f"resources.yaml overlays the event {event} of {name}, which Chalice did not make"


def left_placeholders(template: Template) -> Iterator[str]:
    """Functions still listening to a placeholder of app.py."""
    for name, function in of_type(template, FUNCTION).items():
        for event, source in function["Properties"].get("Events", {}).items():
            if "placeholder" in str(source):
                yield f"{name} still listens to a placeholder: {event} has no overlay"


def mixed_intrinsics(value: object, where: str = "template") -> Iterator[str]:
    """Mappings with an intrinsic beside other keys, the mark of a merge over another intrinsic."""
    if isinstance(value, dict):
        if len(value) > 1 and any(key == "Ref" or key.startswith("Fn::") for key in value):
            yield f"{where} mixes {' and '.join(value)}"
        for key, child in value.items():
            yield from mixed_intrinsics(child, f"{where}.{key}")
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from mixed_intrinsics(child, f"{where}[{place}]")


def template_complaints(template: Template, *, overlay: Template, generated: Template, runtime: str) -> list[str]:
    """Everything wrong with a packaged template, given the overlay and what Chalice makes without it."""
    return [
        *wrong_functions(template, runtime),
        *shared_roles(template),
        *wide_roles(template),
        *overlays_over_nothing(overlay, generated),
        *left_placeholders(template),
        *mixed_intrinsics(template),
    ]
