"""What parliament finds in policies: `python parliament_findings.py FOLDER` prints a JSON list.

It runs in a virtual environment of parliament's own, so it imports nothing of ours. Its command line wants a terminal.
"""

import json
import sys
from pathlib import Path

from parliament import analyze_policy_string


def main(folder: Path) -> None:
    """Print every finding of every policy with what it is about."""
    found = []
    for path in sorted(folder.glob("*.json")):
        for one in analyze_policy_string(path.read_text(), include_community_auditors=True).findings:
            about = f"{json.dumps(one.detail)} {json.dumps(one.location)}"
            found.append({"issue": one.issue, "where": path.stem, "about": about})
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
