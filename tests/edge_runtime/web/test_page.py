"""The page as a person sees it, in headless Chromium."""

import re
import shutil
from time import monotonic, sleep

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs Chromium: Debian's package chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, serve):
    """Opens an address in a context of its own, which ends before the server; a script's error fails the test."""
    contexts, errors = [], []

    def open_one(url: str, viewport=DESKTOP, **context):
        contexts.append(browser.new_context(viewport=viewport, **context))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # A refused save is logged, too, and is no error of the page.
        page.on(
            "console",
            lambda said: said.type == "error" and "status of 4" not in said.text and errors.append(said.text),
        )
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def server(serve, tmp_path):
    return serve(pictures=tmp_path / "saved")


def wait_for_label(page, label: str) -> None:
    playwright.expect(page.locator("#state")).to_have_text(label, timeout=15_000)


def video_colour(page) -> tuple[int, int, int]:
    """Of the middle of the video, as it is drawn."""
    return tuple(
        page.evaluate(
            """() => {
                const video = document.getElementById("video");
                const canvas = document.createElement("canvas");
                canvas.width = canvas.height = 1;
                canvas.getContext("2d").drawImage(video, 0, 0, 1, 1);
                return [...canvas.getContext("2d").getImageData(0, 0, 1, 1).data.slice(0, 3)];
            }"""
        )
    )


def near(colour, rgb) -> bool:
    return max(abs(a - b) for a, b in zip(colour, rgb, strict=True)) < 30


def test_the_label_changes_when_the_cameras_object_changes(open_page, server, loop, coloured, eventually):
    page = open_page(server.url)
    for label, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255)), ("green", (0, 255, 0))):
        loop.image = coloured(label, (240, 320))
        wait_for_label(page, label)
        meter = page.get_by_role("meter", name=label)
        playwright.expect(meter).to_have_attribute("aria-valuenow", re.compile("9[0-9]|100"))
        eventually(lambda rgb=rgb: near(video_colour(page), rgb))
    events = page.locator("#events li")
    playwright.expect(events).to_have_count(5)
    playwright.expect(events.first).to_contain_text("entered green")
    thumbnails = page.locator("#events img")
    playwright.expect(thumbnails).to_have_count(4)  # the first event came before the page
    assert page.evaluate("[...document.querySelectorAll('#events img')].every((i) => i.naturalWidth > 0)")


@pytest.mark.soak
def test_the_page_tells_the_model_and_how_it_does(open_page, server, loop, eventually):
    page = open_page(server.url)
    expect = playwright.expect
    assert page.title() == "tiny – litelens"
    expect(page.locator("h1")).to_have_text("tiny 1")
    expect(page.locator("#health")).to_have_text("OK")
    expect(page.locator("#board")).to_have_text("52\u00a0°C")
    assert 1 < float(page.locator("#fps").inner_text()) < 40
    assert re.fullmatch(r"\d+\u00a0ms", page.locator("#age").inner_text())
    loop.refused = "a.tflite is no zip"
    expect(page.locator("#health")).to_have_text("Degraded")
    expect(page.locator("#trouble")).to_have_text("a new model file was refused, the one before goes on")
    loop.camera_error = "rtsp://door: no route to host"
    expect(page.locator("#health")).to_have_text("Lost")
    expect(page.locator("#no-video")).to_contain_text("rtsp://door: no route to host", timeout=15_000)
    loop.camera_error = loop.refused = ""
    expect(page.locator("#health")).to_have_text("OK")
    expect(page.locator("#no-video")).to_be_hidden()


def test_a_button_saves_the_frame_in_view(open_page, server, tmp_path):
    page = open_page(server.url)
    page.get_by_role("button", name="green 0").click()
    playwright.expect(page.locator("#saved")).to_have_text("Saved to green, 1 now")
    playwright.expect(page.get_by_role("button", name="green 1")).to_be_visible()
    (saved,) = (tmp_path / "saved").rglob("*.*")
    assert saved.parent == tmp_path / "saved" / "green"
    with Image.open(saved) as picture:
        assert (picture.format, picture.size) == ("JPEG", (320, 240))
        assert np.abs(np.asarray(picture).astype(int) - (255, 0, 0)).max() < 8


