"""Writes the zip's bill of materials (CycloneDX 1.6) from what lies unpacked: `python -m package.bill BUILD`."""

import hashlib
import json
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import Any

Component = dict[str, Any]

_COPIED = "chalice"
"""Chalice lays its run-time into the zip out of its own installation, without metadata."""


def bill(unpacked: Path, wheels: Path, archive: Path) -> dict[str, Any]:
    """The document: the zip itself, and every distribution in it with its licence and its wheel's digest.

    It has no date and a number made from the zip's digest, so that the same zip has the same bill.
    """
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    shipped = [_component(found, wheels) for found in distributions(path=[str(unpacked)])]
    shipped.append(_component(distribution(_COPIED), wheels))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "keyturn",
                "name": "keyturn",
                "version": _version(unpacked),
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": sorted(shipped, key=lambda one: str(one["name"])),
        "dependencies": [{"ref": "keyturn", "dependsOn": sorted(one["bom-ref"] for one in shipped)}],
    }


def _version(unpacked: Path) -> str:
    text = (unpacked / "chalicelib" / "settings.py").read_text()
    return text.split('VERSION = "')[1].split('"')[0]


def _component(found: Distribution, wheels: Path) -> Component:
    name = found.metadata["Name"]
    address = f"pkg:pypi/{name.lower().replace('_', '-')}@{found.version}"
    licences = list(_licences(found))
    hashes = [
        {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(wheels.glob(f"{name.replace('-', '_')}-{found.version}-*.whl"))
        if "x86_64" not in path.name or not list(wheels.glob(f"{name.replace('-', '_')}-*aarch64*.whl"))
    ]
    component: Component = {"type": "library", "bom-ref": address, "name": name, "version": found.version}
    return component | {"purl": address, "licenses": licences} | ({"hashes": hashes} if hashes else {})


def _licences(found: Distribution) -> Iterator[dict[str, Any]]:
    """What the distribution says of its licence: an expression where it has one, else its words."""
    said = found.metadata
    if "License-Expression" in said:
        yield {"expression": said["License-Expression"]}
        return
    classified = [line.rpartition(":: ")[2] for line in said.get_all("Classifier") or [] if line.startswith("License")]
    words = said["License"] if "License" in said else next(iter(classified), "not stated")
    yield {"license": {"name": words.splitlines()[0]}}


def main(build: Path) -> None:
    """Write `bill.cdx.json` beside the zip."""
    package = build / "package"
    document = bill(build / "unpacked", build / "wheels", package / "deployment.zip")
    (package / "bill.cdx.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    sys.stdout.write(f"bill.cdx.json names {len(document['components'])} components\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
