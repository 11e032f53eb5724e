"""One piece of work on many devices at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

from edge_runtime.errors import LitelensError
from fleet.connection import Connection, connect
from fleet.targets import Target
from fleet.terminal import Terminal

AT_ONCE = 32
"""Connections that are open at once: more make one workstation's network slower, not the fleet faster."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def on_each(
    targets: Iterable[Target],
    work: Callable[[Target, Connection], Awaitable[Result]],
    at_once: int = AT_ONCE,
) -> AsyncIterator[tuple[Target, Result | LitelensError]]:
    """Logs in to each device, works there, and yields what came of it as they end; one's failure is no other's.

    A person is asked one question at a time. Ctrl-C ends the work on all; so does contextlib.aclosing, for who leaves
    the loop over it early.

    Args:
        targets: The devices; they begin in this order.
        work: What is done with each; it may raise a LitelensError, FleetError among them.
        at_once: So many at a time.

    Yields:
        The device, and what `work` returned or the error.
    """
    terminal = Terminal()

    async def connected(target: Target) -> Result:
        async with connect(target.address, terminal) as connection:
            return await work(target, connection)

    async with aclosing(each(targets, connected, at_once)) as ended:
        async for done in ended:
            yield done


async def each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], at_once: int = AT_ONCE
) -> AsyncIterator[tuple[Item, Result | LitelensError]]:
    """The same for work that connects by itself."""
    turns = asyncio.Semaphore(at_once)

    async def done(item: Item) -> tuple[Item, Result | LitelensError]:
        async with turns:
            try:
                return item, await work(item)
            except LitelensError as problem:
                return item, problem

    tasks = [asyncio.create_task(done(item)) for item in items]
    try:
        for ended in asyncio.as_completed(tasks):
            yield await ended
    finally:
        for task in tasks:
            task.cancel()
        # Each closes its connection, which ends what runs on it there.
        await asyncio.gather(*tasks, return_exceptions=True)
