import http.client
import json
import re

import pytest

from edge_runtime.web.settings import TOKEN_VARIABLE

TOKEN = "a-token-of-the-tests"
PATHS = [
    "/", "/live.js", "/video.mjpg", "/metrics", "/api/live", "/api/status", "/api/events",
    "/api/events/x.jpg", "/api/frame.jpg", "/api/save", "/nothing",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_token_from_outside(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


# One server for all rows of the tables: none of them changes it.
@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def client(steady_loop, serving, client_of, saved):
    """A client of a server that demands no token."""
    with serving(steady_loop, pictures=saved) as server:
        yield client_of(server)


@pytest.fixture(scope="module")
def locked(steady_loop, serving, client_of, tmp_path_factory):
    """A client of a server that demands TOKEN."""
    with serving(steady_loop, token=TOKEN, pictures=tmp_path_factory.mktemp("locked")) as server:
        yield client_of(server)


def origin(client) -> str:
    return "http://{}:{}".format(*client.address)


@pytest.mark.parametrize(
    "host, allowed",
    [
        ("127.0.0.1:{port}", True),
        ("localhost:{port}", True),
        ("LOCALHOST", True),
        ("localhost:9000", True),  # ssh -L 9000:localhost:8080
        ("[::1]:{port}", True),
        ("evil.example:{port}", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("192.168.1.5:{port}", False),
        ("", False),
        ("[", False),
        ("a b", False),
    ],
)
def test_without_a_token_only_names_of_this_machine_are_served(client, host, allowed):
    """DNS rebinding: the foreign page's own name, which has become 127.0.0.1, is in the Host header."""
    answer = client("/api/status", Host=host.format(port=client.address[1]))
    assert answer.status == (200 if allowed else 403)
    assert allowed or "is no name of this machine" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    "headers, allowed",
    [
        ({"Origin": "http://127.0.0.1:{port}"}, True),
        ({"Origin": "https://127.0.0.1:{port}"}, True),  # behind a proxy
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "http://localhost:{port}"}, False),
        ({"Origin": "http://127.0.0.1:{port}.evil.example"}, False),
        ({"Origin": "127.0.0.1:{port}"}, False),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Authorization": f"Bearer {TOKEN}"}, False),  # none is demanded, so none proves anything
        ({"Authorization": "Bearer "}, False),
    ],
)
def test_saving_needs_this_pages_origin(client, saved, headers, allowed):
    before = len(list(saved.rglob("*.jpg")))
    filled = {name: value.format(port=client.address[1]) for name, value in headers.items()}
    answer = client("/api/save", "POST", '{"class": "red"}', **filled)
    assert answer.status == (201 if allowed else 403)
    assert len(list(saved.rglob("*.jpg"))) == before + allowed


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", PATHS)
def test_another_sites_page_gets_nothing(client, site, path):
    """It could not read an answer, but show the video and take the places of those who may look."""
    assert client(path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403


def test_a_link_on_another_sites_page_leads_here(client):
    assert client("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_every_route_demands_the_token(locked, path, method):
    answer = locked(path, method, Origin=origin(locked))
    assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    if method != "HEAD":
        assert set(json.loads(answer.body)) == {"version", "error", "hint"}


@pytest.mark.parametrize(
    "path",
    [
        "/healthz/",
        "//healthz",
        "/healthz/../api/status",
        "/healthz;x",
        "/HEALTHZ",
        "/healthz%00",
        "/%2e/healthz",
    ],
)
def test_only_healthz_itself_is_open(locked, path):
    """And what the page looks like that asks for the token."""
    for open_path in ("/healthz", "/healthz?x=1", "/live.css", "/icon.svg"):
        assert locked(open_path).status == 200
        assert locked(open_path, "POST").status == 401
    assert locked(path).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \xff\xfe"},
        {"Cookie": f"litelens={TOKEN}"},
        {"Cookie": "litelens_{port}=wrong"},
        {"Cookie": "litelens_{port}="},
        {"Cookie": ";;=;litelens_{port};"},
        {"Cookie": f"litelens_1={TOKEN}"},
    ],
)
def test_what_is_not_the_token_is_refused(locked, headers):
    filled = {name: value.format(port=locked.address[1]) for name, value in headers.items()}
    assert locked("/api/status", **filled).status == 401


