"""The contract of offers: what is read from signed metadata, and which device takes what."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from edge_runtime.updating.offers import (
    BUCKETS,
    OfferError,
    Release,
    Stage,
    bucket,
    custom,
    offered,
    read_release,
    target_path,
)

SHA = "0" * 64


def release(
    version: str, number: int, buckets: int = BUCKETS, channel: str = "stable", name: str = "doors"
) -> Release:
    return Release(name, version, SHA, 1000, {channel: Stage(number, buckets)})


def test_what_is_written_is_read():
    stages = {"stable": Stage(3, 1000), "beta": Stage(1, BUCKETS)}
    path = target_path("doors", "20260101.120000")
    assert path == "doors/20260101.120000.tflite"
    assert read_release(path, SHA, 1000, custom(stages)) == Release(
        "doors", "20260101.120000", SHA, 1000, stages
    )


@pytest.mark.parametrize(
    "path, sha256, size_bytes, said",
    [
        ("doors/1.tflite", SHA, 0, "has 0 bytes"),
        ("doors/1.tflite", SHA, -1, "has -1 bytes"),
        ("doors/1.tflite", SHA.upper() + "g", 1000, "its sha256 is"),
        ("doors/1.tflite", None, 1000, "its sha256 is None"),
        ("1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("../1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/../1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("/etc/1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/a/1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/.1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/-rf.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/current.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/1.tflite\0", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors\\1.tflite", SHA, 1000, "expected NAME/VERSION.tflite"),
        ("doors/1.sh", SHA, 1000, "expected NAME/VERSION.tflite"),
    ],
)
def test_what_is_no_release_is_refused(path, sha256, size_bytes, said):
    with pytest.raises(OfferError, match=said):
        read_release(path, sha256, size_bytes, custom({"stable": Stage(1, BUCKETS)}))


@pytest.mark.parametrize(
    "custom",
    [
        *(
            None,
            {},
            [],
            "text",
            {"channels": None},
            {"channels": {"stable": None}},
            {"channels": {"stable": {}}},
        ),
        {"channels": {}, "requires": "litelens 9"},
        {"channels": {"stable": {"number": 1}}},
        {"channels": {"stable": {"number": 1, "buckets": 10, "more": 1}}},
        {"channels": {"stable": {"number": True, "buckets": 10}}},
        {"channels": {"stable": {"number": 0, "buckets": 10}}},
        {"channels": {"stable": {"number": 1, "buckets": 0}}},
        {"channels": {"stable": {"number": 1, "buckets": BUCKETS + 1}}},
    ],
)
def test_stages_that_are_none_are_refused(custom):
    with pytest.raises(OfferError):
        read_release("doors/1.tflite", SHA, 1000, custom)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["channels", "number", "buckets", "x"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.text(max_size=20), JSON, st.integers(), JSON)
def test_anything_else_is_an_error_of_ours(path, sha256, size_bytes, custom):
    try:
        found = read_release(path, sha256, size_bytes, custom)
    except OfferError:
        return
    assert found.path == path


class TestWhoTakesWhat:
    def test_the_newest_on_the_channel(self):
        both = [
            release("1", 1),
            release("2", 2),
            release("3", 3, channel="beta"),
            release("9", 9, name="cats"),
        ]
        assert offered(both, "doors", "stable", "any").version == "2"
        assert offered(both, "doors", "beta", "any").version == "3"
        assert offered(both, "gates", "stable", "any") is None

    def test_the_one_before_outside_of_the_rollout(self):
        device = next(f"{n}" for n in range(100) if bucket("doors/2.tflite", f"{n}") > 0)
        at = bucket("doors/2.tflite", device)
        assert (
            offered([release("1", 1), release("2", 2, buckets=at + 1)], "doors", "stable", device).version
            == "2"
        )
        assert (
            offered([release("1", 1), release("2", 2, buckets=at)], "doors", "stable", device).version == "1"
        )
        assert offered([release("2", 2, buckets=at)], "doors", "stable", device) is None

    def test_a_rollout_reaches_about_its_share_and_others_with_the_next_version(self):
        devices = [f"device {number}" for number in range(10_000)]
        first, second = (
            {device for device in devices if bucket(path, device) < 1000}
            for path in ("doors/1.tflite", "doors/2.tflite")
        )
        # Binomial: 1,000 expected, 30 is the standard deviation; the names are fixed, so this never changes.
        assert 850 < len(first) < 1150 and 850 < len(second) < 1150
        assert len(first & second) < 200, "not always the same ones"

    @settings(max_examples=50)
    @given(st.text(min_size=1, max_size=20), st.text(max_size=40))
    def test_a_bucket_is_one_of_them_and_always_the_same(self, path, device):
        assert 0 <= bucket(path, device) < BUCKETS
        assert bucket(path, device) == bucket(path, device)
