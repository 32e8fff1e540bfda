"""What a proof tells of itself: figures on standard error, which `make prove` shows even from parallel workers."""

import os
import sys

FULL_SIZE = os.environ.get("KEYTURN_PROVE") == "1"
"""Whether the proofs run at their full size (`make prove`) or small (`make test`)."""


def tell(**figures):
    """Print one line of figures, named; shown by `pytest -s` only."""
    line = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in figures.items())
    sys.stderr.write(f"\n{line}\n")
    sys.stderr.flush()


def _shown(value):
    return f"{value:,}" if isinstance(value, int) else str(value)
