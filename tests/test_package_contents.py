"""Every file of the zip has an origin and is as it is there; whatever else gets in is named."""

import base64
import hashlib
from pathlib import Path

import pytest

from package.contents import other_wheels, strangers, unsafe_names

CODE = b"x = 1\n"


def lay(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def record(files):
    hashes = {
        name: base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        for name, content in files.items()
    }
    lines = [f"{name},sha256={hashed},{len(files[name])}" for name, hashed in hashes.items()]
    return "\n".join([*lines, "msgspec-0.22.0.dist-info/RECORD,,", ""]).encode()


@pytest.fixture
def build(tmp_path):
    """A zip's files unpacked, our sources, and an environment with Chalice: all of one piece."""
    ours = {"app.py": CODE, "chalicelib/settings.py": CODE}
    wheel = {"msgspec/__init__.py": CODE, "msgspec-0.22.0.dist-info/METADATA": b"Name: msgspec\nVersion: 0.22.0\n"}
    chalice = {"chalice/__init__.py": CODE, "chalice/app.py": CODE}
    lay(tmp_path / "source", ours)
    lay(tmp_path / "environment", chalice)
    lay(tmp_path / "unpacked", ours | wheel | chalice | {"__pycache__/app.cpython-313.pyc": b"compiled"})
    lay(tmp_path / "unpacked", {"msgspec-0.22.0.dist-info/RECORD": record(wheel)})
    (tmp_path / "requirements-zip.txt").write_text("msgspec==0.22.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    return tmp_path


def complaints(build):
    unpacked = build / "unpacked"
    names = [path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()]
    found = strangers(names, unpacked, build / "source", build / "environment")
    return [*found, *other_wheels(unpacked, build / "requirements-zip.txt")]


def test_a_zip_of_one_piece_has_nothing_wrong(build):
    assert complaints(build) == []


@pytest.mark.parametrize(
    "name",
    [".env", "credentials.json", "chalicelib/local_settings.py", "msgspec/secret.pem", "test_app.py", "chalice/cli.py"],
)
def test_a_file_without_an_origin_is_named(build, name):
    lay(build / "unpacked", {name: b"anything"})

    assert complaints(build) == [f"the zip holds {name}, and nobody knows where it comes from"]


@pytest.mark.parametrize("name", ["app.py", "chalicelib/settings.py", "msgspec/__init__.py", "chalice/app.py"])
def test_a_file_that_is_not_as_in_its_origin_is_named(build, name):
    lay(build / "unpacked", {name: b"x = 2\n"})

    assert complaints(build) == [f"the zip holds {name}, which was changed on its way"]


def test_wheels_that_nobody_asked_for_or_that_are_missing_are_named(build):
    (build / "requirements-zip.txt").write_text("jmespath==1.1.0\n")

    assert complaints(build) == [
        "the zip holds msgspec==0.22.0, which requirements-zip.txt does not name",
        "the zip lacks jmespath==1.1.0, which requirements-zip.txt names",
    ]


@pytest.mark.parametrize("name", ["/etc/passwd", "../app.py", "a/../../app.py", "C:\\app.py", "c:app.py"])
def test_a_name_that_leads_out_of_the_zip_is_named(name):
    assert list(unsafe_names(["app.py", name])) == [f"the zip holds {name}, which leads out of it"]


def test_a_file_that_lies_there_twice_is_named():
    assert list(unsafe_names(["app.py", "x.py", "app.py"])) == ["the zip holds app.py more than once"]


def test_the_packager_asks_where_every_file_comes_from():
    check = (Path(__file__).parent.parent / "package" / "check.py").read_text()

    assert all(f"yield from {name}(" in check for name in ("strangers", "other_wheels", "unsafe_names"))