def test_a_button_works_by_keyboard(open_page, server, tmp_path):
    page = open_page(server.url)
    page.get_by_role("button", name="blue 0").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#saved")).to_have_text("Saved to blue, 1 now")


@pytest.mark.soak
def test_a_button_that_is_held_saves_more(open_page, server, tmp_path, eventually):
    page = open_page(server.url)
    page.get_by_role("button", name="red 0").hover()
    page.mouse.down()
    eventually(lambda: len(list((tmp_path / "saved").rglob("*.jpg"))) >= 3)
    page.mouse.up()
    sleep(0.5)
    count = len(list((tmp_path / "saved").rglob("*.jpg")))
    sleep(1)
    assert len(list((tmp_path / "saved").rglob("*.jpg"))) == count
    playwright.expect(page.get_by_role("button", name=f"red {count}")).to_be_visible()


def test_a_new_class_gets_a_folder_and_a_button(open_page, server, tmp_path):
    page = open_page(server.url)
    page.get_by_label("Another class").fill("grün <b>")
    page.get_by_role("button", name="Save frame").click()
    playwright.expect(page.get_by_role("button", name="grün <b> 1")).to_be_visible()
    assert len(list((tmp_path / "saved" / "grün <b>").glob("*.jpg"))) == 1
    for name, said in (("../up", "starts with a dot"), ("Red", "save to red")):
        page.get_by_label("Another class").fill(name)
        page.get_by_role("button", name="Save frame").click()
        playwright.expect(page.locator("#saved")).to_contain_text(said)
    assert len(list((tmp_path / "saved").rglob("*.jpg"))) == 1


def test_without_a_folder_the_page_says_how_to_get_one(open_page, serve):
    page = open_page(serve().url)
    playwright.expect(page.locator("#saved")).to_contain_text("--web-pictures FOLDER")
    playwright.expect(page.get_by_role("button")).to_have_count(0)


@pytest.mark.soak
def test_a_hostile_label_is_text(open_page, server, loop):
    label = '<img src=x onerror="document.title=1"></script><script>document.title=2</script>'
    loop.labels = ("constructor", "__proto__", label)
    page = open_page(server.url)
    playwright.expect(page.locator("#scores li .name").nth(2)).to_have_text(label)
    playwright.expect(page.get_by_role("button", name=label)).to_be_visible()
    playwright.expect(page.get_by_role("button", name="constructor 0", exact=True)).to_be_visible()
    assert page.title() == "tiny – litelens"


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(("blue", "green", "red"), id="three", marks=pytest.mark.soak),
        pytest.param(tuple("x" * 60 + str(i) for i in range(120)), id="120 long ones"),
    ],
)
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_scrolls_sideways(open_page, server, loop, coloured, viewport, labels):
    loop.labels = labels
    loop.image = coloured("red", (240, 426))
    page = open_page(server.url, viewport, is_mobile=viewport is PHONE, has_touch=viewport is PHONE)
    page.locator("summary").click()
    page.get_by_label("Another class").fill("x" * 100)
    sleep(0.3)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    buttons = page.get_by_role("button").all()
    assert len(buttons) == len(labels) + 1
    sizes = [button.bounding_box() for button in buttons[:3] + buttons[-1:]]
    assert all(size["height"] >= 48 and size["width"] >= 100 for size in sizes)


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_jumps_while_values_come(open_page, server, loop, coloured, viewport):
    page = open_page(server.url, viewport)
    page.evaluate(
        """() => {
            window.shifted = [];
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) {
                    for (const { node } of entry.sources) shifted.push(node.id || node.className || node.nodeName);
                }
            }).observe({ type: "layout-shift", buffered: true });
        }"""
    )
    for label in ("blue", "green", "red"):
        loop.image = coloured(label, (240, 320))
        wait_for_label(page, label)
    page.get_by_role("button", name="red 0").click()
    playwright.expect(page.get_by_role("button", name="red 1")).to_be_visible()
    # What is below the events may move while their list fills.
    assert set(page.evaluate("shifted")) <= {"card wide", "SUMMARY"}


