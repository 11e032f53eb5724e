"""A camera that serves Motion JPEG over HTTP: python mjpeg_server.py PORT FPS PICTURE.jpg...

It sends the pictures in turn, for ever; a user "admin" with the password "p@ss/w0rd" sees /private, too.
"""

import base64
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path

PORT, FPS = int(sys.argv[1]), float(sys.argv[2])
PICTURES = [Path(name).read_bytes() for name in sys.argv[3:]]
ADMIN = "Basic " + base64.b64encode(b"admin:p@ss/w0rd").decode()


class Camera(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/private" and self.headers["Authorization"] != ADMIN:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for picture in cycle(PICTURES):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:  # the viewer is gone
                return
            time.sleep(1 / FPS)

    def log_message(self, *arguments):
        """Says nothing."""


server = ThreadingHTTPServer(("127.0.0.1", PORT), Camera)
print("ready", flush=True)
server.serve_forever()
