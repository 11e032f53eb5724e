"""A repository's metadata: read and verified, changed, signed, and written in an order that no reader can fall over.

    DIR/metadata/N.root.json         all of them, for ever: a device that was away walks from its own to the newest
    DIR/metadata/N.targets.json      the model files on offer
    DIR/metadata/N.snapshot.json     which targets metadata are the newest
    DIR/metadata/timestamp.json      which snapshot is the newest: the one file that is ever replaced
    DIR/metadata/pending.root.json   a root that still lacks signatures; no device asks for it
    DIR/targets/NAME/SHA256.VERSION.tflite

What a reader holds while something is written still leads to files that are there: new files come first, then
timestamp.json is replaced, in one instant, and last comes a new root. Roles whose keys a new root replaces are signed with
the old keys and the new ones, so they verify before it and after it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError as NotGenuine
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, RootVerificationResult, Snapshot, Targets, Timestamp

from edge_runtime.updating.fetching import METADATA
from edge_runtime.updating.offers import SIGNED_AT, TIME_FORMAT
from edge_runtime.whole_file import write_whole
from fleet.repository.errors import KeyFileError, RepositoryError
from fleet.repository.keys import Keyring

SIGNED_ROLES = ("targets", "snapshot", "timestamp")
"""Those that root vouches for, in the order in which they are written."""
ROLES = ("root", *SIGNED_ROLES)
DAYS = {"root": 365, "targets": 365, "snapshot": 365, "timestamp": 7}
"""How long a signature is in force, unless told otherwise. The timestamp's time is short, as it alone tells a device that
nothing newer is held back; the others are vouched for by it, and want a person with a passphrase."""
RENEW_SHARE = 1 / 3
"""What has less of its time left than this is signed again."""
DAYS_FIELD = "x-litelens-days"
"""Field of a role in the root metadata."""
_PENDING = "pending.root.json"
_CLOCK_ERROR = timedelta(hours=1)
_LOOK = "litelens repo status DIR shows what is there; take the folder from a backup, or from the server"


class Repository:
    """A repository whose metadata have been verified; `write` makes changes to them public."""

    def __init__(
        self,
        folder: Path,
        root: Metadata[Root],
        roles: dict[str, Metadata],
        following: Metadata[Root] | None = None,
    ):
        """Takes what `open_repository` has verified, or what `create` has made."""
        self.folder, self.root = folder, root
        self._roles = roles
        self.pending: Metadata[Root] | None = None
        """The root that is to follow: agreed to by enough people, or by who is at work."""
        self.proposed: Metadata[Root] | None = None
        """One that lay in the folder and is not agreed to: nothing in it is believed, or signed, before `adopt`."""
        if following is not None and self._result(following):
            self.pending = following
        else:
            self.proposed = following

    @property
    def targets(self) -> Targets:
        """What is on offer; may be changed in place before `write` is called with offer_changed."""
        return self._roles["targets"].signed

    def signed(self, role: str) -> Root | Targets | Snapshot | Timestamp:
        """The newest metadata of a role."""
        return self.root.signed if role == "root" else self._roles[role].signed

    def days(self, role: str) -> int:
        """How long a signature of a role is in force, in days."""
        root = (self.pending or self.root).signed
        return root.roles[role].unrecognized_fields.get(DAYS_FIELD, DAYS[role])

    def keys(self, role: str) -> list[Key]:
        """A role's keys, of the present root and of the one that is to follow."""
        roots = [self.root.signed] + ([self.pending.signed] if self.pending else [])
        return list({keyid: root.keys[keyid] for root in roots for keyid in root.roles[role].keyids}.values())

    def waiting(self) -> list[str]:
        """What a root that is to follow waits for."""
        if self.proposed:
            return [
                f"root {self.proposed.signed.version} is proposed: litelens repo sign {self.folder} shows it"
            ]
        if self.pending is None:
            return []
        found = self._result(self.pending)
        lacks = [
            f"{result.missing} of the root keys {', '.join(keyid[:8] for keyid in result.unsigned)}"
            for result in ((found.first,) if found.first == found.second else (found.first, found.second))
            if result.missing
        ]
        lacks += [f"the new key of {role}" for role in SIGNED_ROLES if not self._follows(role)]
        return [
            f"root {self.pending.signed.version} waits for {' and '.join(lacks)}: litelens repo sign takes them"
        ]

    def adopt(self) -> None:
        """Agrees to the proposed root, where a person has looked at it; `write` signs it."""
        self.pending, self.proposed = self.proposed, None

    def next_root(self) -> Root:
        """The root that is to follow, to be changed in place before `write`; signatures that it had are void."""
        if self.pending is None:
            self.pending = Metadata(deepcopy(self.root.signed))
            self.pending.signed.version += 1
        self.pending.signatures.clear()
        return self.pending.signed

    def write(self, keyring: Keyring, now: datetime, *, offer_changed: bool = False) -> list[str]:
        """Signs what has changed or will soon expire, and the timestamp in any case, and makes it public.

        A root that is to follow comes into force once it and all roles have the signatures that it demands.

        Returns:
            What a person should know: signatures that are missing and not urgent, a line each.

        Raises:
            KeyFileError: If a key that is needed is not there or cannot be opened.
            RepositoryError: If the clock is earlier than when the repository was signed last.
            WriteError: If the folder takes no file; what readers see is then the old state or the new one.
        """
        self._check_clock(now)
        notes = self._sign_root(keyring, now)
        renewed: dict[str, bytes] = {}
        for role in SIGNED_ROLES:
            # Who brings a root key alone cannot sign the timestamp; who brings none came for it.
            must = bool(renewed) or (
                offer_changed if role == "targets" else role == "timestamp" and not self.pending
            )
            if not must and role != "timestamp" and not self._is_due(role, now):
                continue
            metadata = self._renew(role, renewed, keyring, now)
            if self._is_vouched_for(role, metadata):
                self._roles[role], renewed[role] = metadata, metadata.to_bytes()
            elif must:
                raise self._missing(role, keyring)
            else:
                notes.append(f"{self._end(role)}: bring its key to litelens repo sign")
        self._write(renewed, keyring)
        return notes + self.waiting()

    def _write(self, renewed: dict[str, bytes], keyring: Keyring) -> None:
        """In the order that the top of this file explains; what was renewed may need the root that follows."""
        folder = self.folder / METADATA
        if self.pending:
            write_whole(folder / _PENDING, self.pending.to_bytes())
        for role, content in renewed.items():
            write_whole(self._path(role), content)
        if self.pending and self._result(self.pending) and all(self._follows(role) for role in SIGNED_ROLES):
            content = self.pending.to_bytes()
            write_whole(folder / f"{self.pending.signed.version}.root.json", content)
            self.root, self.pending = self.pending, None
            keyring.trust(content)
        elif keyring.trusted_root is None:
            # A killed `create` could not keep it any more.
            keyring.trust((folder / f"{self.root.signed.version}.root.json").read_bytes())
        if self.pending is None and self.proposed is None:
            (folder / _PENDING).unlink(missing_ok=True)

    def _path(self, role: str) -> Path:
        version = "" if role == "timestamp" else f"{self._roles[role].signed.version}."
        return self.folder / METADATA / f"{version}{role}.json"

    def _check_clock(self, now: datetime) -> None:
        last = self.signed("timestamp").unrecognized_fields.get(SIGNED_AT)
        if last and datetime.strptime(last, TIME_FORMAT).replace(tzinfo=UTC) > now + _CLOCK_ERROR:
            raise RepositoryError(
                f"the clock says {now.strftime(TIME_FORMAT)}, and {self.folder} was signed at {last}",
                "set the clock: timedatectl set-ntp true",
            )

    def _sign_root(self, keyring: Keyring, now: datetime) -> list[str]:
        """Adds the signatures that the keyring can give; begins a new root where the present one will soon expire."""
        if self.pending is None and self.proposed is None and self._is_late("root", now):
            if not any(keyring.has(key) for key in self.keys("root")):
                return [f"{self._end('root')}: bring its keys to litelens repo sign"]
            self.next_root()
        if self.pending and not self._result(self.pending):
            if not self.pending.signatures:
                self.pending.signed.expires = now + timedelta(days=self.days("root"))
            for signer in keyring.signers(self._result(self.pending).unsigned.values()):
                self.pending.sign(signer, append=True)
        return []

    def _renew(self, role: str, renewed: dict[str, bytes], keyring: Keyring, now: datetime) -> Metadata:
        """A role's next version, signed with what there is of its keys, the present ones and the coming ones."""
        before = self._roles[role]
        signed = deepcopy(before.signed)
        if before.signatures:
            signed.version += 1
        signed.expires = now + timedelta(days=self.days(role))
        if role == "snapshot" and "targets" in renewed:
            signed.meta["targets.json"] = self._meta("targets", renewed)
        if role == "timestamp":
            signed.unrecognized_fields[SIGNED_AT] = now.strftime(TIME_FORMAT)
            if "snapshot" in renewed:
                signed.snapshot_meta = self._meta("snapshot", renewed)
        metadata = Metadata(signed)
        for signer in keyring.signers(self.keys(role)):
            metadata.sign(signer, append=True)
        return metadata

    def _meta(self, role: str, renewed: dict[str, bytes]) -> MetaFile:
        return MetaFile.from_data(self._roles[role].signed.version, renewed[role], ["sha256"])

    def _is_due(self, role: str, now: datetime) -> bool:
        return self._is_late(role, now) or (self.pending is not None and not self._follows(role))

    def _is_late(self, role: str, now: datetime) -> bool:
        return self.signed(role).expires - now < RENEW_SHARE * timedelta(days=self.days(role))

    def _result(self, following: Metadata[Root]) -> RootVerificationResult:
        """True where a root has the signatures that the present one demands, and its own."""
        before = None if following is self.root else self.root.signed  # the first root is its own successor
        return following.signed.get_root_verification_result(
            before, following.signed_bytes, following.signatures
        )

    def _follows(self, role: str) -> bool:
        """Whether a role's metadata are good for the pending root, too."""
        return verifies(self.pending.signed, role, self._roles[role])

    def _is_vouched_for(self, role: str, metadata: Metadata) -> bool:
        """Where a role's old keys are lost, its metadata are good once the pending root has replaced them."""
        if verifies(self.root.signed, role, metadata):
            return True
        return (
            self.pending is not None
            and bool(self._result(self.pending))
            and verifies(self.pending.signed, role, metadata)
        )

    def _missing(self, role: str, keyring: Keyring) -> KeyFileError:
        wanted = self.root.signed.roles[role]
        there = [key.keyid[:8] for key in self.keys(role) if keyring.has(key)]
        named = ", ".join(str(folder) for folder in keyring.folders)
        return KeyFileError(
            f"{role} wants {wanted.threshold} of the keys {', '.join(keyid[:8] for keyid in wanted.keyids)}; "
            f"{named} has {', '.join(there) or 'none of them'}",
            "name the folder of each key: --keys FOLDER --keys FOLDER",
        )

    def _end(self, role: str) -> str:
        return f"the signature of {role} ends on {self.signed(role).expires:%Y-%m-%d}"