def test_the_link_with_the_token_opens_the_page_and_leaves_the_address(open_page, serve, tmp_path):
    server = serve(token="a-token-of-the-tests", pictures=tmp_path / "saved")
    page = open_page(f"{server.url}?token={server.token}")
    assert page.url == server.url
    wait_for_label(page, "red")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="red 0").click()
    playwright.expect(page.get_by_role("button", name="red 1")).to_be_visible()


@pytest.mark.soak
def test_a_link_with_the_token_on_another_sites_page_takes_one_step_more(browser, serve):
    """Chromium keeps a SameSite=Strict cookie back on the whole way that began at another site."""
    server, other = serve(token="a-token-of-the-tests"), serve()
    context = browser.new_context()
    page = context.new_page()
    page.goto(other.url.replace("127.0.0.1", "localhost"))
    page.evaluate("(url) => { location.href = url; }", f"{server.url}?token={server.token}")
    page.get_by_role("link", name="Open the live page").click()
    wait_for_label(page, "red")
    context.close()


def test_a_browser_without_the_token_is_asked_for_it(browser, serve):
    server = serve(token="a-token-of-the-tests")
    context = browser.new_context()
    page = context.new_page()
    assert page.goto(server.url).status == 401
    page.get_by_label("Token").fill("a-token-of-the-tests")
    page.get_by_role("button", name="Open").click()
    wait_for_label(page, "red")
    assert page.url == server.url
    context.close()


@pytest.mark.soak
def test_another_sites_page_can_neither_show_nor_save(
    open_page, browser, serve, client, tmp_path, serving, loop
):
    """A page on localhost:OTHER is another origin of the same site; it tries what a page can try."""
    other = serve()
    context = browser.new_context()
    page = context.new_page()
    page.goto(other.url + "live.js")  # a page of another port
    host = "http://{}:{}".format(*client.address)
    tried = page.evaluate(
        """async (host) => {
            const shown = await new Promise((done) => {
                const picture = new Image();
                picture.onload = () => done(true);
                picture.onerror = () => done(false);
                picture.src = host + "/api/frame.jpg";
            });
            const read = await fetch(host + "/api/status").then(() => true, () => false);
            await fetch(host + "/api/save", { method: "POST", mode: "no-cors", body: '{"class": "red"}' }).catch(() => 0);
            return { shown, read };
        }""",
        host,
    )
    context.close()
    assert tried == {"shown": False, "read": False}
    assert not list((tmp_path / "saved").rglob("*.jpg"))


@pytest.mark.soak
def test_a_page_finds_its_server_again(browser, loop, serving):
    context = browser.new_context()
    page = context.new_page()
    with serving(loop) as server:
        page.goto(server.url)
        wait_for_label(page, "red")
        address = server.url.removeprefix("http://").rstrip("/")
    playwright.expect(page.locator("#no-video")).to_have_text("No connection", timeout=15_000)
    with serving(loop, address=address):
        playwright.expect(page.locator("#health")).to_have_text("OK", timeout=20_000)
        playwright.expect(page.locator("#no-video")).to_be_hidden()
    context.close()


@pytest.mark.soak
def test_two_pages_at_once_do_not_slow_the_loop(open_page, server, loop, coloured):
    loop.image = coloured("red", (480, 640))
    loop.hz = 15
    alone = loop.frames_a_second(3)
    for _ in range(2):
        wait_for_label(open_page(server.url), "red")
    watched = loop.frames_a_second(3)
    # Chromium draws on the same two cores here, which no device does.
    assert watched > 0.7 * alone, (watched, alone)


@pytest.mark.soak
def test_a_hidden_page_asks_for_nothing(open_page, server, client_of, eventually):
    client = client_of(server)

    def clients() -> int:
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in client("/metrics").body.decode().splitlines()
            if line.startswith("litelens_web_clients{")
        )

    page = open_page(server.url)
    eventually(lambda: clients() == 2)
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    eventually(lambda: clients() == 0)
    page.evaluate(hide, False)
    eventually(lambda: clients() == 2)
    began = monotonic()
    wait_for_label(page, "red")
    assert monotonic() - began < 10
