"""What a service will be, and why it cannot be: told before anything is written."""

import grp
import io
import os
import pwd
import shlex
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import click

import edge_runtime
from edge_runtime.selftest import DeviceFailed, selftest
from edge_runtime.service.store_access import StoreAccess
from edge_runtime.service.systemd import systemd_version
from edge_runtime.service.unit import DEVICE_GROUPS, HIDDEN, ServiceError, Unit, hidden_folders

_NOBODY = 65534


def plan(run: click.Command, name: str, model: Path, arguments: tuple[str, ...], user: str | None) -> Unit:
    """The unit for a model file and the arguments of `litelens run`.

    Args:
        run: The command that takes the arguments.
        name: Of the service, without ".service".
        model: The model file.
        arguments: As they would follow the model on the command line.
        user: Whom the service runs as, or None.

    Raises:
        LitelensError: If the model file cannot be used here, or anything else that would keep the service from running.
        UsageError: If `litelens run` does not know an argument.
    """
    # Not resolve(): a link to the current version stays a link.
    model = Path(os.path.abspath(model))
    settings = _settings(run, model, arguments)
    config, arguments = _without_config(arguments)
    _check_paths(name, [*arguments, *_texts(settings)])
    if user is not None:
        _check_user(user)
    access = StoreAccess.of(model, name, user)
    _check_folders(model, access)
    _check_model(model)  # last: it takes a second or two
    if settings["stdout"] == "all":  # a line a frame would wear out the SD card that has the log
        arguments += ("--events-only",)
    folders = (_package(), Path(sys.prefix), Path(sys.base_prefix), model.parent, model.resolve().parent)
    if access:
        folders = tuple(folder for folder in folders if not folder.is_relative_to(access.store))
    groups = {group.gr_name for group in grp.getgrall()}
    return Unit(
        name=name,
        python=Path(sys.executable),
        model=model,
        arguments=arguments,
        config=config,
        user=user,
        groups=(*(group for group in DEVICE_GROUPS if group in groups), *(access.groups if access else ())),
        needs=hidden_folders(folders),
        store=access and access.store,
        systemd_version=systemd_version(),
    )


def _package() -> Path:
    """Where litelens is imported from: a folder of its own where it was installed with pip install --editable."""
    return Path(edge_runtime.__file__).parents[1]


def _check_model(model: Path) -> None:
    vectors = selftest(model).vectors
    if not vectors.passed:
        raise DeviceFailed(
            f"{model} differs by {vectors.largest_difference} output steps from what the exporter saw, "
            f"expected at most {vectors.tolerance}",
            f"litelens selftest {shlex.quote(str(model))} says more",
        )


def _check_folders(model: Path, access: StoreAccess | None) -> None:
    """Raises ServiceError where the service would have to see a home folder as a whole."""
    for folder in {model.parent, model.resolve().parent, *((access.store,) if access else ())}:
        if folder.parent != Path("/home") and folder not in HIDDEN:
            continue
        hint = (
            f"sudo install -D -m 644 -t /srv/litelens {shlex.quote(str(model))}; then install "
            f"{shlex.quote(f'/srv/litelens/{model.name}')}"
        )
        if access:
            hint = f"keep it in a folder of its own: mkdir {shlex.quote(f'{folder}/store')}, and move the models there"
        raise ServiceError(f"{model} is in {folder}, and the service may see no such folder as a whole", hint)


def _settings(run: click.Command, model: Path, arguments: tuple[str, ...]) -> dict:
    """What `litelens run` makes of its arguments; whatever it refuses, it refuses here."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        run.main([str(model), *arguments, "--print-config"], prog_name="litelens run", standalone_mode=False)
    if {"--help", "--print-config"} & set(arguments):
        raise ServiceError("litelens run would print and end", "leave --help and --print-config out")
    return tomllib.loads(printed.getvalue())


def _without_config(arguments: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    """The file of ``--config``, absolute, and the other arguments."""
    config, others, words = None, [], iter(arguments)
    for word in words:
        if word == "--config":
            config = next(words)
        elif word.startswith("--config="):
            config = word.removeprefix("--config=")
        else:
            others.append(word)
    return config and Path(os.path.abspath(config)), tuple(others)


def _texts(settings: object) -> Iterator[str]:
    """Every text in a config."""
    if isinstance(settings, dict):
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            yield from _texts(value)
    elif isinstance(settings, str):
        yield settings


def _check_paths(name: str, words: list[str]) -> None:
    """Raises ServiceError for a file or folder that the service would not see, or would look for elsewhere."""
    for word in words:
        path = Path(word.partition("=")[2] if word.startswith("--") else word)
        if hidden_folders([path]):
            raise ServiceError(
                f"the service does not see {path}: it has no home folders, and temporary folders of its own",
                f"what it reads can lie in /srv/litelens; for what it writes give a path relative to /var/lib/{name}",
            )
        if not path.is_absolute() and os.path.isfile(path):
            raise ServiceError(
                f"{path} is a file here, but the service looks for it in /var/lib/{name}",
                "give its absolute path",
            )


def _check_user(user: str) -> None:
    try:
        found = pwd.getpwnam(user)
    except KeyError as problem:
        raise ServiceError(
            f"there is no user {user} here", f"sudo adduser --system --group {shlex.quote(user)}"
        ) from problem
    if found.pw_uid in (0, _NOBODY):  # what nobody owns is everybody's: systemd calls it unsafe
        raise ServiceError(f"the service must not run as {user}", "leave --user out, or name another user")
