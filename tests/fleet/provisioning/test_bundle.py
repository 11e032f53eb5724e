"""What is brought to a device: settings, requirements, and what is refused before anything is made."""

import tomllib
import zipfile
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError, LitelensError, ModelFileError
from edge_runtime.live.settings import load_settings
from fleet.provisioning import bundle
from fleet.provisioning.bundle import EXTRAS, Bundle, Wanted, needs_of, write_bundle

URL = "https://models.example.org/doors"
METADATA = """Metadata-Version: 2.1
Name: litelens
Version: 0.1.0
Requires-Dist: click>=8.1
Requires-Dist: ai-edge-litert>=1.4; platform_machine != "armv7l"
Requires-Dist: tflite-runtime==2.14.0; platform_machine == "armv7l"
Requires-Dist: starlette>=0.40; extra == "web"
Requires-Dist: opencv-python-headless>=4.9; extra == "camera"
Requires-Dist: asyncssh[bcrypt]>=2; extra == "update"
"""


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Two wheels in the place of those that come from an index; returns what litelens' own holds, to be changed."""
    contents = {"litelens/__init__.py": "", "litelens-0.1.0.dist-info/METADATA": METADATA}

    def wheel(folder: Path, name: str, contents: dict[str, str]) -> Path:
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path, text in contents.items():
                archive.writestr(path, text)
            record = f"{'-'.join(name.split('-')[:2])}.dist-info/RECORD"
            archive.writestr(record, "".join(f"{path},{hash(text)}\n" for path, text in contents.items()))
        return folder / name

    def own(folder: Path = tmp_path) -> Path:
        return wheel(folder, "litelens-0.1.0-py3-none-any.whl", contents)

    def collect(machine: str, python: str, folder: Path, extras: tuple[str, ...]) -> list[Path]:
        click = wheel(folder, "click-8.1.7-py3-none-any.whl", {"click.py": "x" * 1_000_000})
        return [own(folder), click]

    monkeypatch.setattr(bundle, "collect_wheels", collect)
    monkeypatch.setattr(bundle, "own_wheel", own)
    return contents


@pytest.fixture
def root(tmp_path) -> Path:
    path = tmp_path / "root.json"
    path.write_text("{}")
    return path


def settings(made: Bundle) -> dict[str, str]:
    lines = (made.folder / "settings").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_everything(tmp_path, wheels, tiny, root):
    wanted = Wanted(tiny, "0", "0.0.0.0:8080", URL, root)
    made = write_bundle(tmp_path / "made", "aarch64", "3.11", wanted, user="pi")
    assert [name for name, _ in made.files()] == [
        "wheels/click-8.1.7-py3-none-any.whl", "wheels/litelens-0.1.0-py3-none-any.whl",
        "requirements.txt", "root.json", "run.toml", "settings", "tiny.tflite", "install.sh",
    ]  # fmt: skip
    assert not any(name.startswith("wheels/") for name, _ in made.files(with_wheels=False))
    facts = settings(made)
    assert made.environment == facts["environment"] and made.environment.startswith("venv-0.1.0-")
    assert 60 * 1024 + 1300 < int(facts.pop("need_kib")) < 60 * 1024 + 1500
    assert facts == {
        "version": "0.1.0", "environment": made.environment, "machine": "aarch64", "python": "3.11",
        "online": "no", "user": "pi", "model": "tiny", "service": "yes",
    }  # fmt: skip
    assert (made.folder / "requirements.txt").read_text() == "click==8.1.7\nlitelens==0.1.0\n"
    assert (made.folder / "tiny.tflite").read_bytes() == tiny.read_bytes()


def test_nothing_but_litelens(tmp_path, wheels):
    made = write_bundle(tmp_path / "made", "x86_64", "3.13", Wanted())
    assert [name for name, _ in made.files(with_wheels=False)] == [
        "requirements.txt",
        "settings",
        "install.sh",
    ]
    assert settings(made)["model"] == settings(made)["service"] == settings(made)["user"] == ""


def test_what_the_service_is_told(tiny, root):
    wanted = Wanted(tiny, 'rtsp://u:p"w\\@cam/1?a=\x7f', "127.0.0.1:8080", URL, root)
    read = tomllib.loads(wanted.run_toml())
    assert read == {
        "camera": 'rtsp://u:p"w\\@cam/1?a=\x7f', "history": {}, "hard_examples": {"folder": "hard-examples"},
        "web": {"address": "127.0.0.1:8080", "pictures": "saved"},
        "follow": {"address": URL, "root": "/etc/litelens/root.json"},
    }  # fmt: skip


