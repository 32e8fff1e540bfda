"""Lays a clean copy of what ships: `… | python -m package.sources FOLDER`, paths on stdin, NUL after each."""

import shutil
import sys
from pathlib import Path


def lay(paths: list[str], folder: Path) -> int:
    """Copy the files into a new folder, paths kept, and say how many; a path that is gone is skipped."""
    shutil.rmtree(folder, ignore_errors=True)
    present = [Path(path) for path in paths if path and "__pycache__" not in path and Path(path).is_file()]
    for path in present:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return len(present)


if __name__ == "__main__":
    count = lay(sys.stdin.read().split("\0"), Path(sys.argv[1]))
    sys.stdout.write(f"{count} files ship\n")
