"""One device's pictures: listed, brought as far as they are new, looked at, and put where they belong."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fleet.connection import Connection
from fleet.pulling.bringing import batches, bring
from fleet.pulling.collection import Brought, Collection
from fleet.pulling.description import read_description
from fleet.pulling.index import Pulled
from fleet.pulling.listing import HARD_EXAMPLE, Listed, list_pictures
from fleet.targets import Target
from trainer.audit.inspection import inspect_content

KNOWN = "brought before"
GONE = "rotated away meanwhile"
Result = TypeVar("Result")


@dataclass
class Tally:
    """What came of one device, so far."""

    came: Counter[tuple[str, str]] = field(default_factory=Counter)
    """{(class, "saved" or "hard example"): how many}."""
    left_out: Counter[str] = field(default_factory=Counter)
    """{why: how many}."""

    def count(self, pulled: Pulled) -> None:
        """Adds one that was judged."""
        if pulled.file is None:
            self.left_out[pulled.left_out] += 1
        else:
            self.came[pulled.label, pulled.kind] += 1


async def pull_from(
    target: Target,
    connection: Connection,
    collection: Collection,
    tally: Tally,
    pool: Executor,
    say: Callable[[str], object],
) -> None:
    """Brings a device's new pictures into the folder; a cut leaves whole ones, and the next call goes on.

    Args:
        target: The device.
        connection: To it.
        collection: Where they go.
        tally: Counts them, also those before an error.
        pool: Decodes as many pictures at once as it has threads, each up to 0.5 GiB.
        say: Told what is to come.

    Raises:
        FleetError: If the device does not give them, as `list_pictures` and `bring`.
        WriteError: If the disk here does not take them.
    """
    listing = await list_pictures(connection, target.state)
    tally.left_out += listing.left_out
    new = [picture for picture in listing.pictures if not collection.knows(target.name, picture)]
    if known := len(listing.pictures) - len(new):
        tally.left_out[KNOWN] += known
    if new:
        size_mb = sum(picture.size_bytes for picture in new) / 1e6
        say(f"{target.name}: {len(new)} new pictures, {size_mb:.1f} MB")
    for batch in batches(new):
        contents = await bring(connection, target.state, batch)
        there = [picture for picture in batch if picture.paths <= contents.keys()]
        if gone := len(batch) - len(there):
            tally.left_out[GONE] += gone
        for brought in await asyncio.gather(*(_inspected(target, p, contents, pool) for p in there)):
            tally.count(await _in(pool, collection.place, brought))


async def _inspected(target: Target, picture: Listed, contents: dict[str, bytes], pool: Executor) -> Brought:
    content = contents[picture.there]
    inspection = await _in(pool, inspect_content, Path(picture.there), content)
    described = picture.kind == HARD_EXAMPLE
    description = read_description(contents[picture.description]) if described else None
    return Brought(target.name, picture, content, inspection, description)


async def _in(pool: Executor, function: Callable[..., Result], *arguments: object) -> Result:
    """Away from the connections, whose signs of life go on."""
    return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
