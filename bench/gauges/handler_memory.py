"""The peak memory of one Lambda, in KB (bytes on macOS): `python handler_memory.py ADDRESS [PROJECT]`.

It loads the handlers as Lambda does, builds the outside world, and sweeps where it is given a project. The clients
of AWS are those that ship and ask nobody; tracker and KMS are those of the tests, and in both figures.
"""

import os
import resource
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "bench")]
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "bench",
    "TABLE_NAME": "bench",
    "ALERTS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:alerts",
    "ESCALATIONS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:escalations",
    "ROTATIONS_QUEUE_URL": "http://127.0.0.1:9/000000000000/rotations",
    "SWEEPS_QUEUE_URL": "http://127.0.0.1:9/000000000000/sweeps",
    "EVENT_BUS_NAME": "bench",
}


def main(address: str, project_id: str | None) -> None:
    """Be an idle handler, and sweep where that is asked for."""
    os.environ.update(ENVIRONMENT, ATLAS_BASE_URL=address)
    import app  # noqa: F401 - loaded as Lambda loads it, with the environment above
    from chalicelib import wiring

    wiring.outside()
    if project_id is not None:
        sweep(address, project_id)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def sweep(address: str, project_id: str) -> None:
    """The real sweep, and what it found is asserted."""
    from gauges.sweeping import RETIRING_KEY, sweeping
    from peers.estate import Estate

    from chalicelib.usecases.sweep import sweep_key

    estate = Estate.named(project_id)
    swept = sweeping(address, estate)
    key = sweep_key(swept.world.outside, RETIRING_KEY)
    assert key is not None
    assert sum(cluster.snapshots for cluster in key.clusters) == estate.of_retiring_key, key.reasons


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)  # noqa: PLR2004 - the second is optional
