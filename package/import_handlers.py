"""Imports every handler as Lambda would: `env -i python -I -S import_handlers.py UNPACKED RUNTIME LOADED HANDLER…`.

Nothing but the unpacked zip and what the runtime brings is on the path, and the environment is empty. Every
module of chalicelib is imported too, and so is all that a function imports only when it runs. Which modules of the
zip were loaded is written to the file LOADED.
"""

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def main(unpacked: Path, runtime: str, loaded: Path, handlers: list[str]) -> None:
    """Import it all; an ImportError or a missing handler ends the program with its traceback."""
    sys.path[:0] = [str(unpacked), runtime]
    sys.dont_write_bytecode = True
    ours = []
    for handler in handlers:
        module, function = handler.rsplit(".", 1)
        ours.append(importlib.import_module(module))
        getattr(ours[-1], function)
    rooms = importlib.import_module("chalicelib")
    names = [found.name for found in pkgutil.walk_packages(rooms.__path__, "chalicelib.")]
    ours += [importlib.import_module(name) for name in names]
    for part in ours:
        for imported in imports_of(part):
            importlib.import_module(imported)
    files = [Path(file) for known in list(sys.modules.values()) if (file := getattr(known, "__file__", None))]
    of_the_zip = sorted({str(file.relative_to(unpacked)) for file in files if file.is_relative_to(unpacked)})
    loaded.write_text("\n".join(of_the_zip) + "\n", encoding="utf-8")
    sys.stdout.write(
        f"{len(handlers)} handlers and {len(names)} modules import with no environment, and load {len(of_the_zip)}\n"
    )


def imports_of(module: ModuleType) -> Iterator[str]:
    """The modules that a module imports anywhere, in its functions too."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
