"""The private keys: one encrypted file each, in folders that are never served.

A file is PKCS #8 in PEM, encrypted with AES-256, so openssl reads it too. Its passphrase goes through PBKDF2 with 2,048
rounds only, as the format is commonly written: what protects a stolen file is a long passphrase.
"""

import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.exceptions import KeyMismatchError
from securesystemslib.signer import CryptoSigner, Key, Signer

from edge_runtime.store.durable import replace_file
from edge_runtime.whole_file import write_whole
from fleet.repository.errors import KeyFileError

TRIES = 3
"""For a passphrase that a person types."""
_ROOT = "root.json"


class Keyring:
    """Private keys in one or several folders: a person's own, and the sticks that others have brought.

    Beside the keys lies root.json, the newest root metadata: what says which repository these keys are for. The
    repository's own folder is public, and nothing in it is signed again that does not follow from that root.
    """

    def __init__(self, folders: Iterable[Path], passphrase: Callable[[Path, bool], str]):
        """Reads nothing yet.

        Args:
            folders: New keys go into the first.
            passphrase: Told a key's file and whether it is being made; asked again, up to `TRIES` times, where none that is
                known opens a file.
        """
        self.folders = tuple(folders)
        self._passphrase = passphrase
        self._known: list[str] = []
        self._opened: dict[str, Signer] = {}

    def check_apart(self, repository: Path) -> None:
        """Raises KeyFileError if a folder of keys lies in the repository, where everybody could fetch it."""
        served = repository.resolve()
        for folder in self.folders:
            if folder.resolve().is_relative_to(served):
                raise KeyFileError(
                    f"{folder} lies in {repository}, which is served to everybody",
                    "keep keys elsewhere: --keys FOLDER",
                )

    @property
    def trusted_root(self) -> bytes | None:
        """The newest root metadata that these keys know of; None where the repository is still to be made.

        Raises:
            KeyFileError: If it cannot be read.
        """
        for folder in self.folders:
            try:
                return (folder / _ROOT).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as problem:
                raise KeyFileError(
                    f"cannot read {folder / _ROOT}: {problem.strerror}", "check its permissions"
                ) from problem
        return None

    def trust(self, root: bytes) -> None:
        """Keeps the newest root metadata in every folder.

        Raises:
            WriteError: If a folder takes no file.
        """
        for folder in self.folders:
            _make_private(folder)
            write_whole(folder / _ROOT, root)

    def create(self, role: str) -> Key:
        """A new Ed25519 key in the first folder, in a file that its owner alone can read.

        Raises:
            KeyFileError: If the file cannot be written.
        """
        private = Ed25519PrivateKey.generate()
        signer = CryptoSigner(private)
        path = self.folders[0] / f"{role}-{_short(signer.public_key)}.pem"
        passphrase = self._passphrase(path, True)
        encryption = BestAvailableEncryption(passphrase.encode())
        try:
            _make_private(path.parent)
            replace_file(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)
        except OSError as problem:
            raise KeyFileError(
                f"cannot write {path}: {problem}", "name another folder: --keys FOLDER"
            ) from problem
        self._known.append(passphrase)
        self._opened[signer.public_key.keyid] = signer
        return signer.public_key

    def signers(self, keys: Iterable[Key]) -> list[Signer]:
        """Those of the keys that are in these folders, opened.

        Raises:
            KeyFileError: If a file can be read by others, is damaged, or its passphrase is wrong.
        """
        return [signer for key in keys if (signer := self._signer(key))]

    def has(self, key: Key) -> bool:
        """Whether the key is in these folders."""
        return key.keyid in self._opened or self._path(key) is not None

    def _signer(self, key: Key) -> Signer | None:
        if key.keyid not in self._opened:
            path = self._path(key)
            if path is None:
                return None
            self._opened[key.keyid] = self._open(path, key)
        return self._opened[key.keyid]

    def _path(self, key: Key) -> Path | None:
        found = (path for folder in self.folders for path in sorted(folder.glob(f"*-{_short(key)}.pem")))
        return next(found, None)

    def _open(self, path: Path, key: Key) -> Signer:
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise KeyFileError(f"others can read the private key {path}", f"chmod 600 {path}")
            content = path.read_bytes()
        except OSError as problem:
            raise KeyFileError(
                f"cannot read {path}: {problem.strerror}", "check its permissions"
            ) from problem
        for passphrase in self._candidates(path):
            try:
                signer = CryptoSigner(load_pem_private_key(content, passphrase.encode()), key)
            except (
                ValueError,
                TypeError,
                KeyMismatchError,
            ) as problem:  # TypeError: the file is not encrypted
                wrong = problem
            else:
                self._known.append(passphrase)
                return signer
        raise KeyFileError(
            f"{path} cannot be opened: {wrong}",
            "name its passphrase, or take the file from a copy of the folder",
        ) from wrong

    def _candidates(self, path: Path) -> Iterator[str]:
        """Passphrases that have opened other keys, then those that are told."""
        yield from dict.fromkeys(self._known)
        for _ in range(TRIES):
            yield self._passphrase(path, False)


def _make_private(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700)


def _short(key: Key) -> str:
    """Enough of a key's id to find its file; the whole key is compared when the file is opened."""
    return key.keyid[:12]
