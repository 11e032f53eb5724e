from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.capture.redaction import redact

SECRET = "S3CRET"
TEXT = st.text(max_size=12)


@pytest.mark.parametrize(
    "address, shown",
    [
        ("rtsp://admin:S3CRET@192.168.1.7:554/stream", "rtsp://***@192.168.1.7:554/stream"),
        ("rtsp://admin:p@ss/S3CRET?x@cam/stream", "rtsp://***@cam/stream"),
        ("http://S3CRET@cam/", "http://***@cam/"),
        ("http://admin:=S3CRET@cam/", "http://***"),
        ("http://cam/video?user=me&pwd=S3CRET&channel=2", "http://cam/video?user=***&pwd=***&channel=2"),
        ("http://cam/video?pwd=S3@CRET", "http://***"),
        ("rtsp://cam/user=admin_password=S3CRET_channel=1_stream=0.sdp", "rtsp://cam/user=***"),
        ("rtsp://cam/channel=1_password=S3CRET", "rtsp://cam/channel=***"),
        ("rtsp:/admin:S3CRET@cam", "rtsp:/***@cam"),
        ("admin:S3CRET@cam/stream", "admin:***@cam/stream"),
        ("gst:rtspsrc location=rtsp://a:S3CRET@cam ! appsink", "gst:***"),
        ("gst:rtspsrc user-pw = \"S3 CRET\" latency=0 ! appsink", "gst:rtspsrc user-pw = *** latency=0 ! appsink"),
        ("gst:v4l2src device=/dev/video0 ! appsink", "gst:v4l2src device=/dev/video0 ! appsink"),
        ("http://192.168.1.7:8080/stream.mjpg", "http://192.168.1.7:8080/stream.mjpg"),
        ("http://cam/axis-cgi/mjpg/video.cgi?resolution=640x480&fps=5", "http://cam/axis-cgi/mjpg/video.cgi?resolution=640x480&fps=5"),
        ("/dev/v4l/by-id/usb-046d_C920-video-index0", "/dev/v4l/by-id/usb-046d_C920-video-index0"),
        ("pictures@2x/a.png", "pictures@2x/a.png"),
        ("0", "0"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_shown(address, shown):
    assert redact(address) == shown


@given(user=TEXT, password=TEXT, scheme=st.sampled_from(["rtsp", "http", "https"]))
def test_no_user_or_password_is_shown_whatever_they_hold(user, password, scheme):
    shown = redact(f"{scheme}://{user}:{password}@192.168.1.7:554/stream")
    assert shown in (f"{scheme}://***@192.168.1.7:554/stream", f"{scheme}://***")


@given(before=TEXT, after=TEXT)
def test_a_password_before_an_at_is_hidden_without_an_address_too(before, after):
    assert SECRET not in redact(f"{before}:{SECRET}@{after}")


@given(
    name=st.sampled_from(["pwd", "password", "loginpas", "token", "usr", "x", "PWD", "auth-key"]),
    password=st.text(min_size=1, max_size=12),
    user_info=st.sampled_from(["", "admin:pw@"]),
)
def test_no_value_of_an_unknown_setting_is_shown(name, password, user_info):
    shown = redact(f"http://{user_info}cam/video?{name}={quote(password, safe='')}&channel=2")
    assert shown == f"http://{user_info and '***@'}cam/video?{name}=***&channel=2"


@given(st.text(st.characters(exclude_characters="&;,? \t\n=", exclude_categories=["Z", "C"]), max_size=12))
def test_a_raw_value_is_hidden_to_its_end(text):
    assert SECRET not in redact(f"http://cam/video?pwd={text}{SECRET}")


@given(st.text(st.sampled_from("a@:/=?&;,_ ***gst"), max_size=30))
def test_what_was_redacted_stays_as_it_is(text):
    assert redact(redact(text)) == redact(text)
