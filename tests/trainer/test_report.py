"""The page is rendered from real pictures and an answer of known probabilities."""

import io
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.rendering import write_pictures
from trainer.audit.findings import NEAR_DUPLICATE, ZERO_BYTES, Audit, Finding
from trainer.config import Selection, TrainConfig
from trainer.dataset import Dataset, LabelledPicture, find_dataset, load_arrays
from trainer.evaluation.measured import measure
from trainer.report import write_report
from trainer.trained import Epoch, Phase, Trained

HOSTILE = "a<b>&amp; $x$"
"""A class that HTML and matplotlib would each read otherwise."""
SECTIONS = [
    "results",
    "curves",
    "phases",
    "confusion",
    "classes",
    "mistakes",
    "pictures",
    "splits",
    "audit",
    "settings",
]
VOID = {"meta", "img", "br"}
WRITTEN_WITHOUT_END = {"html", "li", "tr", "th", "td"}


class Page(HTMLParser):
    """What a browser would make of a page: what it loads, what it says where, and whether all is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.loads, self.sections, self.texts, self._open = [], {}, [], []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.loads += [value for key, value in attrs if key in ("src", "href", "srcset", "data")]
        if "id" in attributes:
            self.texts = self.sections.setdefault(attributes["id"], [])
        if tag not in VOID | WRITTEN_WITHOUT_END:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID | WRITTEN_WITHOUT_END:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Three classes in three splits; one picture lies in two of them, one file is empty."""
    folder = tmp_path_factory.mktemp("parts")
    write_pictures(folder, {"train": 4, "validation": 2, "test": 3}, seed=3)
    for split in ("train", "validation", "test"):
        (folder / split / "gear").rename(folder / split / HOSTILE)
        for label in ("empty_belt", "spring", "hex_nut"):
            shutil.rmtree(folder / split / label)
    first = sorted((folder / "train" / "bolt").iterdir())[0]
    shutil.copy(first, folder / "test" / "bolt" / "zz leaked.jpg")
    (folder / "train" / "washer" / "empty.jpg").touch()
    return folder


@pytest.fixture(scope="module")
def dataset(pictures) -> Dataset:
    return find_dataset(Selection(data=str(pictures)))


def trained_on(dataset: Dataset, lead: float, size: int = 32, pictures: dict | None = None) -> Trained:
    """A training whose answers are random, but the true class leads by so much of what they are drawn from."""
    pictures = pictures or {s: load_arrays(found, (size, size))[0] for s, found in dataset.splits.items()}
    draw, probabilities, measured = np.random.default_rng(0), {}, []
    for split in [split for split in dataset.splits if split != "train"]:
        truth = np.array([picture.class_id for picture in dataset.splits[split]])
        values = draw.random((len(truth), len(dataset.labels)))
        values[np.arange(len(truth)), truth] += lead
        probabilities[split] = (values / values.sum(axis=1, keepdims=True)).astype(np.float32)
        measured.append(measure(split, dataset.labels, probabilities[split], truth))
    return Trained(
        model=None,
        history=[Epoch(1 + (n > 3), n, 1 / n, 0.5, 1.2 / n, 0.4, 1e-3, 1.5) for n in range(1, 6)],
        phases=[Phase(1, 6405, 3, True, 6.0), Phase(2, 1234567, 2, False, 5.0)],
        measured=measured,
        probabilities=probabilities,
        pictures=pictures,
        preprocessing="RGB bytes / 127.5 - 1",
        seconds={"read": 1.25, "features": 3.0, "phase_1": 6.0},
        notes=["Phase 1 ended early <soon>."],
    )


@pytest.fixture(scope="module")
def config(pictures) -> TrainConfig:
    return TrainConfig(data=str(pictures), size=32, augmentation="none")


@pytest.fixture(scope="module")
def trained(dataset) -> Trained:
    return trained_on(dataset, lead=0.2)


