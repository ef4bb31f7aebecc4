"""`python -m tasks …`: every job from the shell, the same code that the DAGs call."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tasks.commands import app
from tasks.errors import PenchantError


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except PenchantError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(_told(error), err=True)
        sys.exit(1)


def _told(error: OSError) -> str:
    """An error of the file system in one line; libraries that write files raise it without a name or a number."""
    if not error.errno:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    where = f": {error.filename}" if error.filename else ""
    todo = _TODO.get(error.errno, "mend it")
    return f"{type(error).__name__}: {os.strerror(error.errno)}{where}; {todo} and run the same again; nothing is lost"


_TODO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free disk space, or name another PENCHANT_HOME,"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST),
        "name a folder that can be written, such as by PENCHANT_HOME,",
    ),
}
"""What to do about it, by number of the error."""


def main() -> None:
    """Run the command line; an error of ours is one line and exit status 1, never a stack trace."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # the embedded PostgreSQL does without
    warnings.filterwarnings("ignore", message="OpenBLAS is configured")  # implicit is run with its threads limited
    with _named_errors():
        app()


if __name__ == "__main__":
    main()
