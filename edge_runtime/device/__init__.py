"""What a model runs on: the CPU, or a Coral Edge TPU."""

from edge_runtime.device.choosing import ChosenDevice, choose_device, compiled_beside
from edge_runtime.device.name import Device, DeviceError

__all__ = ["ChosenDevice", "Device", "DeviceError", "choose_device", "compiled_beside"]
