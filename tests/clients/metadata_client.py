"""TFLite's own metadata reader, which MediaPipe up to 0.10.21 carries: MODEL.tflite to JSON."""

import json
import sys

from mediapipe.tasks.cc.metadata.python import _pywrap_metadata_version
from mediapipe.tasks.python.metadata.metadata import MetadataDisplayer

reader = MetadataDisplayer.with_model_file(sys.argv[1])
needed = _pywrap_metadata_version.GetMinimumMetadataParserVersion(bytes(reader.get_metadata_buffer()))
facts = {
    "metadata": json.loads(reader.get_metadata_json()),
    "files": reader.get_packed_associated_file_list(),
    "needed_parser_version": needed,
}
print(json.dumps(facts))
