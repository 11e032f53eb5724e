"""publish and repo, as a person types them."""

import pytest
from click.testing import CliRunner

from edge_runtime.errors import LitelensError
from fleet.repository.cli import PASSPHRASE_VARIABLE, publish, repo
from fleet.repository.errors import ExpiredError, KeyFileError

ONE, OTHER = "the root's passphrase", "the others' passphrase"


@pytest.fixture
def call(site, tmp_path, passphrase):
    """Runs a command with keys/ and, unless `typed` is given, the passphrase in the environment; returns its output."""

    def run(command, *arguments, typed: str | None = None, keys=True) -> str:
        given = [str(argument) for argument in arguments] + (
            ["--keys", str(tmp_path / "keys")] if keys else []
        )
        environment = {
            PASSPHRASE_VARIABLE: passphrase if typed is None else None,
            "XDG_CONFIG_HOME": str(tmp_path),
        }
        ended = CliRunner().invoke(command, given, input=typed, env=environment)
        if isinstance(ended.exception, LitelensError):
            raise ended.exception
        assert ended.exit_code == 0, ended.output
        return ended.output

    return run


@pytest.fixture
def status(call, site):
    return lambda: call(repo, "status", site, keys=False)


def test_from_nothing_to_a_rollout(call, repack, site, status, tmp_path):
    said = call(publish, repack(version="1"), "--repo", site)
    assert f"made {site} and, in {tmp_path / 'keys'}, its keys: back them up" in said
    assert "stable: tiny 1 is uploaded and offered to 100% of the devices" in said
    said = call(publish, repack(version="2"), "--repo", site, "--rollout", "0.5%")
    assert said == "stable: tiny 2 is uploaded and offered to 0.5% of the devices; the others stay with 1\n"
    said = call(publish, repack(version="2"), "--repo", site, "--rollout", "12.5%")
    assert said == "stable: tiny 2 was there and offered to 12.5% of the devices; the others stay with 1\n"
    lines = status().splitlines()
    assert lines[-2].split() == ["stable", "12.5%", str(repack(version="2").stat().st_size), "tiny", "2"]
    assert lines[-1].split()[:2] == ["stable", "100%"]
    assert call(publish, repack(version="2"), "--repo", site, "--rollout", "0%") == (
        "stable: tiny 2 is taken back; devices go to 1\n"
    )


def test_keys_go_below_the_home_folder_unless_told_otherwise(call, repack, site, tmp_path):
    said = call(publish, repack(version="1"), "--repo", site, keys=False)
    assert str(tmp_path / "litelens" / "keys" / "site") in said
    assert len(list((tmp_path / "litelens" / "keys" / "site").glob("*.pem"))) == 4


def test_passphrases_are_asked_for(call, repack, site, monkeypatch):
    said = call(publish, repack(version="1"), "--repo", site, typed=f"{ONE}\n{ONE}\n{OTHER}\n{OTHER}\n")
    assert ONE not in said and OTHER not in said
    said = call(publish, repack(version="2"), "--repo", site, typed=f"{OTHER}\n")
    assert said.count("Passphrase of") == 1, "the three that are together have one"
    call(repo, "role", site, "timestamp", "--days", "3", typed=f"{ONE}\n{OTHER}\n{OTHER}\n")


@pytest.mark.parametrize("typed", ["short\n", f"{ONE}\n{OTHER}\n"])
def test_a_short_or_mistyped_new_passphrase_makes_nothing(site, repack, tmp_path, typed):
    given = [str(repack(version="1")), "--repo", str(site), "--keys", str(tmp_path / "keys")]
    ended = CliRunner().invoke(publish, given, input=typed, env={PASSPHRASE_VARIABLE: None})
    assert ended.exit_code != 0
    assert not list(site.glob("metadata/*"))


def test_a_passphrase_comes_from_a_file_that_its_owner_alone_can_read(call, repack, site, tmp_path):
    file = tmp_path / "passphrase"
    file.write_text(f"{ONE}\n")
    file.chmod(0o600)
    call(publish, repack(version="1"), "--repo", site, "--passphrase-file", file, typed="")
    call(repo, "sign", site, "--passphrase-file", file, typed="")
    file.chmod(0o644)
    with pytest.raises(KeyFileError, match="others can read the passphrase"):
        call(repo, "sign", site, "--passphrase-file", file, typed="")


@pytest.mark.parametrize("rollout", ["10", "101%", "-1%", "ten%", "0.001%", "NaN%", "%"])
def test_what_is_no_percentage_is_a_usage_error(repack, site, rollout):
    ended = CliRunner().invoke(publish, [str(repack(version="1")), "--repo", str(site), "--rollout", rollout])
    assert ended.exit_code == 2 and "no percentage" in ended.output
    assert not site.exists()


def test_init_sign_rotate_status(call, site, status):
    call(repo, "init", site, "--root-keys", 3, "--root-threshold", 2)
    assert "nothing is on offer yet" in status()
    before = {line.split()[0]: line for line in status().splitlines() if line}
    assert "2 of 3" in before["root"] and "1 of 1" in before["timestamp"]
    old = before["timestamp"].split()[-1]
    assert call(repo, "role", site, "timestamp", "--add-key", "--remove-key", old) == "root 2 is in force\n"
    assert "is signed until" in call(repo, "sign", site)
    after = {line.split()[0]: line for line in status().splitlines() if line}
    assert old not in after["timestamp"]
    assert after["snapshot"].split()[1:2] == before["snapshot"].split()[1:2], "only what had to be"


def test_a_proposed_root_is_shown_and_agreed_to(call, site, tmp_path, status, passphrase):
    call(repo, "init", site, "--root-keys", 2, "--root-threshold", 2)
    second = sorted((tmp_path / "keys").glob("root-*.pem"))[1]
    (tmp_path / "stick").mkdir()
    second.rename(tmp_path / "stick" / second.name)
    assert "root 2 waits for 1 of the root keys" in call(repo, "role", site, "timestamp", "--days", 3)
    assert "root 2 is proposed" in status()
    both = ("--keys", tmp_path / "stick")
    with pytest.raises(AssertionError, match="Aborted"):
        call(repo, "sign", site, *both, typed="n\n")
    assert "root 2 is proposed" in status(), "and nothing was signed"
    said = call(repo, "sign", site, *both, typed="y\n" + f"{passphrase}\n" * 5)
    assert "timestamp: in force for 3 days instead of 7" in said
    assert "proposed" not in status() and "timestamp" in status()


def test_status_fails_where_devices_refuse(repack, site, keyring, now, days):
    from fleet.repository.publishing import publish as run

    run(repack(version="1"), site, keyring(), now - days(8), channel="stable", buckets=10_000)
    ended = CliRunner().invoke(repo, ["status", str(site)])
    assert isinstance(ended.exception, ExpiredError)
    assert str(ended.exception) == f"devices refuse {site}: timestamp expired"
    assert "(expired)" in ended.output
