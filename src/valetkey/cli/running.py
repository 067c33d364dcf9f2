"""How a run of the command ends: whatever happens becomes an exit code and at most a few lines."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from types import FrameType
from typing import NoReturn

import click

from valetkey.cli import exits
from valetkey.cli.terminal import say, warn
from valetkey.errors import clean


class PipeClosed(Exception):
    """Nobody reads what is written any more."""


class Terminated(BaseException):
    """SIGTERM: what is under way is finished first, as for Ctrl-C."""


def guarded(args: Sequence[str], work: Callable[[], object]) -> int:
    """Run `work` and return the exit code: what it returns, or what its error stands for."""
    with _signals(), _warnings(), _logging():
        try:
            result = work()
            sys.stdout.flush()
        except (KeyboardInterrupt, click.Abort):
            return _last_word("interrupted", exits.INTERRUPTED)
        except Terminated:
            return _last_word("terminated", exits.TERMINATED)
        except (PipeClosed, BrokenPipeError):
            return _hush()
        except Exception as error:  # noqa: BLE001 - the last place that can say what went wrong
            if exits.is_of_output(error):
                _hush()
            return _failed(args, error)
    return result if isinstance(result, int) else exits.OK


def debugging() -> bool:
    """Whether tracebacks and the library's log are to be shown."""
    return os.environ.get("VALETKEY_DEBUG") == "1"


def _last_word(word: str, status: int) -> int:
    with contextlib.suppress(OSError):
        say(word)
    return status


def _failed(args: Sequence[str], error: Exception) -> int:
    if debugging():
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    try:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a group without a word: its help is the answer
            say(error.format_message())
            return exits.USAGE
        told = exits.told(error)
        if _wants_json(args):
            from valetkey.cli.output import emit  # noqa: PLC0415

            emit(told.members())
        else:
            told.write()
        sys.stdout.flush()
    except BrokenPipeError:
        return _hush()
    return told.status


def _wants_json(args: Sequence[str]) -> bool:
    """Whether ``--json`` was asked for; the command line may be the very thing that is wrong."""
    own = list(args)
    return "--json" in (own[: own.index("--")] if "--" in own else own)


def _hush() -> int:
    """Let nobody complain about the closed pipe again when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exits.PIPE_CLOSED


@contextlib.contextmanager
def _signals() -> Generator[None]:
    """Let SIGTERM end the command as Ctrl-C does: a refresh under way still stores what it gets."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: signals are somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _warnings() -> Generator[None]:
    """Show warnings of this package as lines of our own; others stay what they are."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: object, **more: object) -> None:
            if category.__module__.startswith("valetkey."):
                warn(clean(message, 1000))
            else:
                others(message, category, *rest, **more)  # type: ignore[arg-type]  # as Python calls it

        warnings.filterwarnings("default", category=UserWarning)
        warnings.showwarning = show
        yield


class _Lines(logging.Handler):
    """Shows the library's log as lines of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        text = clean(record.getMessage(), 1000)
        if record.levelno >= logging.WARNING:
            warn(text)
        else:
            say(f"{record.levelname.lower()}: {record.name}: {text}")
        if record.exc_info and debugging():
            import traceback  # noqa: PLC0415

            say("".join(traceback.format_exception(*record.exc_info)).rstrip())


@contextlib.contextmanager
def _logging() -> Generator[None]:
    """Show warnings of the library, and with ``VALETKEY_DEBUG=1`` its whole log: it holds no secrets."""
    logger = logging.getLogger("valetkey")
    handler, level, propagate = _Lines(), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debugging() else logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