def test_the_token_as_bearer_opens_everything(locked):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert locked("/api/status", **bearer).status == 200
    assert locked("/metrics", Authorization=f"bearer  {TOKEN}").status == 200
    assert locked("/api/save", "POST", '{"class": "red"}', **bearer).status == 201
    # Who shows a token may use any name for this machine.
    assert locked("/api/status", Host="raspberrypi.local", **bearer).status == 200


def test_a_link_with_the_token_becomes_a_cookie_and_a_clean_address(locked):
    answer = locked(f"/?token={TOKEN}&x=1", Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    pair = cookie.partition(";")[0]
    assert pair == f"litelens_{locked.address[1]}={TOKEN}"
    assert locked("/", Cookie=f"other=1; {pair}").status == 200
    assert (
        locked("/api/save", "POST", '{"class": "red"}', Cookie=pair).status == 403
    )  # not without its origin
    done = locked("/api/save", "POST", '{"class": "red"}', Cookie=pair, Origin=origin(locked))
    assert done.status == 201


@pytest.mark.parametrize(
    "query", ["token=wrong", "token=", "token", "token=%00", "token=%ff", "&".join(["a=1"] * 50)]
)
def test_a_link_with_another_token_opens_nothing(locked, query):
    answer = locked(f"/?{query}")
    assert answer.status == 401 and "set-cookie" not in answer.headers


def test_the_token_in_the_address_counts_for_the_page_alone(locked):
    """Addresses end in logs and histories; the page's is replaced at once."""
    assert locked(f"/api/status?token={TOKEN}").status == 401
    assert locked(f"//evil.example/?token={TOKEN}").status == 401


def test_a_browser_without_the_token_is_asked_for_it(locked):
    answer = locked("/", Accept="text/html,*/*")
    assert answer.status == 401 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b'name="token"' in answer.body


@pytest.mark.parametrize("path", [*PATHS, "/healthz"])
def test_every_answer_has_the_security_headers(client, locked, path):
    for answer in (
        client(path, "HEAD"),
        locked(path, "HEAD"),
        client(path, "PUT"),
        client(path, "HEAD", Host="evil"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers


def test_an_address_of_the_network_gets_a_token_that_is_said_once(serve, client_of, capsys):
    server = serve(address="0.0.0.0:0")
    said = capsys.readouterr().err
    assert len(server.token) >= 40 and said.count(server.token) == 1
    link = re.search(r"live page: (http://\S+)", said)[1]
    assert link == f"{server.url}?token={server.token}" and "//0.0.0.0" not in link
    client = client_of(server)
    assert client("/api/status").status == 401
    assert client(link.partition("/?")[2].join(["/?", ""])).status == 303


def test_a_token_that_was_chosen_is_not_said(serve, client_of, capsys, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    server = serve(address="0.0.0.0:0")
    said = capsys.readouterr().err
    assert server.url in said and TOKEN not in said
    assert client_of(server)("/api/status", Authorization=f"Bearer {TOKEN}").status == 200


def test_loopback_without_a_token_says_the_address_alone(serve, capsys):
    server = serve()
    assert capsys.readouterr().err == f"live page: {server.url}\n"
    assert server.token == "" and server.url.startswith("http://127.0.0.1:")


def test_every_start_makes_another_token(serve):
    assert serve(address="0.0.0.0:0").token != serve(address="0.0.0.0:0").token


def test_an_old_clients_request_without_host_is_refused(client):
    connection = http.client.HTTPConnection(*client.address, timeout=5)
    connection.putrequest("GET", "/api/status", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
