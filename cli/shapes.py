"""The API's answers, as they come."""

from typing import Any

Shape = dict[str, Any]
"""A JSON object of the API's; README.md and docs/ say what it holds."""
