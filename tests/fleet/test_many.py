"""Work on many devices at once."""

import asyncio
from contextlib import aclosing

import pytest

from edge_runtime.errors import ConfigError
from fleet.errors import HostUnreachable
from fleet.many import each, on_each
from fleet.targets import Target

pytest_plugins = ["ssh_fixtures"]


def collected(ended) -> dict:
    async def collect():
        return {item: result async for item, result in ended}

    return asyncio.run(collect())


def test_each_device_is_connected_and_one_s_failure_is_no_other_s(ssh_server):
    ssh_server.trust()
    targets = [Target(name, ssh_server.device(name).name) for name in ("garden", "gate")]
    targets.append(Target("nowhere", "pi@127.0.0.1:1"))

    async def home(target, connection):
        if target.name == "gate":
            raise ConfigError("no", "never")
        return (await connection.check(("sh", "-c", "echo $HOME"))).strip()

    found = collected(on_each(targets, home))
    assert found[targets[0]].endswith("/devices/garden")
    assert isinstance(found[targets[1]], ConfigError) and isinstance(found[targets[2]], HostUnreachable)


def test_so_many_at_a_time_in_their_order():
    at_work, most, began = 0, 0, []

    async def work(item):
        nonlocal at_work, most
        began.append(item)
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return item * 2

    assert collected(each(range(20), work, at_once=3)) == {item: item * 2 for item in range(20)}
    assert most == 3 and began == list(range(20))


def test_they_come_as_they_end():
    async def scenario():
        first = asyncio.Event()

        async def work(item):
            await first.wait() if item == "slow" else first.set()

        return [item async for item, _ in each(["slow", "fast"], work)]

    assert asyncio.run(scenario()) == ["fast", "slow"]


def test_ctrl_c_ends_the_work_on_all():
    ended = []

    async def scenario():
        async def work(item):
            try:
                await asyncio.sleep(600)
            finally:
                await asyncio.sleep(0)  # as a connection that is closed
                ended.append(item)

        async def collect():
            async for _ in each("abc", work, at_once=2):
                pass

        task = asyncio.create_task(collect())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert sorted(ended) == ["a", "b"], "c had not begun"


def test_who_leaves_the_loop_early_ends_the_others():
    ended = []

    async def scenario():
        async def work(item):
            try:
                await asyncio.sleep(600 if item else 0)
            finally:
                ended.append(item)

        async with aclosing(each([0, 1], work)) as results:
            async for _ in results:
                break
        return list(ended)

    assert asyncio.run(scenario()) == [0, 1]


def test_what_nobody_expects_is_raised():
    async def work(item):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        collected(each("ab", work))
