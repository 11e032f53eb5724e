"""Whose signatures count: the root metadata's statements on the roles, changed and compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Role, Root

from fleet.repository.errors import RepositoryError
from fleet.repository.keys import Keyring
from fleet.repository.repository import DAYS, DAYS_FIELD, ROLES, Repository


@dataclass(frozen=True)
class RoleStatus:
    """How a role stands."""

    role: str
    keys: tuple[str, ...]
    """The ids of its keys, in hexadecimal, as far as they tell them apart."""
    threshold: int
    version: int
    expires: datetime
    days: int
    """How long a signature of it is in force."""


def role_statuses(repository: Repository) -> list[RoleStatus]:
    """All four roles, root first."""
    root: Root = repository.root.signed
    return [
        RoleStatus(
            role,
            tuple(keyid[:8] for keyid in root.roles[role].keyids),
            root.roles[role].threshold,
            repository.signed(role).version,
            repository.signed(role).expires,
            repository.days(role),
        )
        for role in ROLES
    ]


def change_role(
    repository: Repository,
    keyring: Keyring,
    role: str,
    *,
    add_key: bool = False,
    remove_keys: Iterable[str] = (),
    threshold: int | None = None,
    days: int | None = None,
) -> None:
    """Changes what the next root says of a role; `Repository.write` signs it and makes it public.

    Args:
        repository: Which; a proposed root in it must have been adopted.
        keyring: Takes the new key.
        role: One of `ROLES`.
        add_key: Makes a new key for it.
        remove_keys: Keys whose signatures are to count no longer: their ids, or the beginnings of them.
        threshold: So many of its keys must sign.
        days: A signature is in force for so long.

    Raises:
        RepositoryError: If a key is none of the role's, or fewer would be left than must sign.
        KeyFileError: If the new key cannot be written.
    """
    root = repository.next_root()
    gone = [_key(root.roles[role], role, beginning) for beginning in remove_keys]
    wanted = threshold or root.roles[role].threshold
    left = len(root.roles[role].keyids) - len(set(gone)) + add_key
    if left < wanted:
        raise RepositoryError(
            f"{role} would have {left} keys, and {wanted} of them must sign",
            "add one with --add-key, or ask for fewer with --threshold",
        )
    if add_key:
        root.add_key(keyring.create(role), role)
    for keyid in set(gone):
        root.revoke_key(keyid, role)
    root.roles[role].threshold = wanted
    if days:
        root.roles[role].unrecognized_fields[DAYS_FIELD] = days


def differences(before: Root, after: Root) -> list[str]:
    """What another root changes, a line each, for who is to sign it."""
    lines = [f"it is in force until {after.expires:%Y-%m-%d}"]
    for role in ROLES:
        old, new = before.roles[role], after.roles[role]
        lines += [f"{role}: a new key {keyid[:8]}" for keyid in new.keyids if keyid not in old.keyids]
        lines += [
            f"{role}: key {keyid[:8]} counts no longer" for keyid in old.keyids if keyid not in new.keyids
        ]
        lines += [
            f"{role}: key {keyid[:8]} is another one under the old name"
            for keyid in new.keyids
            if keyid in old.keyids and before.keys[keyid] != after.keys[keyid]
        ]
        if old.threshold != new.threshold:
            lines.append(f"{role}: {new.threshold} signatures instead of {old.threshold}")
        days = [given.unrecognized_fields.get(DAYS_FIELD, DAYS[role]) for given in (old, new)]
        if days[0] != days[1]:
            lines.append(f"{role}: in force for {days[1]} days instead of {days[0]}")
    if before.consistent_snapshot != after.consistent_snapshot:
        lines.append("consistent snapshots are switched off: no root of ours does that")
    return lines


def _key(role: Role, name: str, beginning: str) -> str:
    found = [keyid for keyid in role.keyids if keyid.startswith(beginning)]
    if len(found) != 1:
        raise RepositoryError(
            f"{beginning!r} is the beginning of {len(found)} of {name}'s keys: {', '.join(k[:8] for k in role.keyids)}",
            "name one of them: litelens repo status DIR shows their ids",
        )
    return found[0]
