import sys

import pytest

from litelens.doctor.edge_tpu import check_edge_tpu

USB = {"sys/bus/usb/devices/1-1/idVendor": "1a6e\n", "sys/bus/usb/devices/1-1/idProduct": "089a\n"}
USB_READY = {"sys/bus/usb/devices/2-1/idVendor": "18d1\n", "sys/bus/usb/devices/2-1/idProduct": "9302\n"}
PCI = {
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n",
    "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n",
}
USB_RULE = {"lib/udev/rules.d/60-libedgetpu1-std.rules": ""}


@pytest.mark.parametrize(
    "files, python, verdict, says, fix",
    [
        ({}, "exit 1", "ok", "no Coral seen", ""),
        ({"sys/bus/usb/devices/1-1/idVendor": "1a6e\n"}, "exit 1", "ok", "no Coral seen", ""),
        (USB | USB_RULE, "exit 0", "ok", "a Coral on USB, libedgetpu and its udev rule", ""),
        (
            USB_READY | {"etc/udev/rules.d/99-edgetpu-accelerator.rules": ""},
            "exit 0",
            "ok",
            "a Coral on USB",
            "",
        ),
        (USB, "exit 0", "warn", "no udev rule", "--reinstall -y libedgetpu1-std"),
        (
            USB | USB_RULE,
            "kill -ABRT $$",
            "warn",
            "ended with SIGABRT",
            "install --reinstall -y libedgetpu1-std",
        ),
        (PCI, "exit 0", "warn", "no /dev/apex_0", "gasket-dkms"),
        (PCI | {"dev/apex_0": ""}, "exit 0", "warn", "no udev rule", "65-apex.rules"),
        (
            PCI | {"dev/apex_0": "", "etc/udev/rules.d/65-apex.rules": ""},
            "exit 0",
            "ok",
            "a Coral on PCI",
            "",
        ),
    ],
)
def test_edge_tpu(machine, program, files, python, verdict, says, fix, assert_is):
    there = machine(files, python=f"{program('python', python)}/python")
    assert_is(check_edge_tpu(there), verdict, says, fix)


def test_a_coral_without_its_library(machine, assert_is):
    found = check_edge_tpu(machine(USB | USB_RULE, python=sys.executable))
    if found.verdict == "ok":
        pytest.skip("libedgetpu is installed here")
    assert_is(
        found, "warn", "libedgetpu.so.1: cannot open shared object file", "apt-get install -y libedgetpu1-std"
    )
