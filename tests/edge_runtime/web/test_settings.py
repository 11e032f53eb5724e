import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.web.settings import TOKEN_VARIABLE, WebSettings


@pytest.mark.parametrize(
    "address, parts",
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("[fe80::1%eth0]:8080", None),
        ("raspberrypi.local:8080", ("raspberrypi.local", 8080)),
    ],
)
def test_an_address_has_a_host_and_a_port(address, parts):
    if parts is None:
        with pytest.raises(ConfigError):
            WebSettings(address)
    else:
        assert WebSettings(address).host_and_port() == parts


@pytest.mark.parametrize(
    "address",
    ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8o", "::1:8080",
     "http://127.0.0.1:8080", "127.0.0.1:8080/", "a b:80", "127.0.0.1:٣"],
)  # fmt: skip
def test_other_addresses_are_refused(address):
    with pytest.raises(ConfigError, match="expected HOST:PORT") as caught:
        WebSettings(address)
    assert "--web 127.0.0.1:8080" in caught.value.hint


GOOD = "0123456789abcdef"


@pytest.mark.parametrize("token", ["short", GOOD + " ", GOOD + ";", GOOD + "é", GOOD + "\n", "x" * 257])
@pytest.mark.parametrize("where", ["setting", "environment"])
def test_a_token_that_is_short_or_no_header_is_refused_and_not_shown(token, where, monkeypatch):
    with pytest.raises(ConfigError, match="expected 16 to 256") as caught:
        if where == "setting":
            WebSettings(token=token)
        else:
            monkeypatch.setenv(TOKEN_VARIABLE, token)
            WebSettings().given_token()
    assert token not in str(caught.value) and "secrets.token_urlsafe" in caught.value.hint


def test_the_setting_comes_before_the_environment(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert WebSettings().given_token() == ""
    monkeypatch.setenv(TOKEN_VARIABLE, "of-the-environment")
    assert WebSettings().given_token() == "of-the-environment"
    assert WebSettings(token=GOOD).given_token() == GOOD


def test_room_is_not_negative():
    with pytest.raises(ConfigError, match="keep_free_bytes is -1"):
        WebSettings(keep_free_bytes=-1)
