"""What `make package` builds, built again: the same bytes, and a bill of materials that fits them."""

import hashlib
import json
import subprocess

import pytest
from deployed.emulator import ROOT


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """A second build of the same source, in another folder."""
    folder = tmp_path_factory.mktemp("again")
    subprocess.run(
        [ROOT / "package" / "build.sh", ROOT / ".venv-package", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder / "package"


@pytest.mark.parametrize("name", ["deployment.zip", "sam.yaml", "bill.cdx.json"])
def test_two_builds_of_one_source_are_the_same_to_the_last_byte(again, name):
    assert (again / name).read_bytes() == (ROOT / "build" / "package" / name).read_bytes()


def test_the_bill_of_materials_names_what_lies_in_the_zip_with_the_digests_that_were_asked_for(again):
    bill = json.loads((again / "bill.cdx.json").read_text())
    pinned = (ROOT / "requirements-zip.txt").read_text()

    (digest,) = bill["metadata"]["component"]["hashes"]
    shipped = {one["name"].replace("_", "-"): one for one in bill["components"]}
    assert digest["content"] == hashlib.sha256((again / "deployment.zip").read_bytes()).hexdigest()
    assert set(shipped) == {"aws-lambda-powertools", "chalice", "jmespath", "msgspec", "typing-extensions"}
    assert all(one["licenses"] for one in shipped.values())
    hashes = [found["content"] for one in shipped.values() for found in one.get("hashes", [])]
    assert len(hashes) == len(shipped) - 1  # Chalice lays its own files in
    assert all(f"sha256:{found}" in pinned for found in hashes)
