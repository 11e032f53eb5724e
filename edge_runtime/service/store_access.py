"""What a service may write of a store, so that it counts starts, ends trials and takes new versions by itself."""

import grp
import os
import pwd
import shlex
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.service.unit import ServiceError
from edge_runtime.store.folder import folder_of

GROUP = "litelens_store"
"""Whose the store is that `litelens provision` makes."""


@dataclass(frozen=True)
class StoreAccess:
    """The store of the model that a service is to run, and the groups that may write there."""

    store: Path
    """STORE, with all models in it: what `litelens run --follow` remembers lies beside them, in STORE/.updates, and a
    folder that is made anew would be lost to a mount of its own. Others' models are as open to the store's group without."""
    groups: tuple[str, ...]
    """Names, or numbers where a group has none."""

    @classmethod
    def of(cls, model: Path, service: str, user: str | None) -> "StoreAccess | None":
        """The access to the store that an absolute path leads into, STORE/NAME/current; None for any other file.

        Args:
            model: As the service will name it.
            service: Its name, without ".service".
            user: Whom it runs as; None is a user that systemd makes, with the service's name.

        Raises:
            ServiceError: If the user could not write there.
        """
        folder = folder_of(model)
        if folder is None:
            return None
        gids = {_writing_group(path, folder, user) for path in (folder.parent, folder)} - {None}
        groups = tuple(map(_group_name, sorted(gids)))
        for name in groups:
            # systemd makes a user and a group of the service's name, and starts nothing where there is one (217/USER).
            if user is None and (name == "litelens" or name.startswith("litelens-") or name == service):
                raise ServiceError(
                    f"{folder} is open to the group {name}, which is the name of a service's own user and group",
                    _open_to_group(folder),
                )
        return cls(folder.parent, groups)


def _writing_group(path: Path, folder: Path, user: str | None) -> int | None:
    """The group by which the service's user may write into path; None where it needs none."""
    status = path.stat()
    owner = user is not None and pwd.getpwnam(user).pw_uid == status.st_uid
    if status.st_mode & (0o200 if owner else 0o002):
        return None
    if (
        not owner and status.st_mode & 0o020 and status.st_gid != 0
    ):  # root's group would open more than the store
        return status.st_gid
    who = f"the user {user}" if user else "the user that systemd makes for the service"
    raise ServiceError(
        f"{who} could not write into {path}, so no start of a new version would be counted and no trial would end",
        _open_to_group(folder),
    )


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _open_to_group(folder: Path) -> str:
    """The commands that open STORE/NAME, and STORE, to a group whose name is free."""
    store = shlex.quote(os.fspath(folder.parent))
    return (
        f"sudo groupadd --system --force {GROUP}; sudo install -d -m 2775 -g {GROUP} {store}; "
        f"sudo chgrp -R {GROUP} {store}; sudo chmod -R g+rwX {store}; sudo chmod g+s {store} {store}/*/"
    )
