"""What is to be done on each device: which model file, how it is tried there, who wants it and why."""

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.model_file import read_model_file
from edge_runtime.store.names import check_name
from fleet.files import sha256_of
from fleet.history import me

TRIAL_S = 60.0


@dataclass(frozen=True)
class Flash:
    """The same for all devices."""

    file: Path
    name: str
    version: str
    sha256: str
    """Of the file, which is hashed once, not once a device."""
    size_bytes: int
    trial_s: float
    """The loop there must be healthy with it for so long; 0: no trial."""
    max_latency_ms: float | None
    """What 99 of 100 frames of 640x480 may take there; None only measures."""
    why: str
    by: str
    """Both for the device's history."""
    dry_run: bool
    """Only connects and checks."""

    @classmethod
    def of(
        cls,
        file: Path,
        *,
        trial_s: float = TRIAL_S,
        max_latency_ms: float | None = None,
        why: str = "",
        dry_run: bool = False,
    ) -> "Flash":
        """Reads the model file.

        Raises:
            ModelFileError: If it is none, or damaged.
            VersionRefused: If its name or version would be no name of a file in a store.
        """
        manifest = read_model_file(file).manifest
        return cls(
            file=file,
            name=check_name("model", manifest.name),
            version=check_name("version", manifest.version),
            sha256=sha256_of(file),
            size_bytes=file.stat().st_size,
            trial_s=trial_s,
            max_latency_ms=max_latency_ms,
            why=why,
            by=f"{me()} with litelens flash",
            dry_run=dry_run,
        )
