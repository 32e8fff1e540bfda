"""Does: one verb a file, each observing through ports, asking the domain, acting and recording."""
