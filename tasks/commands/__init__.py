"""The command line, a module for each panel of `--help`; importing the package registers every command."""

from tasks.commands import pipeline, quality, releases, reading, beginning  # isort: skip
from tasks.commands.app import app

__all__ = ["app", "beginning", "pipeline", "quality", "reading", "releases"]
