"""Ctrl-C and SIGTERM as KeyboardInterrupt, but never between starting a process and knowing it."""

import contextlib
import signal

_holders = 0
_pending = False


def take():
    """From here on both signals interrupt."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def ignore():
    """From here on neither does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held():
    """An interrupt inside comes at the end. What is assigned inside is known to who catches it."""
    global _holders, _pending
    _holders += 1
    try:
        yield
    finally:
        _holders -= 1
        if _pending and not _holders:
            _pending = False
            raise KeyboardInterrupt


def _interrupt(number, frame):
    global _pending
    if _holders:
        _pending = True
    else:
        raise KeyboardInterrupt