def open_repository(folder: Path, trusted_root: bytes | None) -> Repository:
    """Reads a repository and verifies it from a trusted root on: nothing that was altered shall be signed again.

    Args:
        folder: DIR.
        trusted_root: Root metadata that are known to be right; None: the folder's first ones are believed.

    Raises:
        RepositoryError: If there is no repository, or it does not follow from that root.
    """
    metadata = folder / METADATA
    if not is_repository(folder):
        raise RepositoryError(f"{folder} has no repository", f"make one: litelens repo init {folder}")
    try:
        root = _read(Root, trusted_root or (metadata / "1.root.json").read_bytes())
        there = metadata / f"{root.signed.version}.root.json"
        if trusted_root is not None and (not there.is_file() or there.read_bytes() != trusted_root):
            raise RepositoryError(
                f"the keys are of another repository than {folder}, or of a later state of it",
                "name its own keys: --keys FOLDER; or take the folder from the server or a newer backup",
            )
        while (path := metadata / f"{root.signed.version + 1}.root.json").is_file():
            root = _next_root(root, path)
        pending = None
        if (metadata / _PENDING).is_file():
            pending = _read(Root, (metadata / _PENDING).read_bytes())
            if pending.signed.version != root.signed.version + 1:  # a killed write has left it
                pending = None
        timestamp = _read(Timestamp, (metadata / "timestamp.json").read_bytes())
        content = (metadata / f"{timestamp.signed.snapshot_meta.version}.snapshot.json").read_bytes()
        timestamp.signed.snapshot_meta.verify_length_and_hashes(content)
        snapshot = _read(Snapshot, content)
        meta = snapshot.signed.meta["targets.json"]
        content = (metadata / f"{meta.version}.targets.json").read_bytes()
        meta.verify_length_and_hashes(content)
        targets = _read(Targets, content)
    except (NotGenuine, OSError, KeyError) as problem:
        raise RepositoryError(f"{folder} is damaged or was altered: {problem}", _LOOK) from problem
    repository = Repository(
        folder, root, {"targets": targets, "snapshot": snapshot, "timestamp": timestamp}, pending
    )
    for role in SIGNED_ROLES:
        if not repository._is_vouched_for(role, repository._roles[role]):
            raise RepositoryError(f"{folder} was altered: {role} is not signed by its keys", _LOOK)
    return repository


