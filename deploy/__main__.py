"""`python -m deploy …`: bring Penchant up on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

from deploy.shop import Shop
from tasks.errors import PenchantError
from tasks.settings import Settings

_BEGAN = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # the embedded PostgreSQL does without
    if options.command == "prepare":
        from deploy.prepare import prepare

        prepare()
        return 0
    if options.command == "serve":
        return _serve(options)
    if options.command == "secrets":
        from deploy.credentials import dotenv

        print(dotenv())
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    from deploy.processes import ComponentDied
    from deploy.rest import Refused

    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except (ComponentDied, Refused) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace) -> int:
    from deploy.serve import serve, serve_feast

    try:
        if options.feast:
            serve_feast()
        else:
            serve(is_open=options.open, workers=options.workers)
    except PenchantError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> int:
    from deploy.stack import embedded
    from deploy.topology import topology

    home = Path(options.home or Settings().home).resolve()
    start = topology if options.topology else embedded
    with start(home / "topology" if options.topology else home, options.port, _say) as stack:
        status = 0
        if options.command == "demo":
            from deploy.demo import demo

            shop = Shop(options.users, options.days, options.seed)
            status = demo(stack, shop, _say)
        _say(f"Airflow: {stack.place.api}  login: admin / {stack.password}")
        if options.topology:
            secrets = f"{stack.place.home}/secrets.json"
            _say(f"features: http://127.0.0.1:{stack.place.features_port}  token: read_token in {secrets}")
        if options.command == "demo" and options.exit:
            return status
        _say("Ctrl-C stops it")
        with suppress(KeyboardInterrupt):  # the usual way to end
            while True:
                stack.processes.check()
                time.sleep(1)
        return status


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {line}", flush=True)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start Airflow and its stores here, and stay until Ctrl-C")
    demo = commands.add_parser("demo", help="the same, and run a batch of the sample shop through the pipeline")
    for command in (up, demo):
        command.add_argument("--home", help="folder of everything that is kept (default: the setting PENCHANT_HOME)")
        command.add_argument("--port", type=int, default=8080, help="port of Airflow's pages on 127.0.0.1")
        command.add_argument(
            "--topology", action="store_true", help="on Celery workers, a running PostgreSQL and a running Redis"
        )
    demo.add_argument("--users", type=int, default=Shop.users, help="users of the sample shop")
    demo.add_argument("--days", type=int, default=Shop.days, help="days that one batch covers")
    demo.add_argument("--seed", type=int, default=Shop.seed, help="seed of the sample shop")
    demo.add_argument("--exit", action="store_true", help="stop when done; the status is 0 only if every task worked")
    commands.add_parser("prepare", help="make databases, logins and pools as the environment says")
    serve = commands.add_parser(
        "serve", help="answer feature requests over HTTP (FEATURE_SERVER, PENCHANT_READ_TOKENS)"
    )
    serve.add_argument("--open", action="store_true", help="without tokens, on a loopback address only")
    serve.add_argument("--workers", type=int, default=1, help="processes that answer")
    serve.add_argument("--feast", action="store_true", help="run Feast's own feature server instead")
    commands.add_parser("secrets", help="print a new `.env` for docker-compose.yml")
    return parser


if __name__ == "__main__":
    sys.exit(main())
