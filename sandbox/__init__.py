"""The pretend world: AWS, Atlas, one clock for both, and a runner for the same handlers; never ships."""
