"""Attacks on the way of an update: each is refused, and store, `current` and state are as before.

The publisher has published version 2. What stands between it and the device (a server, a cache, somebody on the line, or
somebody with one of the keys) plays the attack; the device runs version 1 and looks.
"""

import gzip
import json
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from edge_runtime.errors import LitelensError
from edge_runtime.store.errors import VersionRefused
from edge_runtime.updating.errors import NotReached, RepositoryRefused
from edge_runtime.updating.offers import OfferError

MEGABYTE = b"x" * 1_000_000
SOON_OVER = {"idle_s": 0.5, "metadata_s": 1.0, "least_bytes_per_s": 1e6}
"""Limits for attacks that end by them alone."""


@dataclass(frozen=True)
class Attack:
    """One way to bring a device what its publisher did not mean it to have."""

    name: str
    play: Callable
    """Given the world, after version 2 was published."""
    refused_as: type[LitelensError]
    saying: str
    """Part of what the device says."""
    forward: bool = False
    """Genuine metadata come before the forged ones; those may be kept, as they only close the way back."""
    over: bool = True
    """Whether the publisher's repository is as good as before once it is over; not where keys were stolen or replaced."""


ATTACKS: list[Attack] = []


def attack(
    name: str, refused_as: type[LitelensError], saying: str, *, forward: bool = False, over: bool = True
) -> Callable:
    """Adds the function below to the table."""

    def add(play: Callable) -> Callable:
        ATTACKS.append(Attack(name, play, refused_as, saying, forward, over))
        return play

    return add


def edit(path, change: Callable[[dict], None]) -> None:
    """Changes a metadata file and leaves its signatures as they were."""
    fields = json.loads(path.read_bytes())
    change(fields["signed"])
    path.write_text(json.dumps(fields, separators=(",", ":"), sort_keys=True))


def model_file(world):
    return next(world.site.glob(f"targets/tiny/{world.sha256('2')}.*"))


