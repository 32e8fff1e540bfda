"""Imports every handler as Lambda would: `env -i python -I -S import_handlers.py UNPACKED RUNTIME HANDLER…`.

Nothing but the unpacked zip and what the runtime brings is on the path, and the environment is empty. Every
module of chalicelib is imported too, because the handlers import the most of it only when they run.
"""

import importlib
import pkgutil
import sys


def main(unpacked: str, runtime: str, handlers: list[str]) -> None:
    """Import it all; an ImportError or a missing handler ends the program with its traceback."""
    sys.path[:0] = [unpacked, runtime]
    sys.dont_write_bytecode = True
    for handler in handlers:
        module, function = handler.rsplit(".", 1)
        getattr(importlib.import_module(module), function)
    rooms = importlib.import_module("chalicelib")
    modules = [found.name for found in pkgutil.walk_packages(rooms.__path__, "chalicelib.")]
    for name in modules:
        importlib.import_module(name)
    sys.stdout.write(f"{len(handlers)} handlers and {len(modules)} modules import with no environment\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
