"""A terminal to draw screens on and read single keys from: raw enough for keys, put back as it was whatever happens."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from enrich.review.screens import Line
from enrich.text import printable

END = "end"
"""What `typed` gives for Ctrl-D and for a terminal that went away."""
REDRAW = "redraw"
"""What `typed` gives when the window changed its size or the process came back to the foreground."""

_SGR = {"bold": "1", "dim": "2", "gone": "31;9", "come": "32;4", "warn": "33", "good": "32", "bad": "31", "cursor": "7"}
_NAMES = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\x1b[5~": "b", b"\x1b[6~": " ",
    b"\r": "enter", b"\n": "enter", b"\x04": END, b"\x1b": "escape",
}  # fmt: skip
_KEY = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO[A-Z]|\x1b|[\xc2-\xf4][\x80-\xbf]{1,3}|.", re.DOTALL)

# An arrow key is three bytes that a slow line may bring one after the other; a person's Escape comes alone.
_CUT_OFF = re.compile(rb"\x1b(?:\[[0-9;?]*|O)?\Z")
_REST_OF_KEY = 0.05


class Terminal:
    """The terminal on stdin and stdout. A context manager: outside of it, and within `lent`, the terminal is as it was."""

    def __init__(self, env: Mapping[str, str]) -> None:
        sys.stdout.flush()
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self.dumb = env.get("TERM", "dumb") in ("", "dumb")
        # https://no-color.org: present and not empty.
        self.plain = self.dumb or bool(env.get("NO_COLOR"))
        self._before: list[Any] = []
        self._wake: tuple[int, int] = (-1, -1)
        self._woke_before = -1
        self._handlers: dict[int, Any] = {}

    @staticmethod
    def there() -> bool:
        return sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def size(self) -> tuple[int, int]:
        """(columns, lines) as they are now."""
        columns, lines = shutil.get_terminal_size((80, 24))
        return columns, lines

    def __enter__(self) -> Terminal:
        self._before = termios.tcgetattr(self._in)
        self._wake = os.pipe()
        os.set_blocking(self._wake[1], False)
        # Every signal wakes the wait for a key, one too that comes just before it begins; its handler runs then.
        self._woke_before = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        handlers = {signal.SIGWINCH: _ignore, signal.SIGCONT: _ignore, signal.SIGTSTP: self._stopped, signal.SIGTERM: _ended}
        for number, handler in handlers.items():
            self._handlers[number] = signal.signal(number, handler)
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woke_before)
        for end in self._wake:
            os.close(end)

    def draw(self, lines: Sequence[Line]) -> None:
        """Show these lines in place of what is there."""
        # Screens are clean already; here is the border to the terminal, so here it is made certain.
        lines = [tuple((printable(text), style) for text, style in line) for line in lines]
        if self.dumb:
            text = "\n".join(["", *("".join(text for text, _ in line) for line in lines)]) + "\n"
        else:
            # Home, each line cleared to its end, then everything below: no flicker, and the last line ends without a break.
            text = "\x1b[H" + "\n".join(self._painted(line) + "\x1b[K" for line in lines) + "\x1b[J"
        self._write(text)

    def typed(self) -> Iterator[str]:
        """Keys as they come: a character, or `enter`, `escape`, `up`, `down`, `end`, `redraw`."""
        while True:
            ready, _, _ = select.select([self._in, self._wake[0]], [], [])
            if self._wake[0] in ready:
                os.read(self._wake[0], 1024)
                self._take()
                yield REDRAW
            if self._in in ready:
                data = self._read()
                if _CUT_OFF.search(data) and select.select([self._in], [], [], _REST_OF_KEY)[0]:
                    data += self._read()
                if not data:
                    yield END
                    return
                for key in _KEY.findall(data):
                    name = _NAMES.get(key)
                    if name is not None:
                        yield name
                    elif len(key) == 1 or not key.startswith(b"\x1b"):
                        yield key.decode("utf-8", "replace")

    def _read(self) -> bytes:
        try:
            return os.read(self._in, 1024)
        except OSError:
            return b""  # the other end hung up

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within, another program has the terminal; Ctrl-C is that program's."""
        self._give_back()
        before = signal.signal(signal.SIGINT, _ignore)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self._take()

    def _take(self) -> None:
        # TCSADRAIN, so that keys that were typed ahead are not lost.
        tty.setcbreak(self._in, termios.TCSADRAIN)
        if not self.dumb:
            self._write("\x1b[?1049h\x1b[?25l\x1b[2J")

    def _give_back(self) -> None:
        if not self.dumb:
            self._write("\x1b[?25h\x1b[?1049l")
        termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)

    def _painted(self, line: Line) -> str:
        if self.plain:
            return "".join(text for text, _ in line)
        return "".join(f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style else text for text, style in line)

    def _write(self, text: str) -> None:
        # Past Python's buffer: a signal's handler may write while a screen is being written.
        rest = memoryview(text.encode("utf-8", "replace"))
        while rest:
            rest = rest[os.write(self._out, rest) :]

    def _stopped(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets a terminal in order; `typed` takes it again."""
        del number, frame
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)


def _ended(number: int, frame: FrameType | None) -> None:
    """Asked to end: the way out puts the terminal back."""
    del frame
    raise SystemExit(128 + number)


def _ignore(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing, unlike SIG_IGN not handed on to the program that is started."""
    del number, frame