def answer(content: bytes, status: int = 200, **headers: str) -> Callable:
    """A lie that sends this, whatever was asked for."""

    def lie(handler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return lie


def endless(handler) -> None:
    """Sends and never stops."""
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()
    while True:  # until the client has enough
        handler.wfile.write(MEGABYTE)


def drip(begin: bytes, byte: bytes = b"a", every_s: float = 0.05) -> Callable:
    """A lie that sends something, and then a byte now and then."""

    def lie(handler) -> None:
        handler.close_connection = True
        handler.wfile.write(begin)
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            handler.wfile.write(byte)
            time.sleep(every_s)

    return lie


# The file.


@attack("altered file", RepositoryRefused, "does not match expected hash", forward=True)
def _(world):
    content = bytearray(model_file(world).read_bytes())
    content[1000] ^= 1
    model_file(world).write_bytes(content)


@attack("file of another version under the new one's name", RepositoryRefused, "does not match", forward=True)
def _(world):
    model_file(world).write_bytes(world.packed("3"))


@attack("file cut short", RepositoryRefused, "does not match expected length", forward=True)
def _(world):
    model_file(world).write_bytes(model_file(world).read_bytes()[:-100])


@attack("file with something behind it", RepositoryRefused, "are the most that it may have", forward=True)
def _(world):
    model_file(world).write_bytes(model_file(world).read_bytes() + b"more")


@attack("endless download of the file", RepositoryRefused, "does not end after the", forward=True)
def _(world):
    world.lie("/targets/", endless)


@attack("download of the file that drips", NotReached, "was not there within", forward=True)
def _(world):
    world.limits = replace(world.limits, **SOON_OVER)
    world.lie("/targets/", drip(b"HTTP/1.1 200 OK\r\n\r\n"))


@attack("download of the file that breaks off", NotReached, "broke off", forward=True)
def _(world):
    def lie(handler) -> None:
        handler.close_connection = True
        answer(model_file(world).read_bytes()[:1000], Content_Length=str(model_file(world).stat().st_size))(
            handler
        )

    world.lie("/targets/", lie)


# Metadata that nobody signed.


@attack("altered timestamp", RepositoryRefused, "timestamp was signed by 0/1 keys")
def _(world):
    edit(world.metadata / "timestamp.json", lambda signed: signed.update(expires="2099-01-01T00:00:00Z"))


@attack("altered snapshot", RepositoryRefused, "does not match expected", forward=True)
def _(world):
    edit(world.metadata / "3.snapshot.json", lambda signed: signed.update(version=4))


@attack("altered offer", RepositoryRefused, "does not match expected", forward=True)
def _(world):
    edit(world.metadata / "3.targets.json", lambda signed: signed["targets"].clear())


@attack("root of strangers", RepositoryRefused, "root was signed by 0/1 keys")
def _(world):
    from fleet.repository.keys import Keyring
    from fleet.repository.repository import create

    strangers = world.folder / "strangers"
    create(
        strangers, Keyring((world.folder / "their keys",), lambda path, new: "another passphrase"), world.now
    )
    root = json.loads((strangers / "metadata" / "1.root.json").read_bytes())
    root["signed"]["version"] = 2
    (world.metadata / "2.root.json").write_text(json.dumps(root))


@attack("whole repository of strangers", RepositoryRefused, "timestamp was signed by 0/1 keys")
def _(world):
    from fleet.repository.keys import Keyring
    from fleet.repository.publishing import publish

    shutil.rmtree(world.site)
    model = world.folder / "theirs.tflite"
    model.write_bytes(world.packed("9"))
    keys = Keyring((world.folder / "their keys",), lambda path, new: "another passphrase")
    publish(model, world.site, keys, world.now, channel="stable", buckets=10_000)


# Genuine metadata, at the wrong time or in the wrong company.


@attack("replayed old timestamp (rollback)", RepositoryRefused, "must be >=", over=False)
def _(world):
    old = (world.metadata / "timestamp.json").read_bytes()
    world.publish("1")  # so that the device takes nothing, and has seen the newest timestamp
    world.look()
    (world.metadata / "timestamp.json").write_bytes(old)


@attack("replayed old repository, all of it (rollback)", RepositoryRefused, "must be >=", over=False)
def _(world):
    shutil.copytree(world.site, world.folder / "old")
    world.publish("1")
    world.look()
    shutil.rmtree(world.site)
    shutil.move(world.folder / "old", world.site)


@attack(
    "frozen metadata", RepositoryRefused, "timestamp.json is expired; this device's clock says", over=False
)
def _(world):
    """The newest that the device gets to see was signed eight days ago, for seven."""
    freeze(world, days=8)


@attack(
    "frozen metadata, and the device's clock in the past",
    RepositoryRefused,
    "timestamp expired on",
    over=False,
)
def _(world):
    """Its clock says that the signature has two days left; three days ago, it knew better."""
    freeze(world, days=5)
    later = world.now + timedelta(days=3)
    state = json.loads((world.state / "state.json").read_bytes())
    (world.state / "state.json").write_text(json.dumps(state | {"known_time_s": later.timestamp()}))


def freeze(world, days: float) -> None:
    """Has the repository be one that was signed so long ago, and the device know it since then."""
    shutil.rmtree(world.site)
    shutil.rmtree(world.folder / "keys")
    shutil.rmtree(world.state / "metadata")
    world.now -= timedelta(days=days)
    world.publish("2")
    world.now += timedelta(days=days)
    shutil.copy(world.metadata / "1.root.json", world.folder / "root.json")
    seen = world.state / "metadata"
    (seen / "root_history").mkdir(parents=True)
    shutil.copy(world.metadata / "1.root.json", seen / "root_history")
    for role, file in (("timestamp", "timestamp"), ("snapshot", "2.snapshot"), ("targets", "2.targets")):
        shutil.copy(world.metadata / f"{file}.json", seen / f"{role}.json")


@attack(
    "mixed snapshot: old snapshot, new timestamp", RepositoryRefused, "does not match expected", forward=True
)
def _(world):
    shutil.copy(world.metadata / "2.snapshot.json", world.metadata / "3.snapshot.json")


@attack("mixed snapshot: old offer, new snapshot", RepositoryRefused, "does not match expected", forward=True)
def _(world):
    shutil.copy(world.metadata / "2.targets.json", world.metadata / "3.targets.json")


@attack(
    "mixed snapshot: one role in another's place", RepositoryRefused, "Expected 'timestamp', got 'snapshot'"
)
def _(world):
    shutil.copy(world.metadata / "3.snapshot.json", world.metadata / "timestamp.json")


@attack(
    "root that skips a version",
    RepositoryRefused,
    "Expected root version 2 instead got version 3",
    over=False,
)
def _(world):
    world.change_role("timestamp", days=5)
    world.change_role("timestamp", days=6)
    (world.metadata / "3.root.json").rename(world.metadata / "2.root.json")


@attack("root of an earlier version, under the next one's name", RepositoryRefused, "instead got version 1")
def _(world):
    shutil.copy(world.metadata / "1.root.json", world.metadata / "2.root.json")


# Keys: some, but not enough, or not the right ones.


def forge(world, change: Callable, signatures: int = 1) -> None:
    """Signs another offer and all that leads to it, as who has stolen so many keys of each role but root."""
    from tuf.api.metadata import Metadata, MetaFile

    repository, keys = world.repository(), world.keyring()
    meta = None
    for role in ("targets", "snapshot", "timestamp"):
        metadata = Metadata(repository.signed(role))
        metadata.signed.version += 1
        if role == "targets":
            change(metadata.signed)
        elif role == "snapshot":
            metadata.signed.meta["targets.json"] = meta
        else:
            metadata.signed.snapshot_meta = meta
        for signer in keys.signers(repository.keys(role))[:signatures]:
            metadata.sign(signer, append=True)
        meta = MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        (world.metadata / name).write_bytes(metadata.to_bytes())


@attack("key below threshold", RepositoryRefused, "targets was signed by 1/2 keys", forward=True, over=False)
def _(world):
    world.change_role("targets", add_key=True, threshold=2)
    forge(world, lambda targets: None, signatures=1)


@attack(
    "one key that signs twice",
    RepositoryRefused,
    "Multiple signatures found for keyid",
    forward=True,
    over=False,
)
def _(world):
    world.change_role("timestamp", add_key=True, threshold=2)
    fields = json.loads((world.metadata / "timestamp.json").read_bytes())
    fields["signatures"][1] = fields["signatures"][0]
    (world.metadata / "timestamp.json").write_text(json.dumps(fields))


@attack("signature under another key's id", RepositoryRefused, "timestamp was signed by 0/1 keys")
def _(world):
    """The snapshot's key signs well, but may not sign timestamps."""
    fields = json.loads((world.metadata / "timestamp.json").read_bytes())
    snapshot = json.loads((world.metadata / "3.snapshot.json").read_bytes())
    fields["signatures"] = [
        {"keyid": snapshot["signatures"][0]["keyid"], "sig": fields["signatures"][0]["sig"]}
    ]
    (world.metadata / "timestamp.json").write_text(json.dumps(fields))


@attack("signature that is no hexadecimal number", RepositoryRefused, "timestamp was signed by 0/1 keys")
def _(world):
    fields = json.loads((world.metadata / "timestamp.json").read_bytes())
    fields["signatures"][0]["sig"] = "none"
    (world.metadata / "timestamp.json").write_text(json.dumps(fields))


@attack("signature algorithm that does not exist", RepositoryRefused, "Unsupported public key none/none")
def _(world):
    """A next root that declares its keys to be of it."""
    root = json.loads((world.metadata / "1.root.json").read_bytes())
    root["signed"]["version"] = 2
    for key in root["signed"]["keys"].values():
        key.update(scheme="none", keytype="none")
    (world.metadata / "2.root.json").write_text(json.dumps(root))


@attack(
    "key that was replaced", RepositoryRefused, "timestamp was signed by 0/1 keys", forward=True, over=False
)
def _(world):
    """Who has stolen the timestamp's old key goes on signing with it."""
    before = (world.metadata / "timestamp.json").read_bytes()
    old = world.repository().root.signed.roles["timestamp"].keyids
    world.change_role("timestamp", add_key=True, remove_keys=old)
    (world.metadata / "timestamp.json").write_bytes(before)


# An offer that is signed by the right keys, all of them stolen: what the device checks by itself.


def offer_path(path: str) -> Callable:
    def change(targets) -> None:
        targets.targets[path] = targets.targets.pop("tiny/2.tflite")
        targets.targets[path].path = path

    return change


PATHS = (
    "../../../etc/cron.d/x.tflite",
    "/etc/x.tflite",
    "tiny/../../x.tflite",
    "tiny/..%2f..%2fx.tflite",
)  # more: test_offers
for path in PATHS:

    @attack(
        f"path in a target's name: {path!r}",
        OfferError,
        "expected NAME/VERSION.tflite",
        forward=True,
        over=False,
    )
    def _(world, path=path):
        forge(world, offer_path(path))


@attack("another model under this one's name", VersionRefused, "", forward=True, over=False)
def _(world):
    model = world.folder / "other.tflite"
    model.write_bytes(world.packed("2", name="other"))

    def change(targets) -> None:
        from tuf.api.metadata import TargetFile

        custom = targets.targets["tiny/2.tflite"].custom
        targets.targets["tiny/2.tflite"] = target = TargetFile.from_file(
            "tiny/2.tflite", str(model), ["sha256"]
        )
        target.unrecognized_fields["custom"] = custom
        to = world.site / "targets" / "tiny" / f"{target.hashes['sha256']}.2.tflite"
        shutil.copy(model, to)

    forge(world, change)


@attack("file of a hundred gigabytes", OfferError, "expected 1 to 268435456", forward=True, over=False)
def _(world):
    forge(world, lambda targets: setattr(targets.targets["tiny/2.tflite"], "length", 10**11))


@attack("offer without a sha256", OfferError, "its sha256 is None", forward=True, over=False)
def _(world):
    forge(world, lambda targets: setattr(targets.targets["tiny/2.tflite"], "hashes", {"md5": "0" * 32}))


# The server.


@attack("endless metadata", RepositoryRefused, "does not end after the 16384 bytes")
def _(world):
    world.lie("timestamp.json", endless)


@attack("metadata that drip", NotReached, "all metadata of")
def _(world):
    world.limits = replace(world.limits, **SOON_OVER)
    world.lie("timestamp.json", drip(b"HTTP/1.1 200 OK\r\n\r\n"))


@attack("headers that drip", NotReached, "all metadata of")
def _(world):
    world.limits = replace(world.limits, **SOON_OVER)
    world.lie("timestamp.json", drip(b"HTTP/1.1 200 OK\r\nX: "))


@attack("server that says nothing", NotReached, "timed out")
def _(world):
    world.limits = replace(world.limits, idle_s=0.5)
    world.lie("timestamp.json", drip(b"", byte=b"", every_s=0.1))


@attack("endless headers", NotReached, "got more than 100 headers")
def _(world):
    def lie(handler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 10_000 + b"\r\n")

    world.lie("timestamp.json", lie)


@attack("redirect to another host", RepositoryRefused, "which is not followed")
def _(world):
    elsewhere = f"http://localhost:{world.server.server_port}/elsewhere/timestamp.json"
    world.lie("/metadata/timestamp.json", answer(b"", 302, Location=elsewhere))


@attack("redirect to a file", RepositoryRefused, "which is not followed")
def _(world):
    world.lie("timestamp.json", answer(b"", 302, Location=f"file://{world.metadata / 'timestamp.json'}"))


@attack("redirect in a circle", NotReached, "redirected again and again")
def _(world):
    world.lie("timestamp.json", answer(b"", 301, Location="/metadata/timestamp.json"))


@attack("gzip bomb", RepositoryRefused, "comes compressed ('gzip')")
def _(world):
    bomb = gzip.compress(MEGABYTE * 10)
    world.lie("timestamp.json", answer(bomb, Content_Encoding="gzip"))


@attack("gzip bomb that says it is none", RepositoryRefused, "Failed to deserialize JSON")
def _(world):
    world.lie("timestamp.json", answer(gzip.compress(MEGABYTE * 10)))


@attack("huge JSON metadata", RepositoryRefused, "has 50000000 bytes, where 16384 are the most")
def _(world):
    world.lie("timestamp.json", answer(b"{}", Content_Length="50000000"))


@attack(
    "huge JSON metadata, announced by a stolen timestamp key",
    RepositoryRefused,
    "where 1048576 are the most",
    forward=True,
    over=False,
)
def _(world):
    from tuf.api.metadata import Metadata

    path = world.metadata / "timestamp.json"
    timestamp = Metadata.from_file(str(path))
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta.length = 10**9
    (signer,) = world.keyring().signers(world.repository().keys("timestamp"))
    timestamp.sign(signer)
    path.write_bytes(timestamp.to_bytes())
    world.lie("snapshot.json", answer(b"{", Content_Length=str(10**9)))


@attack("JSON of ten thousand brackets", RepositoryRefused, "Failed to deserialize JSON")
def _(world):
    world.lie("timestamp.json", answer(b"[" * 10_000))


@attack("JSON with a number of ten thousand digits", RepositoryRefused, "Failed to deserialize JSON")
def _(world):
    world.lie("timestamp.json", answer(b'{"signed": {"version": ' + b"9" * 10_000 + b"}}"))


@attack("a login page instead of everything", RepositoryRefused, "Failed to deserialize JSON")
def _(world):
    world.lie("/", answer(b"<html>Welcome to the hotel</html>", Content_Type="text/html"))


@attack("no repository there any more", NotReached, "answered 404")
def _(world):
    shutil.rmtree(world.site)


@attack("server in trouble", NotReached, "answered 500")
def _(world):
    world.lie("/", answer(b"", 500))


@attack("server that is gone", NotReached, "")
def _(world):
    with socket.socket() as free:  # a port at which nobody listens
        free.bind(("127.0.0.1", 0))
        world.server.server_port = free.getsockname()[1]


@attack("something that is no HTTP", NotReached, "")
def _(world):
    def lie(handler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"220 mail.example.org ESMTP\r\n")

    world.lie("/", lie)


def refusal(world, contents, attack: Attack) -> str:
    """Plays an attack, has the device look, and returns what it said; fails unless nothing has changed."""
    attack.play(world)
    before, asked = contents(world.store), len(world.server.asked)
    with pytest.raises(attack.refused_as) as refused:
        world.look()
    assert attack.saying in str(refused.value)
    assert refused.value.hint
    after = contents(world.store)
    assert world.current() == "1"
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= allowed(attack)
    assert not [path for path in world.server.paths[asked:] if "elsewhere" in path]
    return str(refused.value)


def allowed(attack: Attack) -> set[str]:
    """Files below STORE in which an attack may leave traces."""
    traces = set()
    if attack.forward:
        traces |= {f".updates/metadata/{role}.json" for role in ("timestamp", "snapshot", "targets")}
        traces |= {".updates/metadata/root_history/2.root.json"}
    if (
        attack.refused_as is VersionRefused
    ):  # remembered, so that it is not fetched again, and told in the store's history
        traces |= {".updates/state.json", "tiny/history.jsonl"}
    return traces


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused_and_nothing_has_changed(world, contents, attack):
    world.publish("2")
    refusal(world, contents, attack)


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack", [attack for attack in ATTACKS if attack.over], ids=lambda attack: attack.name
)
def test_once_the_attack_is_over_the_device_updates(world, contents, attack):
    world.publish("2")
    shutil.copytree(world.site, world.folder / "genuine")
    limits, port = world.limits, world.server.server_port
    refusal(world, contents, attack)
    shutil.rmtree(world.site, ignore_errors=True)
    shutil.move(world.folder / "genuine", world.site)
    world.server.lies.clear()
    world.limits, world.server.server_port = limits, port
    world.sign()  # the publisher's timer goes on
    assert str(world.look()) == "tiny 2 is in use now"


@pytest.mark.slow
def test_all_attacks_in_a_table(new_world, contents):
    """pytest -rP shows what each attack met."""
    for attack in ATTACKS:
        world = new_world()
        world.publish("2")
        said = refusal(world, contents, attack)
        for path, short in ((world.server.address, "URL"), (str(world.folder), "")):
            said = said.replace(path, short)
        metadata = " (genuine newer metadata are kept)" if attack.forward else ""
        print(f"{attack.name!r} -> {attack.refused_as.__name__}: {said!r:.150} -> unchanged: yes{metadata}")
