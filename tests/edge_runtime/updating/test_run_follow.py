"""`litelens run --follow` as a process: a real loop, web server, repository and store."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from heard import LIMIT_S, Heard

from edge_runtime.store.store import Store


class Following(Heard):
    """A `litelens run STORE/tiny/current --follow` with the drawn camera, in a process group of its own."""

    def __init__(
        self, world, *arguments: object, every_s: float = 1.0, environ: dict[str, str] | None = None
    ):
        config = world.folder / "run.toml"
        config.write_text(
            f'camera = "demo"\nthreads = 1\nstdout = "nothing"\n[follow]\nevery_s = {every_s}\n'
        )
        command = [
            sys.executable,
            "-m",
            "litelens",
            "run",
            world.store / "tiny" / "current",
            "--config",
            config,
        ]
        command += ["--follow", world.server.address, "--root", world.folder / "root.json"]
        command += ["--state", world.folder / "state", *arguments]
        process = subprocess.Popen(
            list(map(str, command)),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | (environ or {}),
        )
        super().__init__(process)

    def living(self) -> dict[int, str]:
        """The processes of its group, zombies left out: id to command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state != "Z":
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        return found

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


@pytest.fixture
def follow(far_world):
    """Starts a loop that follows the world's repository; what runs at the end is killed."""
    started: list[Following] = []

    def start(*arguments: object, **options) -> Following:
        started.append(Following(far_world, *arguments, **options))
        return started[-1]

    yield start
    for following in started:
        following.kill()
        following.process.stderr.close()


def wait_until(condition) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come true"
        time.sleep(0.02)


