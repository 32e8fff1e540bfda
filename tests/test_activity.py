"""What an entry of the audit trail is about."""

import pytest

from chalicelib.domain.activity import ALERT, about
from chalicelib.domain.policies import FLEET
from chalicelib.domain.vocabulary import About


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (FLEET, About.FLEET),
        (f"{ALERT}64b0c0c0c0c0c0c0c0c0c0c1", About.ALERT),
        ("11111111-2222-3333-4444-555555555555", About.KEY),
        ("mrk-" + "ab" * 16, About.KEY),
        ("0123456789abcdef", About.DELETION),
        ("64b0c0c0c0c0c0c0c0c0c0c0", About.PROJECT),
    ],
)
def test_a_subject_tells_its_kind_by_its_form(subject, kind):
    assert about(subject) is kind
