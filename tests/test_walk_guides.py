"""The guides' own commands, run in order by two operators on a pretend world: what a guide prints, it can do."""

import re
import shlex
from contextlib import contextmanager
from datetime import timedelta

import pytest
from fake_api import call
from test_docs_pages import TEXTS, shell_lines

from sandbox.cast import SOON_GONE, stage
from sandbox.door import open_door
from sandbox.rhythms import A_WEEK

DAY = timedelta(days=1)
BY_GRACE = {"approve"}


class Place:
    """A project that has lived for ten days before Keyturn came, and the names that the guides leave open."""

    def __init__(self, built, runner, address, project_id):
        self.world, self.runner, self.address = built.world, runner, address
        self.stage = built
        self.names = {"PROJECT": project_id}

    def turn_clock(self, duration):
        with self.world.lock:
            self.runner.run_until(self.world.clock.now() + duration)

    def type(self, words):
        """One line of a guide, its open names filled in; a watching person sees time go by."""
        person = self.world.operators[words[1] in BY_GRACE]
        told = call(
            self.address,
            *(self.names.get(word, word) for word in words[1:]),
            now=self.world.clock.now(),
            sleep=lambda _seconds: self.turn_clock(timedelta(minutes=10)),
            AWS_ACCESS_KEY_ID=person.access_key_id,
            AWS_SECRET_ACCESS_KEY=person.secret_access_key,
        )
        assert told.exit_code == 0, f"{shlex.join(words)}\n{told.stdout}{told.stderr}"
        self._learn(told.stdout)
        return told.stdout

    def _learn(self, told):
        """Take up what a person would read from the screen and type next."""
        for name, begins in {"ROTATION": "rotation", "DELETION": "deletion", "DIGEST": "proof"}.items():
            if found := re.search(rf"^{begins} +([0-9a-f]+)", told, re.MULTILINE):
                self.names[name] = found[1]

    def follow(self, page, *, after=None):
        """Type every line of a guide in order; gives what each printed. `after` is done after the line it names."""
        printed = {}
        for words in shell_lines(TEXTS[f"docs/how-to/{page}.md"], "keyturn"):
            line = shlex.join(words)
            printed[line] = self.type(words)
            for begin, work in (after or {}).items():
                if line.startswith(f"keyturn {begin}"):
                    work()
        assert printed
        return "\n".join(printed.values())


@contextmanager
def opened():
    with stage() as built:
        project_id = built.add_project("payments")
        built.atlas.add_cluster(project_id, "ledger", policies=SOON_GONE)
        built.let_atlas_live(built.world.clock.now() + 10 * DAY)
        runner, _ = built.install(idle=A_WEEK)
        runner.run_until(built.world.clock.now())
        with open_door(built.world, runner) as address:
            yield Place(built, runner, address, project_id)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A place of its own for each guide; files are written into a folder of its own."""
    monkeypatch.chdir(tmp_path)
    with opened() as found:
        yield found


def test_onboarding(place):
    told = place.follow("onboard-an-organization")

    assert "1 project, none in trouble" in told
    assert "It would go through." in told


def test_policies(place):
    told = place.follow("set-policies")

    assert "rotate" in told
    assert "The next 365 days" in told


def test_filters_and_alerts_and_upgrades(place):
    place.follow("connect-slack-and-filter")
    place.follow("receive-atlas-alerts")

    assert "none in trouble" in place.follow("upgrade")


def test_a_key_of_ones_own(place):
    place.names["KEY"] = place.stage.make_key("theirs")

    told = place.follow("bring-your-own-key")

    assert f"new key    {place.names['KEY']}" in told


def test_an_emergency_lists_what_the_old_key_still_opens(place):
    old = re.search(r"^key +(\S+)", place.type(["keyturn", "project", "PROJECT"]), re.MULTILINE)[1]
    place.names["KEY"] = old.rpartition("/")[2]

    told = place.follow("answer-a-compromise", after={"rotation PROJECT": lambda: place.turn_clock(DAY / 24)})

    assert "The old key still opens" in told
    assert '"still_readable": {' in told
    assert "snapshots of ledger need it" in told
    assert "Were snapshots kept for 7 days at most" in told


def free_an_old_key(place):
    """Rotate, and wait until nothing needs the old key any more."""
    place.type(["keyturn", "rotate", "PROJECT", "--watch"])
    old = next(key for key in re.findall(r"^(\S+) +retiring", place.type(["keyturn", "keys"]), re.MULTILINE))
    place.names["KEY"] = old
    place.turn_clock(95 * DAY)


def test_retiring_a_key_by_two_people_and_calling_it_off(place):
    free_an_old_key(place)

    told = place.follow("retire-a-key", after={"approve": lambda: place.turn_clock(DAY)})

    assert "Yes: nothing needs it any more." in told
    assert "The key goes into quarantine at the next look." in told
    assert "It was called off" in told
    place.turn_clock(DAY)
    assert "called off" in place.type(["keyturn", "deletion", "DELETION"])
    assert "retiring" in place.type(["keyturn", "key", "KEY"])


def test_evidence_is_written_in_every_form_that_the_guide_names(place, tmp_path):
    place.follow("give-evidence")

    assert "<html" in (tmp_path / "payments.html").read_text(encoding="utf-8")
    assert '"controls"' in (tmp_path / "payments.json").read_text(encoding="utf-8")
    assert '"packs"' in (tmp_path / "fleet.json").read_text(encoding="utf-8")


def test_uninstalling(place):
    free_an_old_key(place)
    place.type(["keyturn", "policy", "PROJECT", "--delete-foreign-keys"])
    place.type(["keyturn", "delete", "KEY"])
    place.type(["keyturn", "approve", "DELETION", "--digest", "DIGEST"])
    place.turn_clock(DAY)
    place.type(["keyturn", "rotate", "PROJECT"])

    told = place.follow("uninstall")

    assert "It is cancelled at its next step" in told
    assert "It was called off" in told
    place.turn_clock(DAY)
    assert re.search(rf"{place.names['KEY']} +retiring", place.type(["keyturn", "keys"]))
    assert re.search(r"\w+ +cancelled", place.type(["keyturn", "rotations", "PROJECT"]))


def test_looking_after_a_restore(place):
    assert "1 project: 1 fine." in place.follow("restore-the-table")
