import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.device import Device, DeviceError

DEVICES = st.one_of(
    st.sampled_from([Device("cpu"), Device("auto")]),
    st.builds(
        Device,
        st.just("edgetpu"),
        st.sampled_from(["", "usb", "pci"]),
        st.one_of(st.none(), st.integers(0, 999)),
    ),
)


@given(DEVICES)
def test_reads_what_it_writes(device):
    assert Device.parse(str(device)) == device


@given(st.text(st.sampled_from("cpuautoedgetpu:sbi0123456789"), max_size=16) | st.text(max_size=8))
def test_what_it_reads_it_writes_again(text):
    try:
        device = Device.parse(text)
    except DeviceError as problem:
        assert repr(text) in str(problem) and problem.hint
    else:
        assert str(device) == text


@pytest.mark.parametrize(
    "text, device, edge_tpu",
    [
        ("cpu", Device("cpu"), ""),
        ("auto", Device("auto"), ""),
        ("edgetpu", Device("edgetpu"), ""),
        ("edgetpu:usb", Device("edgetpu", "usb"), "usb"),
        ("edgetpu:pci:1", Device("edgetpu", "pci", 1), "pci:1"),
        ("edgetpu:0", Device("edgetpu", "", 0), ":0"),
    ],
)
def test_names(text, device, edge_tpu):
    assert (Device.parse(text), device.edge_tpu) == (device, edge_tpu)


@pytest.mark.parametrize(
    "text",
    ["", "tpu", "CPU", "cpu ", "auto:usb", "edgetpu:", "edgetpu:usb:", "edgetpu:usb:-1", "edgetpu:usb:01"]
    + ["edgetpu:0:usb", "edgetpu:usb:1000", "edgetpu:usb\n", "edgetpu:\u0661", "usb:0"],
)
def test_refuses(text):
    with pytest.raises(DeviceError, match="none of cpu, auto and edgetpu"):
        Device.parse(text)