def create(
    folder: Path, keyring: Keyring, now: datetime, *, root_keys: int = 1, root_threshold: int = 1
) -> Repository:
    """Makes keys, and a repository that offers nothing yet.

    Args:
        folder: DIR, made if it is not there.
        keyring: Takes a key each for targets, snapshot and timestamp, and those of root.
        now: The time, with UTC as its zone.
        root_keys: How many people get a root key.
        root_threshold: How many of them must agree to change a key.

    Raises:
        RepositoryError: If the folder has a repository already, or the keys belong to one.
        KeyFileError: If the keys would lie in the folder, or cannot be written.
        WriteError: If the folder takes no file.
    """
    if is_repository(folder):
        raise RepositoryError(
            f"{folder} has a repository already", "publish into it: litelens publish NAME.tflite"
        )
    if keyring.trusted_root is not None:
        raise RepositoryError(
            f"the keys in {keyring.folders[0]} belong to a repository, and {folder} has none",
            "name the folder of that repository, or another one for new keys: --keys FOLDER",
        )
    keyring.check_apart(folder)
    root = Root(consistent_snapshot=True, expires=now + timedelta(days=DAYS["root"]))
    for role in ROLES:
        for _ in range(root_keys if role == "root" else 1):
            root.add_key(keyring.create(role), role)
    root.roles["root"].threshold = root_threshold
    metadata = Metadata(root)
    for signer in keyring.signers(root.keys[keyid] for keyid in root.roles["root"].keyids):
        metadata.sign(signer, append=True)
    (folder / METADATA).mkdir(parents=True, exist_ok=True)
    roles = {
        "targets": Metadata(Targets()),
        "snapshot": Metadata(Snapshot()),
        "timestamp": Metadata(Timestamp()),
    }
    # Its own successor: written last, so that there is a repository from one instant on.
    repository = Repository(folder, metadata, roles, following=metadata)
    repository.write(keyring, now, offer_changed=True)
    return repository


