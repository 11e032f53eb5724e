import numpy as np
import pytest

from edge_runtime.errors import WriteError
from trainer.storage import Storage


def test_what_fits_stays_in_memory_and_the_rest_goes_to_disk(tmp_path):
    storage = Storage(tmp_path / "cache", memory_gb=0.01)  # 10 million bytes
    first = storage.array("first", (1000, 1000, 2), np.float32)
    second = storage.array("second", (1000, 1000, 1), np.float32)
    third = storage.array("third", (10, 2), np.uint8)
    assert not isinstance(first, np.memmap) and isinstance(second, np.memmap)
    assert not isinstance(third, np.memmap)
    assert storage.on_disk_bytes == 4_000_000 == (tmp_path / "cache" / "second.bin").stat().st_size
    for array in (first, second, third):
        array[...] = 7
        assert (array == 7).all()


def test_a_disk_without_room_is_an_instruction_and_no_crash(tmpfs):
    folder = tmpfs("size=1m") / "cache"
    storage = Storage(folder, memory_gb=0.01)
    storage.array("small", (500_000,), np.uint8)
    with pytest.raises(WriteError, match="0.02 GB for large fit neither") as caught:
        storage.array("large", (20_000_000,), np.uint8)
    assert "--memory-gb" in caught.value.hint
    assert not folder.exists() or not list(folder.iterdir())
