"""The pretend world: AWS, Atlas, one clock for both, and a runner for the same handlers; never ships."""

import os

# Powertools reads this when the functions are imported: their metric lines would drown what the sandbox tells.
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
