"""Whatever stands in the environment or in a secret: it is taken as it is meant, or refused without showing it."""

import json
import traceback
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from figures import FULL_SIZE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spoilt_answers import bodies

from chalicelib.adapters.atlas_wire import AtlasWire
from chalicelib.adapters.secrets import LegacyCredentials, OrganizationSecret, Secrets
from chalicelib.settings import DEFAULTS, MissingSetting, Settings
from chalicelib.usecases.ports import PermanentError

CANARY = "canary-7f3a"
ORGANIZATION = {
    "organization": "0123456789abcdef01234567",
    "reader": {"client_id": "reader-id", "client_secret": f"{CANARY}-reader"},
    "owner": {"client_id": "owner-id", "client_secret": f"{CANARY}-owner"},
    "webhook_secrets": [f"{CANARY}-old-hook", f"{CANARY}-new-hook"],
}
CREDENTIALS = {"access_key_id": "AKIA0000000000000000", "secret_access_key": f"{CANARY}-user"}
SIZE = settings(max_examples=2000 if FULL_SIZE else 150, deadline=None)


class Manager:
    """Secrets Manager, with one content for every secret: a text, or bytes where it is none."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_secret_value(self, **_asked):
        try:
            return {"SecretString": self._content.decode()}
        except UnicodeDecodeError:
            return {"SecretBinary": self._content}


def read(content, ask):
    """What the adapter makes of a content; None when it refuses it."""
    secrets = Secrets(Manager(content), lambda: datetime(2027, 3, 1, tzinfo=UTC))
    try:
        found = ask(secrets)
    except PermanentError as error:
        refused = error
    else:
        assert "canary" not in repr(found)
        return found
    assert "keyturn/" in refused.message
    assert refused.message.isprintable()
    assert "canary" not in "".join(traceback.format_exception(refused))
    return None


@SIZE
@given(content=bodies(ORGANIZATION))
def test_a_spoilt_secret_of_an_organization_is_refused_without_showing_it_or_read_whole(content):
    found = read(content, lambda secrets: secrets.get("keyturn/organization"))

    if found is not None:
        assert isinstance(found, OrganizationSecret)
        assert all([found.organization, *vars(found.reader).values(), *vars(found.owner).values()])
        assert all(isinstance(value, str) and value for value in found.values())


@SIZE
@given(content=bodies(CREDENTIALS))
def test_spoilt_credentials_of_a_user_are_refused_without_showing_them_or_read_whole(content):
    found = read(content, lambda secrets: secrets.credentials("keyturn/user"))

    if found is not None:
        assert isinstance(found, LegacyCredentials)
        assert all(value and [value] == value.split() for value in vars(found).values())


texts = st.text(max_size=60)


@given(name=st.sampled_from(sorted(DEFAULTS)), text=texts)
def test_a_setting_is_what_stands_there_or_its_default_or_is_missed_by_name(name, text):
    if text or DEFAULTS[name]:
        assert Settings({name: text})[name] == (text or DEFAULTS[name])
        return
    with pytest.raises(MissingSetting, match=name):
        Settings({name: text})[name]


@given(text=st.text(st.sampled_from(" ,\t\nab*:/"), max_size=20))
@example(text=" , ,")
def test_a_list_of_a_setting_has_no_blank_entries_and_a_list_of_people_is_never_opened_by_commas(text):
    told = Settings({"ATLAS_SECRETS": text, "DEAD_LETTER_QUEUES": text, "OPERATORS": text})

    for listed in (told.atlas_secrets, told.dead_letter_queues) if text else ():
        assert all(entry == entry.strip() and entry for entry in listed)
    assert bool(told.people("OPERATORS")) is bool(text.strip())


HOSTS = (
    "cloud.mongodb.com",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "evil.example",
    "10.0.0.1",
    "169.254.169.254",
    "2130706433",
)
addresses = st.one_of(
    texts,
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(
                ("https://", "http://", "HTTP://", "ftp://", "file://", "//", "https:", "http:\\\\", " http://")
            ),
            st.sampled_from(("", f"{CANARY}:x@", f"{CANARY}@", "localhost@", "localhost\\@", "\t", "\n", "\u2100")),
            st.sampled_from(HOSTS),
            st.sampled_from(
                ("", ":443", ":x", ":99999999", "\\", "%00", "\n.evil.example", "#@evil.example", "\u2488com")
            ),
            st.sampled_from(("", "/", "/path", "/../x", "?x=1", "/#f", f"/?{CANARY}")),
        ),
    ),
)


@SIZE
@given(address=addresses)
@example(address=f"https://{CANARY}:x@cloud.mongodb.com\u2100")
@example(address="http://localhost\n.evil.example")
@example(address="HTTPS://0\\")
@example(address="https://evil.example\\.mongodb.com")
def test_an_address_of_atlas_is_https_or_loopback_for_whoever_reads_it_or_is_refused_without_what_is_secret_in_it(
    address,
):
    try:
        wire = AtlasWire(address, lambda: 900.0)
    except ValueError:
        assert CANARY not in traceback.format_exc()
        return
    pool = wire._pool
    assert pool.scheme in {"https", "http"}
    assert urlsplit(address).hostname == pool.host.strip("[]")
    assert pool.scheme == "https" or pool.host == "localhost" or ip_address(pool.host.strip("[]")).is_loopback


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "2130706433", "evil.example"])
def test_no_secret_goes_to_a_host_without_https(host):
    with pytest.raises(ValueError, match="must be https"):
        AtlasWire(f"http://{host}", lambda: 900.0)


def test_a_good_content_is_read():
    assert read(json.dumps(ORGANIZATION).encode(), lambda secrets: secrets.get("keyturn/organization")) is not None
    assert read(json.dumps(CREDENTIALS).encode(), lambda secrets: secrets.credentials("keyturn/user")) is not None
