import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.decision import DecisionRule
from edge_runtime.drift.histogram import Histogram
from edge_runtime.drift.reference import Reference
from exporter.decisions import FittedDecision
from exporter.edge_tpu import Placement, TpuCheck
from exporter.exported import ChangedPicture, Exported
from exporter.fidelity import Fidelity
from exporter.gate import Bounds, judge
from exporter.graph import OperatorCount
from exporter.layers import LayerNoise, LayerReport
from exporter.measurement import Measurement
from exporter.reliability import reliability
from exporter.report import MOST_THUMBNAILS, render_export
from exporter.summary import exported_json, text_table

SECTIONS = (
    "candidates",
    "gate",
    "confusion",
    "classes",
    "changed",
    "layers",
    "reliability",
    "operators",
    "provenance",
    "seconds",
)
VOID = {"meta", "img", "br"}
WRITTEN_WITHOUT_END = {"html", "li", "tr", "th", "td"}


class Page(HTMLParser):
    """What a browser would make of a page: what it loads, what it says, and whether every element is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.loads, self.ids, self.texts, self.open = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.loads += [value for key, value in attrs if key in ("src", "href", "srcset", "data")]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in VOID | WRITTEN_WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID | WRITTEN_WITHOUT_END:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def exported(
    folder: Path, labels: tuple[str, ...], pictures: int = 1000, changed: int = 3, **parts
) -> Exported:
    """An export of `pictures` pictures, of which `changed` are labelled wrong by ptq only."""
    truth = np.arange(pictures) % len(labels)
    right = {"float32": np.ones(pictures, bool), "ptq": np.arange(pictures) >= changed}
    measurements = {
        name: Measurement(
            name,
            1_000_000,
            (OperatorCount("CONV_2D", 3, 2), OperatorCount("SOFTMAX", 2, 1)),
            np.eye(len(labels), dtype=np.float32)[np.where(kept, truth, (truth + 1) % len(labels))],
            truth,
            4.2,
        )
        for name, kept in right.items()
    }
    found = {name: reliability(one.probabilities, truth) for name, one in measurements.items()}
    layers = tuple(LayerNoise(index, f"conv_{index}", "CONV_2D", 30.0 - index, 0.99) for index in range(12))
    picture = folder / "picture.jpg"
    Image.new("RGB", (320, 200), (90, 120, 40)).save(picture)
    values = {
        "name": "parts",
        "version": "20250101.120000",
        "labels": labels,
        "split": "test",
        "measurements": measurements,
        "reliabilities": found,
        "verdicts": {"ptq": judge(measurements["ptq"], measurements["float32"], Bounds(), labels)},
        "bounds": Bounds(),
        "gate": "on",
        "chosen": "ptq",
        "subject": "ptq",
        "changed": tuple(
            ChangedPicture(
                picture, f"test/{labels[0]}/{number}.jpg", labels[0], labels[0], 0.9, labels[1], 0.6
            )
            for number in range(changed)
        ),
        "layers": {"ptq": LayerReport("ptq", 32, layers, layers[-1])},
        "fidelity": Fidelity(64, 0.984, 0.9991),
        "decision": FittedDecision(
            DecisionRule(1.25, (0.4,) * len(labels), 0.95, "validation", 500),
            (None, *(0.97,) * (len(labels) - 1)),
            (None, *(0.88,) * (len(labels) - 1)),
        ),
        "reference": Reference("validation", Histogram(labels)),
        "before": found["ptq"],
        "after": found["ptq"],
        "edge_tpu": TpuCheck(
            (
                Placement(0, "CONV_2D", 3, "conv_0", True, ""),
                Placement(1, "CONV_2D", 3, "conv_1", False, "kernel too large"),
                Placement(2, "SOFTMAX", 2, "scores", False, "behind one that does not map"),
            ),
            ("a tensor is float",),
            70_000,
        ),
        "calibration": "Calibrated on 200 pictures of train.",
        "provenance": {"fingerprint": "ab12", "config": {"size": 96, "data": "parts"}},
        "seconds": {"int8 by post-training quantization": 12.5},
        "notes": ("A note.",),
    }
    return Exported(**values | parts)


ABSENT = {
    "fidelity": None,
    "decision": None,
    "before": None,
    "after": None,
    "layers": {},
    "edge_tpu": None,
    "chosen": None,
    "notes": (),
}
FEW, MANY = ("cats", "dogs"), tuple(f"breed_{number}" for number in range(120))


@pytest.mark.parametrize(
    "labels, parts",
    [
        (FEW, {}),
        (FEW, ABSENT),
        (FEW, {"after": None, "verdicts": {}}),
        (MANY, {"gate": "off"}),
        (MANY, ABSENT),
    ],
)
def test_the_page_is_whole_and_needs_no_network(tmp_path, labels, parts):
    html = render_export(exported(tmp_path, labels, **parts))
    page = Page(html)
    assert page.ids == list(SECTIONS)
    assert page.open == []
    assert all(address.startswith(("data:image/", "#")) for address in page.loads)
    for outward in ("http:", "https:", "url(", "@import", "<script", "<link"):
        assert outward not in html


def test_what_a_user_named_stays_text(tmp_path):
    labels = ("<b>bold</b>", "a$b$_{<script>alert(1)</script>")
    layer = LayerNoise(0, "</table><i>", "CONV_2D", 9.0, 0.9)
    given = exported(
        tmp_path,
        labels,
        name='"><img src=x onerror=y>',
        layers={"ptq": LayerReport("ptq", 1, (layer,), layer)},
        notes=("<u>note</u>",),
        provenance={"<s>": {"data": "<em>"}},
    )
    html = render_export(given)
    page = Page(html)
    assert page.open == []
    for text in (*labels, given.name, layer.name, given.notes[0], "<s>.data", "<em>"):
        assert text in page.text
        assert text not in html


@pytest.mark.parametrize("changed", [0, MOST_THUMBNAILS, MOST_THUMBNAILS + 3])
def test_changed_pictures_are_shown_with_both_answers(tmp_path, changed):
    page = Page(render_export(exported(tmp_path, FEW, changed=changed)))
    thumbnails = [address for address in page.loads if address.startswith("data:image/jpeg;base64,")]
    assert len(thumbnails) == min(changed, MOST_THUMBNAILS)
    assert (f"{changed} of 1000 pictures have another answer" in page.text) == (changed > 0)
    for number in range(changed):
        assert f"test/cats/{number}.jpg" in page.text
    if changed:
        assert "float32: cats 0.90 ptq: dogs 0.60" in page.text


@pytest.mark.parametrize(
    "changed, parts, said",
    [
        (
            0,
            {},
            (
                "ptq was written . 100.00 % top-1 against 100.00 % of float32 on 1000 test pictures.",
                "ptq gave the same answer as float32 on every picture.",
                "Look first at layer 11, CONV_2D conv_11 : 19.0 dB.",
                "same answer on 98.40 % of 64 pictures; the cosine of their features is 0.9991",
                "Temperature 1.250",
                "Edge TPU: missed ; 1 of 3 operators map, 70,000 bytes of parameters fit its cache. a tensor is float",
                "CONV_2D 3 2 1 kernel too large SOFTMAX 2 1 0 behind one that does not map",
                "config.size 96 config.data parts",
            ),
        ),
        (
            5,
            {"gate": "off", "layers": {"ptq": LayerReport("ptq", 32, (), None)}},
            ("the gate was off.", "too small : top-1 fell by 0.50 points", "No layer stands out."),
        ),
        (
            80,
            ABSENT,
            (
                "Nothing was written : no int8 candidate passed the gate.",
                "missed : top-1 fell by 8.00 points",
                "No temperature or thresholds were fitted",
                "No int8 candidate was compared layer by layer.",
            ),
        ),
    ],
)
def test_the_page_says_what_was_decided_and_why(tmp_path, changed, parts, said):
    text = Page(render_export(exported(tmp_path, FEW, changed=changed, **parts))).text
    assert [sentence for sentence in said if sentence not in text] == []


LOOK_FIRST = "ptq: look first at layer 11, CONV_2D conv_11: 19.0 dB"


@pytest.mark.parametrize(
    "changed, outcome, lines",
    [
        (0, "passed", []),
        (7, "too small", ["ptq: too small: top-1 fell by 0.70 points", LOOK_FIRST]),
        (
            80,
            "missed",
            [
                "ptq: missed: top-1 fell by 8.00 points",
                "ptq: missed: top-1 is 0.9200 of float's",
                "ptq: missed: recall of cats fell by 8.00 points",
                "ptq: missed: recall of dogs fell by 8.00 points",
                LOOK_FIRST,
            ],
        ),
    ],
)
def test_the_table_has_a_line_a_candidate_and_a_line_a_check_that_did_not_pass(
    tmp_path, changed, outcome, lines
):
    head, columns, reference, candidate, *rest = text_table(
        exported(tmp_path, FEW, changed=changed)
    ).splitlines()
    assert head == "1000 test pictures, measured through edge_runtime.Classifier"
    gate = columns.index("gate")
    assert (reference[:7], reference[gate:]) == ("float32", "reference")
    assert (candidate[:3], candidate[gate:]) == ("ptq", outcome)
    assert f"{changed / 10:+.2f} [" in candidate
    for line, start in zip(rest, lines, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize("parts", [{}, ABSENT], ids=["all", "absent"])
def test_json_is_plain_and_whole(tmp_path, parts):
    labels = (*FEW, "no picture of it")
    given = exported(tmp_path, FEW, **parts)
    measurements = {
        name: dataclasses.replace(one, probabilities=np.pad(one.probabilities, ((0, 0), (0, 1))))
        for name, one in given.measurements.items()
    }
    verdict = judge(measurements["ptq"], measurements["float32"], Bounds(), labels)
    given = dataclasses.replace(given, labels=labels, measurements=measurements, verdicts={"ptq": verdict})
    read = json.loads(json.dumps(exported_json(given), allow_nan=False))
    assert read["chosen"] == parts.get("chosen", "ptq")
    assert read["candidates"]["ptq"]["confusion"] == measurements["ptq"].confusion.tolist()
    assert read["candidates"]["ptq"]["recalls"][2] is None
    assert read["candidates"]["float32"]["operators"][0] == {"name": "CONV_2D", "version": 3, "count": 2}
    top1 = read["verdicts"]["ptq"]["checks"][0]
    assert (top1["name"], top1["value"], top1["outcome"]) == ("top-1", 0.3, "passed")
    assert top1["low"] < 0.3 < top1["high"] < 1
    assert read["verdicts"]["ptq"]["checks"][5]["value"] is None
    assert (read["decision"] is None) == (given.decision is None)
    assert read["provenance"] == given.provenance


def test_layers_are_listed_worst_first():
    layers = tuple(
        LayerNoise(index, "", "CONV_2D", snr, 1.0) for index, snr in enumerate([20.0, 5.0, 100.0, 5.0])
    )
    assert [layer.index for layer in LayerReport("ptq", 1, layers, None).worst_first] == [1, 3, 0, 2]
