"""update, as a person types it."""

import pytest
from click.testing import CliRunner

from edge_runtime.errors import LitelensError
from edge_runtime.store.errors import StoreError
from edge_runtime.updating.cli import update
from edge_runtime.updating.errors import RepositoryRefused


@pytest.fixture
def call(world):
    """Runs the command with the world's addresses; returns what it printed."""

    def run(*arguments: str) -> str:
        given = [
            "--from",
            world.server.address,
            "--root",
            str(world.folder / "root.json"),
            "--store",
            str(world.store),
        ]
        ended = CliRunner().invoke(update, [*given, *arguments])
        if isinstance(ended.exception, LitelensError):
            raise ended.exception
        assert ended.exit_code == 0, ended.output
        return ended.output

    return run


def test_nothing_new(call):
    assert call() == "tiny 1 is in use already\n"


def test_the_stores_only_model_is_meant(world, call):
    world.publish("7", name="other")
    assert call() == "tiny 1 is in use already\n"
    assert call("--channel", "beta") == "there is no tiny for this device\n"


def test_a_refusal_is_an_error(world, call):
    (world.metadata / "timestamp.json").write_text("{}")
    with pytest.raises(RepositoryRefused) as refused:
        call()
    assert refused.value.exit_code == 1


@pytest.mark.slow
def test_left_aside_and_again(world, call):
    from edge_runtime.store.store import Store

    world.publish("2")
    assert call() == "tiny 2 is in use now\n"
    Store(world.store / "tiny").rollback(by="a person")
    assert call() == "tiny 2 was in use before and is left aside\nwith --again it is tried once more\n"
    assert call("--again") == "tiny 2 is in use now\n"


@pytest.mark.parametrize("missing", ["--from", "--root", "--store"])
def test_what_must_be_named(world, tmp_path, missing):
    given = {
        "--from": world.server.address,
        "--root": str(world.folder / "root.json"),
        "--store": str(world.store),
    }
    given.pop(missing)
    ended = CliRunner().invoke(update, [word for pair in given.items() for word in pair])
    assert ended.exit_code == 2 and missing in ended.output


def test_a_store_that_is_not_there_is_named(world, tmp_path):
    given = [
        "--from",
        world.server.address,
        "--root",
        str(world.folder / "root.json"),
        "--store",
        str(tmp_path / "no"),
    ]
    ended = CliRunner().invoke(update, given)
    assert isinstance(ended.exception, StoreError) and "there is no store" in str(ended.exception)
    assert not (tmp_path / "no").exists()