@pytest.fixture(scope="module")
def folder(config, dataset, trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_report(folder, config, dataset, trained)
    return folder


@pytest.fixture(scope="module")
def page(folder) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_needs_no_other_file(page):
    assert page.loads and all(url.startswith("data:image/") for url in page.loads)
    assert list(page.sections) == SECTIONS


def test_figures_lie_beside_it(folder):
    names = {"curves.png", "pictures.png", "confusion.png", "mistakes.png"}
    assert {path.name for path in folder.iterdir()} == {"report.html"} | names
    for name in names:
        assert Image.open(io.BytesIO((folder / name).read_bytes())).format == "PNG"


def test_results_are_those_that_were_measured(page, trained):
    texts = page.sections["results"]
    for result in trained.measured:
        assert f"{result.accuracy:.4f}" in texts and f"{result.loss:.4f}" in texts
    assert "Phase 1 ended early <soon>." in texts


def test_every_class_has_its_scores(page, trained):
    texts = page.sections["classes"]
    for score in trained.measured[-1].classes:
        assert score.label in texts
        assert f"{score.recall:.4f}" in texts
    assert HOSTILE in texts


def test_phases_tell_parameters_epochs_and_seconds_an_epoch(page):
    texts = page.sections["phases"]
    assert texts[texts.index("1") :][:5] == ["1", "6,405", "3 (stopped early)", "2.00", "6.0"]
    assert texts[texts.index("2") :][:5] == ["2", "1,234,567", "2", "2.50", "5.0"]
    assert any("phase 1 6.0 s" in text and "10.2 s in all" in text for text in texts)


def test_the_worst_mistakes_come_first(page, dataset, trained):
    probabilities = trained.probabilities["test"]
    truth = np.array([picture.class_id for picture in dataset.splits["test"]])
    wrong = [n for n in range(len(truth)) if probabilities[n].argmax() != truth[n]]
    assert 2 <= len(wrong) < len(truth)  # else this test would show nothing
    wrong.sort(key=lambda n: -probabilities[n].max())
    expected = []
    for n in wrong:
        answer = dataset.labels[probabilities[n].argmax()]
        expected += [f"{answer} ({probabilities[n].max():.2f})", f"true: {dataset.labels[truth[n]]}"]
        expected.append(dataset.splits["test"][n].path.name)
    texts = page.sections["mistakes"]
    assert texts[-len(expected) :] == expected
    assert any(f"of {len(wrong)} in {len(truth)} pictures" in text for text in texts)


def test_the_audit_names_what_was_found(page, dataset):
    texts = page.sections["audit"]
    for finding in dataset.audit.findings:
        assert finding.kind in texts
    assert "leakage" in texts and "zero-bytes" in texts
    assert any(text.endswith("empty.jpg is empty") or "empty.jpg" in text for text in texts)
    assert not any(str(dataset.folder) in text for text in texts)


def test_the_first_training_pictures_are_of_every_class(page, dataset):
    captions = [text for text in page.sections["pictures"] if text in dataset.labels]
    assert captions == [*dataset.labels] * 3


def test_splits_and_settings_are_told(page, config, dataset):
    texts = page.sections["splits"]
    for split, pictures in dataset.splits.items():
        assert texts[texts.index(split) + 1] == str(len(pictures))
    settings = page.sections["settings"]
    assert settings[settings.index("size") + 1] == "32"
    assert settings[settings.index("epochs") + 1] == ", ".join(map(str, config.epochs))
    assert dataset.fingerprint in settings


def test_a_run_without_mistakes_or_test_split_says_so(config, dataset, tmp_path):
    splits = {split: found for split, found in dataset.splits.items() if split != "test"}
    audit = Audit(dataset.audit.files, dataset.audit.usable, ())
    without = replace(dataset, splits=splits, audit=audit)
    write_report(tmp_path, config, without, trained_on(without, lead=9))
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert any(text.startswith("None: all") for text in page.sections["mistakes"])
    assert any("nothing odd was found" in text for text in page.sections["audit"])
    assert "Nothing was taken for anything else." in page.sections["confusion"]
    assert not (tmp_path / "mistakes.png").exists()


def test_file_names_that_no_encoding_knows_are_written_as_escapes(config, dataset, tmp_path):
    named = [
        LabelledPicture(p.path.with_name("\udce9\x1b[2J.jpg"), p.class_id) for p in dataset.splits["test"]
    ]
    odd = replace(dataset, splits=dataset.splits | {"test": named})
    trained = trained_on(
        odd, 0.0, pictures={split: np.zeros((len(p), 32, 32, 3), np.uint8) for split, p in odd.splits.items()}
    )
    write_report(tmp_path, config, odd, trained)
    assert r"\udce9\x1b[2J.jpg" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_120_classes_with_thousands_of_pictures_make_a_small_page(config, tmp_path):
    labels = tuple(f"breed number {n:03d}" for n in range(120))
    members = [LabelledPicture(tmp_path / f"{n}.jpg", n % 120) for n in range(1500)]
    findings = [Finding(ZERO_BYTES, (p.path,), f"{p.path} is empty") for p in members[:500]]
    findings += [
        Finding(NEAR_DUPLICATE, (a.path, b.path), "alike")
        for a, b in zip(members, members[1:500], strict=False)
    ]
    dataset = Dataset(
        config.selection,
        tmp_path,
        labels,
        dict.fromkeys(("train", "validation", "test"), members),
        Audit(4500, 4000, tuple(findings)),
        "f" * 64,
    )
    noise = np.random.default_rng(0).integers(0, 256, (1500, 32, 32, 3), dtype=np.uint8)
    write_report(
        tmp_path, config, dataset, trained_on(dataset, 0.5, pictures=dict.fromkeys(dataset.splits, noise))
    )
    assert (tmp_path / "report.html").stat().st_size < 3e6
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert {"500", "499"} <= set(page.sections["audit"])
    assert set(labels) <= set(page.sections["classes"])
    assert sum(url.startswith("data:image/jpeg") for url in page.loads) == 20 + 9


@pytest.mark.slow
def test_nine_augmentations_of_one_picture_are_shown(pictures, dataset, trained, tmp_path):
    config = TrainConfig(data=str(pictures), size=32, augmentation="strong")
    write_report(tmp_path, config, dataset, trained)
    drawn = Image.open(tmp_path / "augmentations.png").convert("RGB")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert any("strong" in text for text in page.sections["pictures"])
    shown = [url for url in page.loads if url.startswith("data:image/jpeg")]
    assert len(set(shown)) >= 9 + 9 and drawn.width > 400
