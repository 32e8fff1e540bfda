import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_command_lines_page_is_what_each_command_says_of_itself():
    sys.path.insert(0, str(ROOT / "docs"))
    import draw_cli

    assert draw_cli.PAGE.read_text(encoding="utf-8") == draw_cli.document()
