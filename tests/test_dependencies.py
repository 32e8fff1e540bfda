"""The audit of dependencies passes only what was asked about; a database on loopback answers as OSV does."""

import json
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from package.dependencies import KNOWN_TO_EVERYBODY, audit, left_out
from package.requirements import pins

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-security" / "bin" / "python"
NOBODY = "http://127.0.0.1:9/v1/query"

needs_pip_audit = pytest.mark.skipif(not PYTHON.exists(), reason="pip-audit is not here: make .venv-security/ready")


def vulnerability(name, number="PYSEC-2018-28"):
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}]
    affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}
    return {"schema_version": "1.0.0", "id": number, "summary": "it gives secrets away", "affected": [affected]}


class Database:
    """Answers what is known against a package; by itself it knows what everybody knows."""

    def __init__(self) -> None:
        self.known = {"requests": "2.19.0"}
        self.status = 200
        self.asked: list[str] = []
        database = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name, version = said["package"]["name"], said["version"]
                database.asked.append(f"{name}=={version}")
                known = database.known.get(name) == version
                body = json.dumps({"vulns": [vulnerability(name)]} if known else {}).encode()
                self.send_response(database.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/query"


@pytest.fixture
def database():
    database = Database()
    Thread(target=database.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield database
    database.server.shutdown()
    database.server.server_close()


@pytest.fixture
def project(tmp_path):
    """A project with two requirements files, one with an environment that holds what it pins."""
    (tmp_path / "requirements.txt").write_text("# What ships.\nmsgspec==0.22.0\n")
    (tmp_path / "requirements-tool.txt").write_text("-r requirements.txt\nPyYAML==6.0.3\nmoto[server]==5.2.5\n")
    for name, version in (("msgspec", "0.22.0"), ("pyyaml", "6.0.3"), ("moto", "5.2.5"), ("pip", "26.0")):
        install(tmp_path, name, version)
    return tmp_path


def install(root, name, version):
    folder = root / ".venv-tool" / "lib" / "python3.13" / "site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def run(project, url):
    """The audit as make runs it."""
    words = [str(PYTHON), "-m", "package.dependencies", "--osv-url", url, "--root", str(project)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


@needs_pip_audit
def test_it_passes_when_everything_was_asked_about_and_nothing_is_known(project, database):
    status, said = run(project, database.url)

    assert (status, said) == (0, "3 pinned dependencies asked about, 0 complaints\n")
    assert set(database.asked) == {KNOWN_TO_EVERYBODY, "msgspec==0.22.0", "pyyaml==6.0.3", "moto==5.2.5"}


@needs_pip_audit
def test_a_known_vulnerability_fails_it_and_is_named_with_what_mends_it(project, database):
    database.known["pyyaml"] = "6.0.3"

    status, said = run(project, database.url)

    assert status == 1
    assert "pyyaml==6.0.3: PYSEC-2018-28 (mended in 9.9) it gives secrets away" in said


@needs_pip_audit
def test_a_database_that_cannot_be_reached_fails_it(project):
    status, said = run(project, NOBODY)

    assert status == 1
    assert "gave no answer" in said
    assert "is not known" in said


@needs_pip_audit
@pytest.mark.parametrize("status", [404, 500])
def test_a_database_that_refuses_fails_it(project, database, status):
    database.status = status

    assert run(project, database.url)[0] == 1


@needs_pip_audit
def test_a_database_that_knows_nothing_at_all_is_not_believed(project, database):
    database.known.clear()

    status, said = run(project, database.url)

    assert status == 1
    assert f"knows of nothing against {KNOWN_TO_EVERYBODY}" in said


class Answers:
    """What pip-audit says of each pin of a file, without it."""

    def __init__(self, against=None) -> None:
        self._against = {"requests", against}

    def __call__(self, file, _url):
        return [{"name": name, "version": version, "vulns": self._of(name)} for name, version in pins(file)[0]]

    def _of(self, name):
        return [{"id": "PYSEC-1", "fix_versions": [], "description": "bad"}] if name in self._against else []


@pytest.mark.parametrize(
    "line",
    [
        "requests",
        "requests>=2",
        "requests==2.*",
        "requests==2.34.2 ; python_version < '3.12'",
        "git+https://github.com/psf/requests",
        "-e .",
        "--index-url https://example.org/simple",
        "./wheels/requests-2.34.2-py3-none-any.whl",
    ],
)
def test_a_line_that_pins_nothing_or_only_sometimes_fails_it(project, line):
    with (project / "requirements-tool.txt").open("a") as file:
        file.write(f"{line}\n")

    assert audit(project, NOBODY, [], ask=Answers())[1] == [
        f"requirements-tool.txt: `{line}` is not pinned to one version, so it was not asked about"
    ]


def test_what_is_installed_and_pinned_nowhere_fails_it(project):
    install(project, "Left_Behind", "1.0")

    (said,) = audit(project, NOBODY, [], ask=Answers())[1]
    assert "left-behind==1.0 is installed and not listed" in said


def test_an_environment_that_does_not_stand_fails_it(project):
    (project / "requirements-other.txt").write_text("msgspec==0.22.0\n")

    (said,) = audit(project, NOBODY, [], ask=Answers())[1]
    assert "its environment .venv-other does not stand" in said


def test_a_dependency_that_pip_audit_skipped_fails_it():
    said = [{"name": "requests", "skip_reason": "Dependency not found on PyPI and could not be audited"}]

    assert list(left_out("requirements.txt", {("requests", "2.19.0"), ("six", "1.17.0")}, said)) == [
        "requirements.txt: requests==2.19.0 was left out: Dependency not found on PyPI and could not be audited",
        "requirements.txt: six==1.17.0 was left out: nobody says why",
    ]


def test_a_vulnerability_may_be_explained_and_an_explanation_of_nothing_is_a_complaint(project):
    explained = [{"issue": "PYSEC-1", "where": ["msgspec==0.22.0"], "why": "nothing of ours calls it"}]
    of_nothing = [*explained, {"issue": "PYSEC-2", "where": ["msgspec==0.22.0"], "why": "it was mended"}]
    assert audit(project, NOBODY, explained, ask=Answers(against="msgspec")) == (3, [])
    assert audit(project, NOBODY, of_nothing, ask=Answers(against="msgspec"))[1] == [
        "the exception PYSEC-2 for msgspec==0.22.0 explains nothing any more"
    ]
    assert audit(project, NOBODY, [], ask=Answers(against="msgspec"))[1] == [
        "msgspec==0.22.0: PYSEC-1 (mended in no version) bad"
    ]


def test_every_requirements_file_of_ours_can_be_asked_about_line_by_line():
    files = sorted(ROOT.glob("requirements*.txt"))

    assert len(files) > 5
    assert not [line for file in files for line in pins(file)[1]]
