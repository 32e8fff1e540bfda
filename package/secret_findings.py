"""What detect-secrets finds: `python package/secret_findings.py FOLDER…`, in an environment of its own, writes JSON.

Two kinds of looking. By shape: a text that can be nothing but a key of some service; nothing is left out for looking
like an id, as Atlas' private keys do. By guess: a long random text, or whatever is given to a name like `password`;
only in a repository, and neither in its tests, which are full of secrets that are none, nor in sentences about secrets.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import default_settings, transient_settings

RULES = Path(__file__).with_name("atlas_keys.py").resolve()
GUESSES = ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector")
NO_SECRETS = ("IPPublicDetector",)
NOT_GUESSED = ("tests", "requirements-zip.txt")
"""Made-up secrets, and the digests of wheels."""


def files(folder: Path) -> list[Path]:
    """What belongs to a repository, also what is not committed yet; all that lies in any other folder."""
    asked = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if is_repository(folder):
        listed = subprocess.run(asked, capture_output=True, check=True, text=True).stdout.split("\0")  # noqa: S603 - ours
        return sorted(path for name in listed if name and (path := folder / name).is_file())
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not _is_made(path.relative_to(folder).parts))


def _is_made(parts: tuple[str, ...]) -> bool:
    """Whether a file lies in what make makes, in a copy of the repository that is none of git's."""
    return parts[0] == "build" or parts[0].startswith(".venv")


def is_repository(folder: Path) -> bool:
    """Whether it is the root of a repository of git; `.git` is a file where there are several worktrees."""
    return (folder / ".git").exists()


def shapes() -> dict[str, Any]:
    """The settings for looking by shape."""
    with default_settings() as settings:
        known = [str(plugin["name"]) for plugin in settings.json()["plugins_used"]]
    plugins: list[dict[str, Any]] = [{"name": name} for name in known if name not in GUESSES + NO_SECRETS]
    rules = f"file://{RULES}"
    return {
        "plugins_used": [*plugins, {"name": "AtlasKeyDetector", "path": rules}],
        "filters_used": [{"path": f"{rules}::is_made_up"}],
    }


def guesses() -> dict[str, Any]:
    """The settings for looking by guess, with detect-secrets' own sense for what is none."""
    with default_settings() as settings:
        usual = [one for one in settings.json()["filters_used"] if not one["path"].endswith("is_line_allowlisted")]
    return {
        "plugins_used": [{"name": name} for name in GUESSES],
        "filters_used": [*usual, {"path": f"file://{RULES}::is_made_up"}],
    }


def findings(folder: Path, every: list[Path]) -> Iterator[dict[str, str]]:
    """Each secret that was found, by a digest; its text is told to nobody."""
    some = [path for path in every if path.relative_to(folder).parts[0] not in NOT_GUESSED and path.suffix != ".md"]
    for settings, looked_at in ((shapes(), every), (guesses(), some if is_repository(folder) else [])):
        found = SecretsCollection()
        with transient_settings(settings):
            get_mapping_from_secret_type_to_class.cache_clear()  # it remembers plugins that were known before ours
            for path in looked_at:
                found.scan_file(str(path))
        for name, secret in found:
            where = Path(name).relative_to(folder).as_posix()
            yield {"issue": secret.type, "where": where, "about": secret.secret_hash}


def main(folders: list[Path]) -> None:
    """Write what was found, and in how many files of each folder it was looked for."""
    listed = {folder: files(folder) for folder in folders}
    report = {
        "files": [len(every) for every in listed.values()],
        "findings": [finding for folder, every in listed.items() for finding in findings(folder, every)],
    }
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main([Path(argument).resolve() for argument in sys.argv[1:]])
