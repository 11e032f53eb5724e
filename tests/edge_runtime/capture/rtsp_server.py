"""A camera that serves H.264 over RTSP, by GStreamer's RTSP server: /usr/bin/python3 rtsp_server.py PORT [USER PASSWORD]

It shows red at rtsp://127.0.0.1:PORT/camera. Debian's own Python runs it, which has the bindings.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
camera = GstRtspServer.RTSPMediaFactory(shared=True)
camera.set_launch(
    "( videotestsrc is-live=true pattern=red ! video/x-raw,format=I420,width=64,height=48,framerate=30/1 "
    "! openh264enc gop-size=15 ! h264parse ! rtph264pay name=pay0 config-interval=1 )"
)
if sys.argv[2:]:
    user, password = sys.argv[2:]
    permissions = GstRtspServer.RTSPToken()
    permissions.set_string("media.factory.role", "viewer")
    access = GstRtspServer.RTSPAuth()
    access.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), permissions)
    server.set_auth(access)
    roles = GstRtspServer.RTSPPermissions()
    roles.add_permission_for_role("viewer", "media.factory.access", True)
    roles.add_permission_for_role("viewer", "media.factory.construct", True)
    camera.set_permissions(roles)
server.get_mount_points().add_factory("/camera", camera)
if not server.attach(None):
    sys.exit(f"port {sys.argv[1]} is taken")
print("ready", flush=True)
GLib.MainLoop().run()
