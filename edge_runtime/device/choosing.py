"""Chooses what a model runs on, and never lets an Edge TPU's library endanger the process that asks."""

import os
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.board import corals
from edge_runtime.device.crashes import CrashRecord
from edge_runtime.device.name import CPU, EDGE_TPU, Device, DeviceError
from edge_runtime.device.probe import probe
from edge_runtime.errors import ModelFileError
from edge_runtime.interpreter import Delegate
from edge_runtime.live.status import DeviceStatus
from edge_runtime.model_file import read_model_file

LIBRARY = "libedgetpu.so.1"
_COMPILED = b"edgetpu-custom-op"
"""The name of the operator that stands for all that the compiler mapped; it is written out in the model."""
_EXPORT = "litelens export RUN --out {model} --edge-tpu makes it where edgetpu_compiler is installed; copy both files"


@dataclass(frozen=True)
class ChosenDevice:
    """What to load, and onto what: ``Classifier(chosen.model, threads, delegate=chosen.delegate)``."""

    model: Path
    """The model file that was asked for, or the one beside it that was compiled for the Edge TPU."""
    delegate: Delegate | None
    """The Edge TPU; None: the CPU."""
    status: DeviceStatus


def choose_device(
    wanted: str, model: Path, state: Path | None = None, *, in_use: bool = False
) -> ChosenDevice:
    """Chooses the device for a model file.

    An Edge TPU is used for NAME.tflite if NAME_edgetpu.tflite lies beside it and another process ran that once.
    Where this fails, ``edgetpu`` is an error, and ``auto`` takes the CPU and says why in `DeviceStatus.degraded`;
    but without a compiled model and without a Coral, the CPU is all there is, and nothing is degraded.

    Args:
        wanted: cpu, auto or edgetpu[:usb|:pci][:N].
        model: NAME.tflite.
        state: A folder in which `auto` remembers crashes: after three within a day it takes the CPU, until
            ``edgetpu`` is asked for with the same folder. None: nothing is remembered.
        in_use: This process runs on the Edge TPU already, which no other could open: it is not probed again.

    Raises:
        DeviceError: If `wanted` names no device, or names an Edge TPU that cannot be used.
    """
    device = Device.parse(wanted)
    on_cpu = ChosenDevice(model, None, DeviceStatus(wanted, CPU, ""))
    if device.kind == CPU:
        return on_cpu
    record = CrashRecord(state) if state else None
    if device.kind == EDGE_TPU:
        if record:
            record.clear()
        return _on_edge_tpu(device, wanted, model, None, in_use)
    if not os.path.exists(compiled_beside(model)) and not _coral_is_seen():
        return on_cpu
    if record:
        record.notice()
    try:
        if record and record.given_up:
            raise DeviceError(record.given_up, "--device edgetpu tries it again")
        return _on_edge_tpu(Device(EDGE_TPU), wanted, model, record, in_use)
    except (DeviceError, ModelFileError) as problem:
        return ChosenDevice(model, None, DeviceStatus(wanted, CPU, str(problem)))


def _on_edge_tpu(
    device: Device, wanted: str, model: Path, record: CrashRecord | None, in_use: bool
) -> ChosenDevice:
    compiled = _compiled_model(model)
    delegate = Delegate(LIBRARY, (("device", device.edge_tpu),) if device.edge_tpu else ())
    if not in_use:
        found = probe(compiled, delegate)
        if found.crashed and record:
            record.add(found.problem)
        if found.problem:
            raise DeviceError(
                f"{device} cannot be used: {found.problem}",
                "litelens doctor says what is missing (Coral, libedgetpu1-std, udev rule); "
                "or run on the CPU: --device cpu",
            )
        if record:
            record.begin()
    return ChosenDevice(compiled, delegate, DeviceStatus(wanted, str(device), ""))


def _compiled_model(model: Path) -> Path:
    """The file beside a model file that holds the same model for the Edge TPU.

    Raises:
        DeviceError: If it is absent, or holds another version, or nothing for the Edge TPU.
        ModelFileError: If either file is missing or damaged.
    """
    path = compiled_beside(model)
    export = _EXPORT.format(model=model.name)
    # Not Path's exists(), which raises where a folder may not be entered or the name is too long.
    if not os.path.exists(path):
        raise DeviceError(f"{path.name} is not beside {model}", export)
    plain, compiled = read_model_file(model), read_model_file(path)
    ours, theirs = ((file.manifest.name, file.manifest.version) for file in (plain, compiled))
    if ours != theirs:
        raise DeviceError(f"{path} is of {' '.join(theirs)}, expected {' '.join(ours)} as in {model}", export)
    if _COMPILED not in path.read_bytes():
        raise DeviceError(f"{path} holds nothing for an Edge TPU: it was not compiled", export)
    return path


def compiled_beside(model: Path) -> Path:
    """Where the file compiled for the Edge TPU is looked for: NAME_edgetpu.tflite beside NAME.tflite."""
    return model.parent / f"{model.stem}_edgetpu.tflite"


def _coral_is_seen(bus: Path = Path("/sys/bus")) -> bool:
    """Whether Linux lists a Coral, on USB or PCI."""
    return bool(corals(bus))
