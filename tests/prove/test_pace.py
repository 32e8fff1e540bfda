"""Long proofs run at their own pace: nothing notes each of their lines, whoever measures coverage beside them."""

import sys


def test_no_line_of_a_proof_is_traced_for_coverage():
    assert not type(sys.gettrace()).__module__.startswith("coverage")
