"""All devices asked the same at once, each with its answer or what kept it from answering."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from edge_runtime.errors import LitelensError
from edge_runtime.store.history import printable
from fleet.connection import Connection
from fleet.inspecting.errors import DevicesUnwell
from fleet.many import on_each
from fleet.targets import Target

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Asked(Generic[Answer]):
    """A device that was asked."""

    target: Target
    answer: Answer | None
    """None: it has not answered."""
    problem: LitelensError | None
    """Why not."""

    @property
    def failure(self) -> str:
        """The problem in a line for people; devices have a part in its words."""
        return printable(str(self.problem)) if self.problem else ""

    def to_dict(self) -> dict[str, Any]:
        """Device and problem; ready for JSON."""
        problem = self.problem and {
            "kind": type(self.problem).__name__,
            "message": str(self.problem),
            "hint": self.problem.hint,
        }
        return {"device": self.target.name, "address": self.target.address, "error": problem}


def ask_each(
    targets: Sequence[Target], ask: Callable[[Target, Connection], Awaitable[Answer]]
) -> list[Asked[Answer]]:
    """Asks all of them; returns what came, by the devices' names."""

    async def gather() -> list[Asked[Answer]]:
        return [
            Asked(target, None, came) if isinstance(came, LitelensError) else Asked(target, came, None)
            async for target, came in on_each(targets, ask)
        ]

    return sorted(asyncio.run(gather()), key=lambda asked: asked.target.name)


def check_answered(asked: Sequence[Asked[Any]]) -> None:
    """Ends a command with an error where a device has not answered.

    Raises:
        LitelensError: The only one's own; or DevicesUnwell.
    """
    silent = [device for device in asked if device.problem]
    if len(silent) == 1:
        raise silent[0].problem
    if silent:
        names = ", ".join(device.target.name for device in silent)
        raise DevicesUnwell(
            f"{len(silent)} of {len(asked)} devices did not do it: {names}",
            f"--to {silent[0].target.name} says more of that one",
        )
