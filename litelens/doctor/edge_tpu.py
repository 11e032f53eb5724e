"""A Coral Edge TPU: seen, its library, and who may open it."""

import signal

from edge_runtime.board import corals
from litelens.doctor.check import Check, Machine, last_line

_INSTALL = "sudo apt-get install -y libedgetpu1-std (from Google: https://coral.ai/software/#debian-packages)"


def check_edge_tpu(machine: Machine) -> Check:
    """Whether a Coral is plugged in and can be used; without one nothing is needed."""
    seen = corals(machine.root / "sys/bus")
    usb, pci = "usb" in seen, "pci" in seen
    if not usb and not pci:
        return Check("edge tpu", "ok", "no Coral seen")
    where = "a Coral on USB" if usb else "a Coral on PCI"
    # In a child, as it may abort the process.
    loaded = machine.run(machine.python, "-P", "-c", "import ctypes; ctypes.CDLL('libedgetpu.so.1')")
    if loaded.returncode < 0:
        found = f"{where}; loading libedgetpu ended with {signal.Signals(-loaded.returncode).name}"
        return Check("edge tpu", "warn", found, _INSTALL.replace("install", "install --reinstall", 1))
    if loaded.returncode:
        return Check("edge tpu", "warn", f"{where}; {last_line(loaded.stderr)}", _INSTALL)
    if pci and not usb and not machine.files("dev/apex_*"):
        return Check(
            "edge tpu",
            "warn",
            f"{where}, but no /dev/apex_0: its driver is not loaded",
            "sudo apt-get install -y gasket-dkms",
        )
    kind = "edgetpu" if usb else "apex"
    if not machine.files(*(f"{folder}/udev/rules.d/*{kind}*" for folder in ("etc", "lib", "usr/lib"))):
        fix = "sudo apt-get install --reinstall -y libedgetpu1-std; then plug it in again"
        if pci and not usb:
            rule = 'SUBSYSTEM=="apex", MODE="0660", GROUP="apex"'
            fix = f"sudo groupadd -f apex; echo '{rule}' | sudo tee /etc/udev/rules.d/65-apex.rules; then restart"
        return Check("edge tpu", "warn", f"{where}, which only root may open: no udev rule", fix)
    return Check("edge tpu", "ok", f"{where}, libedgetpu and its udev rule")
