"""`python -m deploy …`: bring Penchant up on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tasks.settings import Settings

_BEGAN = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "prepare":
        from deploy.prepare import prepare

        prepare()
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    from deploy.processes import ComponentDied

    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except ComponentDied as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    from deploy import stack

    home = Path(options.home or Settings().home).resolve()
    with stack.embedded(home, options.port, _say) as up:
        _say(f"Airflow is up: {up.place.api}  login admin / {up.password}  (Ctrl-C stops it)")
        while True:
            up.processes.check()
            time.sleep(1)


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {line}", flush=True)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start Airflow and its stores here, and stay until Ctrl-C")
    for command in (up,):
        command.add_argument("--home", help="folder of everything that is kept (default: the setting PENCHANT_HOME)")
        command.add_argument("--port", type=int, default=8080, help="port of Airflow's pages on 127.0.0.1")
    commands.add_parser("prepare", help="make Airflow's database, logins and pools as the environment says")
    return parser


if __name__ == "__main__":
    sys.exit(main())
