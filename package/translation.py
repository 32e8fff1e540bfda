"""Has AWS' own SAM translator turn the template into plain CloudFormation, as the deployment would."""

import copy
from collections.abc import Iterator

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from package.rules import FUNCTION, of_type
from package.template import Template


def translate(template: Template) -> Template:
    """The plain CloudFormation template; raises InvalidDocumentException for what SAM refuses."""
    source = copy.deepcopy(template)
    for function in of_type(source, FUNCTION).values():
        function["Properties"]["CodeUri"] = "s3://bucket/deployment.zip"
    parameters = {name: found.get("Default", "keyturn/x") for name, found in source["Parameters"].items()}
    translated: Template = Translator(managed_policy_map={}, sam_parser=Parser()).translate(source, parameters)
    return translated


def translation_complaints(template: Template) -> Iterator[str]:
    """What SAM refuses, and what it makes that nobody asked for."""
    try:
        resources = translate(template)["Resources"]
    except InvalidDocumentException as error:
        yield from (f"SAM: {cause.message}" for cause in error.causes)
        return
    stages = [name for name, found in resources.items() if found["Type"] == "AWS::ApiGateway::Stage"]
    if len(stages) != 1:
        yield f"SAM makes {len(stages)} API stages, not one: {', '.join(stages)}"
