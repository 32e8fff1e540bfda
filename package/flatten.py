"""Rewrites a template without anchors and aliases: `python -m package.flatten TEMPLATE`."""

import sys
from pathlib import Path

from package.template import read, write

if __name__ == "__main__":
    write(read(Path(sys.argv[1])), Path(sys.argv[1]))
