"""Asks devices what they have counted."""

import asyncio
from collections.abc import Sequence

from edge_runtime.errors import LitelensError
from edge_runtime.store.names import CURRENT
from fleet.answer import reading
from fleet.connection import Connection
from fleet.drifting.answer import Answer
from fleet.many import on_each
from fleet.runtime import find_runtime
from fleet.targets import Target


def ask_each(targets: Sequence[Target], name: str, days: float) -> dict[Target, Answer | LitelensError]:
    """Asks all of them at once; returns what each answered, or its problem, in the order of `targets`."""

    async def ask(target: Target, connection: Connection) -> Answer:
        return await _ask(target, connection, name, days)

    async def gather() -> dict[Target, Answer | LitelensError]:
        return {target: came async for target, came in on_each(targets, ask)}

    answered = asyncio.run(gather())
    return {target: answered[target] for target in targets}


async def _ask(target: Target, connection: Connection, name: str, days: float) -> Answer:
    """Has the device compare its current version; it ends with 3 where it finds that it has drifted."""
    runtime = await find_runtime(connection)
    current = f"{target.store}/{name}/{CURRENT}"
    fields = await runtime.ask(
        "drift", current, "--state", target.state, "--days", f"{days:g}", accept=(0, 3)
    )
    with reading(runtime):
        return Answer.from_dict(fields)