def half_a_model(asked: threading.Event, release: threading.Event):
    """Sends the beginning of a model file, and no more."""

    def answer(handler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(b"x" * 1000)
        asked.set()
        release.wait(LIMIT_S)

    return answer


@pytest.mark.slow
def test_a_new_version_comes_and_is_on_trial(far_world, follow):
    """Then one that is broken, which the page tells; then a good one."""
    following = follow("--web", "127.0.0.1:0")
    page = following.says("live page: ").removeprefix("live page: ")
    following.says("tiny 1 is in use already")
    far_world.publish("2")
    following.says("tiny 2 is in use now")
    following.says("tiny 2 answers now")
    store = Store(far_world.store / "tiny")
    assert store.state().trial.version == "2" and store.state().trial.healthy_s == 60
    store.confirm("2", by="me")

    far_world.publish("3", off=50)
    assert "tiny 3 differs by" in following.says("no update: ")
    assert "tiny 3 differs by" in following.says("tiny 3 was refused before: ")
    assert far_world.current() == "2" and following.process.poll() is None
    with urllib.request.urlopen(f"{page}metrics", timeout=60) as answer:
        metrics = answer.read().decode()
    assert "litelens_follow_refused{} 1.0" in metrics and "litelens_follow_ok{} 1.0" in metrics
    assert 'litelens_follow_offered_info{channel="stable",version="3"} 1.0' in metrics
    assert 'litelens_model_info{name="tiny",version="2"' in metrics
    with urllib.request.urlopen(f"{page}healthz", timeout=60) as answer:
        assert "an update was refused" in answer.read().decode()

    far_world.publish("4")
    following.says("tiny 4 answers now")
    assert following.process.poll() is None


@pytest.mark.soak
def test_a_version_that_the_loop_does_not_survive_comes_back_and_is_left_aside(far_world, follow):
    far_world.publish("2")
    following = follow()
    following.says("tiny 2 answers now")
    following.kill()
    for start in (1, 2, 3):
        following = follow()
        following.says(f"tiny 2 is on trial, start {start} of 3")
        following.kill()
    following = follow()
    following.says("tiny 2 was rolled back: started 3 times without being healthy for 60 s")
    following.says("tiny 2 was in use before and is left aside")
    assert far_world.current() == "1"
    far_world.publish("3")
    following.says("tiny 3 answers now")


@pytest.mark.slow
def test_a_server_that_is_down_at_the_start_is_looked_for_again(far_world, follow, serve):
    port = far_world.server.server_port
    far_world.server.shutdown()
    far_world.server.server_close()
    far_world.publish("2")
    following = follow()
    following.says("no update: ")
    assert far_world.current() == "1" and following.process.poll() is None
    serve(far_world.site, port)
    following.says("tiny 2 answers now")


@pytest.mark.slow
def test_it_ends_in_mid_download(far_world, follow):
    asked, release = threading.Event(), threading.Event()
    far_world.publish("2")
    far_world.lie("/targets/", half_a_model(asked, release))
    following = follow()
    assert asked.wait(LIMIT_S)
    assert any("updating.fetching" in line for line in following.living().values())
    sent_s = time.monotonic()
    following.process.terminate()
    assert following.process.wait(60) == 0
    assert time.monotonic() - sent_s < 10, "two seconds on a machine with nothing else to do"
    wait_until(lambda: not following.living())
    release.set()
    assert far_world.current() == "1"
    assert not any("Traceback" in line for line in following.said)


@pytest.mark.soak
def test_it_ends_in_mid_selftest(far_world, follow):
    """A self-test that hangs ends with the loop."""
    far_world.publish("2")
    following = follow()

    def testing() -> list[int]:
        return [
            number
            for number, line in following.living().items()
            if "edge_runtime.selftest" in line
            and "ai_edge_litert" in Path(f"/proc/{number}/maps").read_text()
        ]

    wait_until(testing)
    for number in testing():
        os.kill(number, signal.SIGSTOP)
    following.process.terminate()
    assert following.process.wait(60) == 0
    wait_until(lambda: not following.living())
    again = follow()
    again.says("tiny 2 answers now")
    assert not list((far_world.store / "tiny").glob(".incoming*")), "what the end left is gone"


@pytest.mark.soak
def test_a_version_is_confirmed_after_a_minute(far_world, follow):
    far_world.publish("2")
    following = follow()
    following.says("tiny 2 answers now")
    assert following.says("was confirmed") == "tiny 2 was confirmed: healthy for 60 s"
    assert Store(far_world.store / "tiny").state().trial is None


@pytest.mark.soak
def test_a_device_that_was_off_for_months_catches_up(far_world, follow):
    """It was set up 100 days ago; since then keys were changed, and three versions came."""
    world, today = far_world, far_world.now
    for folder in (world.site, world.folder / "keys", world.state / "metadata"):
        shutil.rmtree(folder)
    world.now = today - timedelta(days=100)
    world.publish("1")
    shutil.copy(world.metadata / "1.root.json", world.folder / "root.json")
    shutil.copytree(world.metadata, world.state / "metadata")  # its last look
    for role in ("snapshot", "targets"):
        (world.state / "metadata" / f"2.{role}.json").rename(world.state / "metadata" / f"{role}.json")
    for days, version in ((60, "2"), (30, "3"), (0, "4")):
        world.now = today - timedelta(days=days)
        for role in ("timestamp", "root"):
            old = world.repository().root.signed.roles[role].keyids
            world.change_role(role, add_key=True, remove_keys=old)
        world.publish(version)
    following = follow()
    following.says("tiny 4 is in use now")
    following.says("tiny 4 answers now")
    assert sum("root.json" in path for path in world.server.paths) >= 7, (
        "six new ones, and one that is not there"
    )
    assert not any(path.endswith((".2.tflite", ".3.tflite")) for path in world.server.paths)


class TestAtTheStart:
    """What is wrong is told before any work, with what to do."""

    @pytest.fixture
    def run(self, far_world, litelens):
        """Runs the command with one thing exchanged; returns what it said."""

        def call(**changes: object) -> str:
            given = {"model": far_world.store / "tiny" / "current", "root": far_world.folder / "root.json"}
            given = given | {"camera": "demo", "follow": far_world.server.address} | changes
            model, environ = given.pop("model"), given.pop("environ", {})
            words = [
                word for name, value in given.items() if value is not None for word in (f"--{name}", value)
            ]
            ended = litelens("run", model, "--max-frames", 1, *words, env=os.environ | environ)
            assert ended.returncode == 1 and ended.stdout == "" and "Traceback" not in ended.stderr
            return ended.stderr

        return call

    @pytest.mark.parametrize(
        "changes, message, hint",
        [
            (
                {"root": "absent.json"},
                "cannot read the trusted root absent.json",
                "copy metadata/1.root.json",
            ),
            ({"root": None}, "no root metadata to trust is named", "--root ROOT.json"),
            ({"follow": None}, "no repository to follow is named", "--follow URL"),
            ({"follow": "models.example.org"}, "does not begin with http://HOST", "https://HOST/FOLDER"),
            ({"follow": "http://me:secret@h/x"}, "has a user", "https://HOST/FOLDER"),
            ({"channel": "nightly"}, "follow.channel is 'nightly', expected stable or beta", "--channel"),
        ],
    )
    def test_settings(self, run, changes, message, hint):
        error, told = run(**changes).splitlines()
        assert message in error and hint in told

    def test_a_model_that_is_in_no_store(self, run, tiny):
        error, hint = run(model=tiny).splitlines()
        assert "is no model in a store" in error and "expected STORE/NAME/current" in error
        assert "litelens store install" in hint and str(tiny) in hint

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b'{"signed": {"_type": "timestamp"}}', b"\xff" * 100, b"[" * 60000]
    )
    def test_a_root_that_is_none(self, run, tmp_path, content):
        path = tmp_path / "odd.json"
        path.write_bytes(content)
        error, hint = run(root=path).splitlines()
        assert str(path) in error and "copy metadata/1.root.json" in hint

    def test_python_tuf_is_not_installed(self, run, tmp_path):
        # Hides it as its absence would.
        hidden = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, p=None: None if n == 'tuf' else f(n, p)"
        (tmp_path / "sitecustomize.py").write_text(hidden + "\n")
        error, hint = run(
            environ={"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
        ).splitlines()
        assert "following needs tuf" in error and "pip install 'litelens[update]'" in hint

    @pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs as another user")
    def test_a_store_that_this_user_may_not_change(self, far_world):
        from edge_runtime.updating.errors import UpdateError
        from edge_runtime.updating.open_follower import open_follower
        from edge_runtime.updating.settings import FollowSettings

        with tempfile.TemporaryDirectory() as folder:  # pytest's own are root's alone
            public = Path(folder)
            public.chmod(0o755)
            shutil.copytree(far_world.store, public / "store", symlinks=True)
            settings = FollowSettings(
                far_world.server.address, shutil.copy(far_world.folder / "root.json", public)
            )
            os.seteuid(65534)
            try:
                with pytest.raises(UpdateError, match="cannot be written by user 65534") as refused:
                    open_follower(public / "store" / "tiny" / "current", settings, print)
            finally:
                os.seteuid(0)
        assert "install it again" in refused.value.hint


def test_the_status_knows_of_following(far_world, follow):
    """Where nothing is followed, nothing is said of it: see tests/edge_runtime/web."""
    following = follow("--web", "127.0.0.1:0", every_s=3600)
    page = following.says("live page: ").removeprefix("live page: ")
    with urllib.request.urlopen(f"{page}api/status", timeout=60) as answer:
        status = json.load(answer)["status"]["follow"]
    assert (status["address"], status["channel"], status["ok"]) == (far_world.server.address, "stable", True)
