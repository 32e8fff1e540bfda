"""The sandbox's command line says in one line what it cannot do, before it begins."""

import pytest

from sandbox.__main__ import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "--port", "80000"), "a port is a number up to 65535, not 80000"),
        (("serve", "--port", "-1"), "a port is a number up to 65535, not -1"),
        (("serve", "--env", "/dev/null/nowhere"), "no folder can be made there"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_begins(capsys, words, said):
    with pytest.raises(SystemExit) as refused:
        main(words)

    assert refused.value.code == 2
    assert said in capsys.readouterr().err