def is_repository(folder: Path) -> bool:
    """Whether a folder has a repository, damaged or not."""
    return (folder / METADATA / "1.root.json").is_file()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second publisher away for the ``with`` block; makes the folder.

    Raises:
        RepositoryError: If there is one, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as problem:
        raise RepositoryError(
            f"cannot open {folder}: {problem.strerror}", "check its permissions"
        ) from problem
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise RepositoryError(f"another process changes {folder}", "wait until it has ended") from problem
        yield
    finally:
        os.close(handle)


def verifies(root: Root, role: str, metadata: Metadata) -> bool:
    """Whether metadata bear the signatures that a root demands of a role."""
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError:
        return False
    return True


def _next_root(root: Metadata[Root], path: Path) -> Metadata[Root]:
    following = _read(Root, path.read_bytes())
    signed = following.signed
    if signed.version != root.signed.version + 1 or not signed.get_root_verification_result(
        root.signed, following.signed_bytes, following.signatures
    ):
        raise RepositoryError(f"{path} is not signed by the keys of the root before", _LOOK)
    return following


def _read(kind: type, content: bytes) -> Metadata:
    metadata = Metadata.from_bytes(content)
    if not isinstance(metadata.signed, kind):
        raise NotGenuine(f"expected the metadata of {kind.type}, found those of {metadata.signed.type}")
    return metadata
