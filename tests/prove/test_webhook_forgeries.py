"""Nobody without a secret makes Keyturn look, and nobody with one makes it look twice: forged, old, huge, odd calls.

Every call goes through the real door and the real comparison of signatures. A forged one must be answered with 401,
ask Atlas nothing and write nothing; a replayed, old or strange one that is signed may be taken, and has no effect
either; a good one is heard, whatever way its header and its body are written.
"""

import random
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from datetime import timedelta
from hmac import digest

import pytest
from figures import FULL_SIZE, tell
from prove.webhook_calls import OURS, OURS_BEFORE, THEIRS, alert, open_door, sign
from simple_world import HOUR, START

SEED = 20_270_301
FORGERIES = 120_000 if FULL_SIZE else 3_000
GOOD = 2_000 if FULL_SIZE else 60
LARGEST = 256 * 1024
HEADERS = ("X-MMS-Signature", "x-mms-signature", "X-Mms-Signature", "X-MMS-SIGNATURE")


@pytest.fixture
def door(monkeypatch):
    with open_door(monkeypatch) as opened:
        yield opened


def as_text(body):
    """What API Gateway makes of a body that is no binary medium to it: text, its strange bytes replaced."""
    return body.decode("utf-8", "replace")


def flipped(data, at, bit):
    return bytes([*data[:at], data[at] ^ (1 << bit), *data[at + 1 :]])


def flip_the_body(chance, body, signature):
    changed = flipped(body, chance.randrange(len(body)), chance.randrange(8))
    return changed, signature


def flip_the_signature(chance, body, signature):
    changed = flipped(signature.encode(), chance.randrange(len(signature)), chance.randrange(8))
    return body, changed.decode("latin-1")


def another_secret(chance, body, _signature):
    return body, sign(body, f"guess {chance.getrandbits(64):x}")


def an_empty_secret(_chance, body, _signature):
    return body, sign(body, "")


def another_algorithm(chance, body, _signature):
    return body, sign(body, OURS, chance.choice(("sha256", "md5", "sha512", "sha224")))


def another_spelling(chance, body, signature):
    made = digest(OURS.encode(), body, "sha1")
    spellings = (
        made.hex(),
        made.hex().upper(),
        signature.rstrip("="),
        signature + "=",
        f" {signature}",
        f"{signature}\n",
        f"sha1={signature}",
        signature.swapcase(),
        f"{signature},{signature}",
        f'"{signature}"',
        signature + "\0",
        b64encode(made + b"\0").decode(),
        b64encode(made[:-1]).decode(),
        urlsafe_b64encode(b"\xfb\xff" + made[2:]).decode(),
    )
    return body, chance.choice(spellings)


def strange_letters(chance, body, signature):
    letters = ("\u00e9", "\u202e", "\U0001f511", "\ud800", "\udfff", "\uff21", "\x00", "\x7f")
    at = chance.randrange(len(signature))
    return body, signature[:at] + chance.choice(letters) + signature[at + 1 :]


def noise(chance, body, _signature):
    return body, "".join(chance.choices("ABCDEFabcdef0123456789+/=", k=chance.randrange(1, 256)))


def the_secret_itself(_chance, body, _signature):
    return body, OURS


def cut_or_grown(chance, body, signature):
    at = chance.randrange(len(body))
    return chance.choice((body[:at], body + b" ", b" " + body, body + body, body[:at] + b"\xff" + body[at:])), signature


def another_alert_under_this_signature(chance, _body, signature):
    return alert(chance.getrandbits(90), status="CLOSED"), signature


FORGERS = (
    flip_the_body,
    flip_the_signature,
    another_secret,
    an_empty_secret,
    another_algorithm,
    another_spelling,
    strange_letters,
    noise,
    the_secret_itself,
    cut_or_grown,
    another_alert_under_this_signature,
)


def send(door, body, signature, chance):
    """Send a call in one of the ways in which it may come; gives status and verdict."""
    headers = {chance.choice(HEADERS): signature}
    if chance.random() < 0.5:
        return door.call(b64encode(body).decode(), headers, in_base64=True)
    return door.call(as_text(body), headers)


def test_every_flipped_bit_of_a_body_and_of_its_signature_is_refused(door):
    body = alert()
    signature = sign(body)
    before, answers = door.effects, Counter()
    for at in range(len(body)):
        for bit in range(8):
            changed = b64encode(flipped(body, at, bit)).decode()
            answers[door.call(changed, {"x-mms-signature": signature}, in_base64=True)] += 1
    for at in range(len(signature)):
        for bit in range(8):
            odd = flipped(signature.encode(), at, bit).decode("latin-1")
            answers[door.call(as_text(body), {"x-mms-signature": odd})] += 1

    tell(webhook_bits_flipped=sum(answers.values()), accepted=answers.total() - answers[401, None])
    assert set(answers) == {(401, None)}
    assert door.effects == before
    assert door.function.raised == []


