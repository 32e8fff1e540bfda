"""Lays compiled bytecode beside every module of the zip: `python -m package.precompile ZIP`.

Lambda's file system is read-only, so nothing compiled there is ever kept. The bytecode is not checked against its
source when it is loaded (both lie in one zip), carries the paths of /var/task, and is the same from build to build.
"""

import compileall
import importlib.util
import py_compile
import sys
import tempfile
import zipfile
from pathlib import Path

AT_RUN_TIME = "/var/task"
UNCHECKED = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
"""How bytecode begins that this Python, and so Lambda's, loads without a look at the source (PEP 552)."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def precompile(archive: Path) -> int:
    """Rewrite the zip with bytecode in it, and say for how many modules."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        compiled = compileall.compile_dir(
            folder,
            quiet=1,
            stripdir=folder,
            prependdir=AT_RUN_TIME,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not compiled:
            raise SystemExit("a module in the zip cannot be compiled")
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
            for path in paths:
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=_EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                written.writestr(entry, path.read_bytes())
        return sum(path.suffix == ".pyc" for path in paths)


if __name__ == "__main__":
    sys.stdout.write(f"{precompile(Path(sys.argv[1]))} modules are compiled\n")
