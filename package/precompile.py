"""Lays compiled bytecode beside the modules that the handlers load: `python -m package.precompile ZIP LOADED`.

Lambda's file system is read-only, so nothing compiled there is ever kept. The bytecode is not checked against its
source when it is loaded (both lie in one zip), carries the paths of /var/task, and is the same from build to build.
What nothing loads stays source, because its bytecode would be a third of the zip; what nothing ever will is left out.
"""

import importlib.util
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from package.archive import LEFT_OUT

AT_RUN_TIME = "/var/task"
UNCHECKED = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
"""How bytecode begins that this Python, and so Lambda's, loads without a look at the source (PEP 552)."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def precompile(archive: Path, loaded: Iterable[str]) -> int:
    """Rewrite the zip with bytecode in it for the modules named, and say for how many; others stay as they are.

    PyCompileError for a module that cannot be compiled, FileNotFoundError for one that is not there.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        modules = [module for module in loaded if module.endswith(".py")]
        for module in modules:
            py_compile.compile(
                str(folder / module),
                dfile=f"{AT_RUN_TIME}/{module}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        with zipfile.ZipFile(archive, "w") as written:
            for name, path in sorted(files.items()):
                if name.startswith(LEFT_OUT):
                    continue
                entry = zipfile.ZipInfo(name, date_time=_EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                written.writestr(entry, path.read_bytes(), compresslevel=9)
        return len(modules)


if __name__ == "__main__":
    compiled = precompile(Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").splitlines())
    sys.stdout.write(f"{compiled} modules are compiled\n")
