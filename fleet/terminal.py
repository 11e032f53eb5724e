"""The person at the terminal: asked one question at a time, while the connections go on."""

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Terminal:
    """Asks on stderr and reads from stdin; several connections may share one, and wait for each other's answers."""

    def __init__(self):
        self._one_question = asyncio.Lock()

    @property
    def attended(self) -> bool:
        """Whether a person can be asked, and would see it."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))

    async def ask(self, question: str, secret: bool = False) -> str:
        """What the person types in a line, without blanks around it.

        Args:
            question: Shown before the cursor.
            secret: Whether what is typed stays unseen.
        """
        descriptor = sys.stdin.fileno()
        async with self._one_question:
            with _echo(descriptor, not secret):
                click.echo(question, nl=False, err=True)
                # Not input(): it would hold up the other connections, and the first Ctrl-C.
                answer = await _line(descriptor)
            if secret:
                click.echo(err=True)
        return answer.strip()


async def _line(descriptor: int) -> str:
    """The next line of a terminal, which hands out whole lines; "" at its end."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()
    loop.add_reader(descriptor, lambda: line.done() or line.set_result(os.read(descriptor, 4096)))
    try:
        return (await line).decode(errors="replace")
    finally:
        loop.remove_reader(descriptor)


@contextmanager
def _echo(descriptor: int, visible: bool) -> Iterator[None]:
    if visible:
        yield
        return
    before = termios.tcgetattr(descriptor)
    silent = list(before)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