def test_of_many_forgeries_none_is_accepted(door):
    chance = random.Random(SEED)
    before, answers, kinds = door.effects, Counter(), Counter()
    for number in range(FORGERIES):
        forger = FORGERS[number % len(FORGERS)]
        body = alert(chance.getrandbits(90), humanReadable="x" * chance.randrange(200))
        forged = forger(chance, body, sign(body))
        answer = send(door, *forged, chance)
        answers[answer] += 1
        kinds[forger.__name__] += answer != (401, None)

    accepted = sum(kinds.values())
    tell(webhook_forgeries=FORGERIES, kinds=len(FORGERS), accepted=accepted, seed=SEED)
    assert accepted == 0, (kinds, answers)
    assert door.effects == before
    assert door.function.raised == []


def test_every_good_call_is_heard_once_whatever_way_it_is_written(door):
    chance = random.Random(SEED)
    answers, again = Counter(), Counter()
    for number in range(GOOD):
        moment = START + timedelta(seconds=chance.randrange(-80_000, 500))
        body = alert(number, updated=moment.isoformat(), humanReadable="é" * chance.randrange(50))
        signature = sign(body, chance.choice((OURS, OURS_BEFORE)))
        looks = len(door.world.atlas.calls)
        answers[send(door, body, signature, chance)] += 1
        looked = len(door.world.atlas.calls)
        again[send(door, body, signature, chance)] += 1
        assert looked > looks
        assert len(door.world.atlas.calls) == looked

    tell(webhook_good_calls=GOOD, heard=answers[202, "heard"], replays_without_effect=again[202, "left alone"])
    assert answers == {(202, "heard"): GOOD}
    assert again == {(202, "left alone"): GOOD}


@pytest.mark.parametrize(
    ("body", "secret"),
    [
        (alert(updated=(START - 25 * HOUR).isoformat()), OURS),
        (alert(updated=(START + HOUR).isoformat()), OURS),
        (alert(groupId="f" * 24), OURS),
        (alert(), THEIRS),
        (b"", OURS),
        (b"\xff\xfe\x00", OURS),
        (b"[" * 50_000, OURS),
        (b'{"id": ' + b"9" * 5_000 + b"}", OURS),
        (alert(id={"$gt": ""}), OURS),
        (alert(groupId="../" * 8), OURS),
        (alert(updated="9999-12-31T23:59:59.999999-23:59"), OURS),
        (alert(updated="0001-01-01T00:00:00+23:59"), OURS),
        (alert(id="half a letter").replace(b"half a letter", b"\\ud83d"), OURS),
        (alert(groupId="half a letter").replace(b"half a letter", b"\\udfff"), OURS),
        (alert(status="half a letter").replace(b"half a letter", b"\\udfff"), OURS),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_is_signed_but_old_of_others_or_shapeless_has_no_effect(door, body, secret):
    before = door.effects

    status, verdict = door.call(b64encode(body).decode(), {"x-mms-signature": sign(body, secret)}, in_base64=True)

    assert (status, verdict) == (202, "left alone")
    assert door.effects == before


@pytest.mark.parametrize(
    "headers", [{}, {"x-mms-signature": ""}, {"x-mms-signatures": "x"}, {"x-mms-event": "alert.open"}]
)
def test_a_call_without_a_signature_never_reaches_whoever_may_read_secrets(door, headers):
    assert door.call(as_text(alert()), headers) == (401, None)
    assert door.function.asked == 0


@pytest.mark.parametrize("too_much", [1, LARGEST])
def test_a_huge_body_never_reaches_whoever_may_read_secrets(door, too_much):
    body = b" " * (LARGEST + too_much)

    assert door.call(b64encode(body).decode(), {"x-mms-signature": sign(body)}, in_base64=True) == (401, None)
    assert door.function.asked == 0


def test_the_largest_body_that_is_taken_is_judged(door):
    body = alert(humanReadable="x" * (LARGEST - len(alert()) + len("Schlüssel ungültig".encode())))

    assert len(body) == LARGEST
    assert door.call(as_text(body), {"x-mms-signature": sign(body)}) == (202, "heard")


def test_base64_that_is_not_flagged_is_not_decoded_and_so_not_signed(door):
    body = alert()

    assert door.call(b64encode(body).decode(), {"x-mms-signature": sign(body)}) == (401, None)


@pytest.mark.parametrize("body", ["%%%", "a", "é", None, ""])
def test_a_body_flagged_as_base64_that_is_none_is_refused(door, body):
    status, verdict = door.call(body, {"x-mms-signature": sign(alert())}, in_base64=True)

    assert (status, verdict) in {(401, None), (400, None)}
    assert door.function.raised == []


def test_an_organization_without_secrets_is_signed_for_by_nobody(door, monkeypatch):
    monkeypatch.setenv("ATLAS_SECRETS", "keyturn/silent")
    body = alert()

    answers = {
        door.call(as_text(body), {"x-mms-signature": sign(body, secret)}) for secret in ("", OURS, THEIRS, "None")
    }

    assert answers == {(401, None)}


def test_a_door_that_took_any_signature_would_be_seen(door):
    gullible = type(door.world.outside)(
        **{**vars(door.world.outside), "signed_by": lambda _body, _signature: door.world.project.organization}
    )
    door.world.outside = gullible
    body = alert()

    assert door.call(as_text(body), {"x-mms-signature": "anything"}) == (202, "heard")
