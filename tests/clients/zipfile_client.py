"""A Python with nothing installed: MODEL.tflite to JSON."""

import json
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    damaged = archive.testzip()
    files = {name: archive.read(name).decode() for name in archive.namelist()}
print(json.dumps({"damaged": damaged, "files": files}))
