"""One place for the whole run: the tests below tell its story in order, from the first deployment to the last."""

import os

import pytest
from deployed.emulator import PROGRAM, ROOT
from deployed.place import INVOKES_THE_API, Place

DEPLOYED = os.environ.get("KEYTURN_DEPLOYED") == "1"


def pytest_collection_modifyitems(items):
    if not DEPLOYED:
        here = [item for item in items if "deployed" in item.path.parts]
        for item in here:
            item.add_marker(pytest.mark.skip(reason="`make deploy-test` runs it"))


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    assert PROGRAM.is_file(), "run it by `make deploy-test`, which sets the emulator up"
    assert (ROOT / "build" / "package" / "sam.yaml").is_file(), "`make package` comes first"
    with Place(tmp_path_factory.mktemp("deployed")) as opened:
        yield opened


@pytest.fixture(scope="session")
def ada(place):
    return place.emulator.make_user("ada", INVOKES_THE_API)


@pytest.fixture(scope="session")
def grace(place):
    return place.emulator.make_user("grace", INVOKES_THE_API)


@pytest.fixture(scope="session")
def stranger(place):
    return place.emulator.make_user("stranger")