def test_litelens_run_takes_it(tiny, tmp_path):
    (tmp_path / "run.toml").write_text(Wanted(tiny, "demo", "127.0.0.1:8080").run_toml())
    run = load_settings(tmp_path / "run.toml", {})
    assert (run.camera, str(run.web.pictures), run.sinks.hard_examples.folder) == (
        "demo",
        "saved",
        "hard-examples",
    )


@pytest.mark.parametrize(
    "wanted, message",
    [
        ({"camera": "demo"}, "a camera without a model"),
        ({"model": "TINY", "camera": "picamra"}, "there is no camera picamra"),
        ({"model": "TINY", "camera": "belt.avi"}, "there is no camera belt.avi"),
        ({"model": "TINY", "camera": "rtspp://cam"}, "unknown scheme"),
        ({"model": "TINY", "web": "127.0.0.1:1"}, "--web is for the service"),
        ({"model": "TINY", "follow": URL}, "--follow is for the service"),
        ({"model": "TINY", "camera": "demo", "follow": URL}, "--follow and --root belong together"),
        ({"model": "TINY", "camera": "demo", "root": "ROOT"}, "--follow and --root belong together"),
        ({"model": "TINY", "camera": "demo", "web": "8080"}, "no address to serve the page at"),
        ({"model": "TINY", "camera": "demo", "follow": "ftp://x", "root": "ROOT"}, "ftp://x"),
    ],
)
def test_what_a_device_would_refuse(tiny, root, wanted, message):
    paths = {"TINY": tiny, "ROOT": root}
    with pytest.raises(LitelensError, match=message):
        Wanted(**{name: paths.get(value, value) for name, value in wanted.items()})


def test_a_model_that_is_none(tmp_path, wheels, tiny):
    (tmp_path / "damaged.tflite").write_bytes(tiny.read_bytes()[:500])
    with pytest.raises(ModelFileError):
        write_bundle(tmp_path / "made", "aarch64", "3.11", Wanted(tmp_path / "damaged.tflite"))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "camera, opencv",
    [(None, False), ("demo", False), ("picamera", False), ("picamera:1", False), ("gst:v4l2src", False),
     ("0", True), ("/dev/video2", True), ("rtsp://cam/1", True), ("/srv/belt.avi", True)],
)  # fmt: skip
def test_opencv_comes_along_where_the_camera_needs_it(tiny, camera, opencv):
    assert Wanted(tiny, camera).extras == (*EXTRAS, "camera") if opencv else EXTRAS


def test_an_environment_is_named_by_what_is_in_it(tmp_path, wheels, tiny):
    def name(folder: str, *arguments, **options) -> str:
        return write_bundle(tmp_path / folder, "x86_64", "3.11", *arguments, **options).environment

    first = name("1", Wanted())
    assert first == name("2", Wanted(tiny, "demo"), user="pi"), "what the device does with it does not matter"
    assert first != name("3", Wanted(), online=True)
    wheels["litelens/__init__.py"] = "changed"
    assert first != name("4", Wanted())


@pytest.mark.parametrize(
    "machine, interpreter", [("armv7l", "tflite-runtime==2.14.0"), ("aarch64", "ai-edge-litert>=1.4")]
)
def test_online_the_device_is_told_what_its_machine_needs(tmp_path, wheels, machine, interpreter):
    made = write_bundle(tmp_path / "made", machine, "3.11", Wanted(), online=True)
    assert (made.folder / "requirements.txt").read_text().splitlines() == [
        "click>=8.1", interpreter, "starlette>=0.40", "asyncssh[bcrypt]>=2", "numpy<2",
    ]  # fmt: skip
    assert [path.name for path in (made.folder / "wheels").iterdir()] == ["litelens-0.1.0-py3-none-any.whl"]
    assert settings(made)["online"] == "yes"


def test_extras_that_were_not_asked_for(tmp_path, wheels):
    assert needs_of(bundle.own_wheel(), "aarch64", ("camera",)) == [
        "click>=8.1", "ai-edge-litert>=1.4", "opencv-python-headless>=4.9",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_written(tmp_path, wheels):
    (tmp_path / "file").write_text("")
    with pytest.raises(LitelensError, match="cannot write"):
        write_bundle(tmp_path / "file" / "made", "aarch64", "3.11", Wanted())


def test_a_setting_of_another_kind_is_no_table():
    with pytest.raises(ConfigError):
        Wanted(None, "demo")
