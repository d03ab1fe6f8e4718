"""Who gets into an app, and what it tells of the machine; seen from outside, by plain clients."""

import json
import os
import queue
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

import small_run
from commands import command, error_of
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.pages import browser, serving
from hessian_dendrogram.pages.guard import without_folders
from places import ROOT
from served import PATIENCE, served, wait_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving") / "other people's"
    small_run.write(folder / "whole")
    shutil.copytree(folder / "whole", folder / "damaged")
    file = folder / f"damaged/analyses/{small_run.ANALYSIS}/00000005/eigenvalues.npy"
    file.write_bytes(file.read_bytes()[:70])
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where programs keep what they remember and log."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def app(folder, home):
    variables = {name: str(home / name) for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}
    with served("spectrum", folder / "whole", env=os.environ | variables | {"HOME": str(home)}) as started:
        yield started


# ── who gets in ──────────────────────────────────────────────────────────────────────────────────────────────────────


def refused(app, path, headers):
    """Nothing but a sentence, for a page, a change of it and a websocket."""
    for status, body in (
        app.ask(path, headers)[::2],
        app.ask(f"{path}api/kernel/set_ui_element_value", headers, "POST", b"{}")[::2],
        app.ask(f"{path}api/export/html", headers, "POST", b"{}")[::2],
        app.handshake(f"{path}ws", headers),
    ):
        assert status == (403 if "Host" in headers else 400)
        assert len(body) < 60
        assert app.token not in body
    return True


@pytest.mark.parametrize("change", ["{}", "{}x", "x{}", "{}%00", "é{}"])
def test_without_the_token_there_is_nothing(app, change):
    wrong = change.format(app.token[:-1])
    assert refused(app, f"/{quote(wrong, safe='%')}/", app.own())


def test_the_token_counts_only_where_it_stands(app):
    assert refused(app, "/", app.own())
    for path in (f"/?access_token={app.token}", f"/x/{app.token}/", f"//{app.token}/"):
        assert app.ask(path, app.own())[0] == 403
    assert app.ask("/", app.own() | {"Cookie": f"token={app.token}", "Authorization": f"Bearer {app.token}"})[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{}", "127.0.0.1.evil.example:{}", "0.0.0.0:{}", "", None]
)
def test_another_host_gets_nothing(app, host):
    named = {} if host is None else {"Host": host.format(app.port)}
    assert refused(app, f"/{app.token}/", named)
    if host:
        assert refused(app, f"/{app.token}/", named | {"Origin": f"http://{named['Host']}"})


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:1",
        "http://127.0.0.1",
        "http://localhost:{}",
        "https://127.0.0.1:{}",
        "null",
    ],
)
def test_another_origin_gets_nothing(app, origin):
    assert refused(app, f"/{app.token}/", app.own() | {"Origin": origin.format(app.port)})


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "localhost:1"])  # the last as through a tunnel
def test_the_holder_of_the_address_gets_in(app, host):
    host = host.format(app.port)
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        status, _, page = app.ask(f"/{app.token}/", headers)
        assert status == 200
        assert "<title>Hessian dendrograms</title>" in page
    messages = app.messages(f"s_{host.replace(':', '')}", host)
    assert "kernel-ready" in messages[0]
    assert "Hessian eigenvalues of <code>small</code>" in "".join(messages)


def test_an_address_without_its_last_stroke_leads_to_the_page(app):
    status, headers, _ = app.ask(f"/{app.token}", app.own())
    assert status == 307
    assert dict(headers)["location"] == f"/{app.token}/"


def test_the_token_is_told_to_nobody_else(app, home):
    app.messages("s_told")
    if sys.platform == "linux":
        assert app.token not in Path(f"/proc/{app.process.pid}/cmdline").read_text()
        assert app.token not in Path(f"/proc/{app.process.pid}/environ").read_text()
    logs = [file for file in home.rglob("*") if file.is_file()]
    assert logs  # marimo's own
    assert all(app.token not in file.read_text() for file in logs)


# ── what it tells of the machine ─────────────────────────────────────────────────────────────────────────────────────


def no_folder(text, folder):
    """None of the folders that a path of this machine begins with, however it is written."""
    for known in {folder.parent, ROOT, Path(serving.__file__).parents[2], Path(sys.prefix), Path.home()} - {Path("/")}:
        for spelled in (str(known), quote(str(known)), quote(str(known), safe=""), json.dumps(str(known))[1:-1]):
            assert spelled not in text
    return True


def test_a_page_and_what_follows_it_name_no_folder(app, folder):
    status, _, page = app.ask(f"/{app.token}/?file=/etc/passwd", app.own())
    assert status == 200
    assert '"notebook.py"' in page
    assert no_folder(page, folder)
    messages = app.messages("s_page")
    assert len(messages) > 50
    assert no_folder("".join(messages), folder)
    assert "widgets.opened" not in page + "".join(messages), "the notebook's source is sent"
    headers = app.own() | {"Marimo-Session-Id": "s_page", "Content-Type": "application/json"}
    request = json.dumps({"download": True, "files": [], "includeCode": True}).encode()
    status, _, page = app.ask(f"/{app.token}/api/export/html", headers, "POST", request)
    assert status == 200
    assert "Hessian eigenvalues of" in page
    assert no_folder(page, folder)
    assert "widgets.opened" not in page


CLOSED = """api/status api/sessions api/version api/environment api/usage api/status/connections
api/documentation/snippets api/kernel/status api/kernel/read_code api/kernel/run api/kernel/instantiate
api/home/workspace_files api/home/running_notebooks api/files/list_files api/files/roots
api/export/availability api/export/script auth/login auth/token healthz openapi.json sse og/thumbnail public-files-sw.js
public/x custom.css mcp/server unknown assets/unknown @file/unknown unknown.png"""


@pytest.mark.parametrize("endpoint", CLOSED.split())
def test_no_other_endpoint_tells_anything(app, folder, endpoint):
    for method, body in (("GET", None), ("POST", b"{}"), ("POST", b"/"), ("PUT", b"{}"), ("OPTIONS", None)):
        status, _, answer = app.ask(f"/{app.token}/{endpoint}", app.own(), method, body)
        assert 400 <= status < 500
        assert len(answer) < 60
        assert no_folder(answer, folder)


@pytest.mark.parametrize("endpoint", ["ws_sync", "terminal/ws", "lsp/pylsp"])
def test_no_other_websocket_opens(app, endpoint):
    assert app.handshake(f"/{app.token}/{endpoint}", app.own())[0] == 404


def test_an_error_is_told_in_no_words_of_the_server(app):
    status, _, answer = app.ask(f"/{app.token}/api/kernel/function_call", app.own(), "POST", b"[")
    assert status >= 400
    assert answer == "This cannot be answered.\n"


def test_damage_names_the_file_from_the_runs_name_on(folder):
    with served("spectrum", folder / "damaged") as app:
        told = "".join(app.messages("s_damaged"))
    assert f"damaged/analyses/{small_run.ANALYSIS}/00000005/eigenvalues.npy is damaged" in told
    assert no_folder(told, folder)


@pytest.mark.parametrize(
    ("page", "left"),
    [
        ('{"filename": "/a b/é\\"/c.py"}', '{"filename": "c.py"}'),
        ('{"cwd": "C:\\\\Users\\\\me"}', '{"cwd": ""}'),
        ('{"a": ["file:///a/b.py", "file:///C:/x"]}', '{"a": ["b.py", ""]}'),
        ('const notebookId = "%2Fa%2Fb.py"', 'const notebookId = "b.py"'),
        ("const notebookId = '%2Fa%2Fb.py'; x('y')", "const notebookId = 'b.py'; x('y')"),
        ('const notebookId = "C%3A%5Ca%5Cb.py"', 'const notebookId = "b.py"'),
        ("<marimo-filename hidden>/a/b.py</marimo-filename>", "<marimo-filename hidden></marimo-filename>"),
        ('<x data-config="{&quot;/a/b&quot;}"/>', '<x data-config="{}"/>'),
        ('<link href="./a/b"/><p class=""/><a href="http://a/b">a/b</a>', None),
    ],
)
def test_of_a_path_only_the_notebooks_name_is_left(page, left):
    assert without_folders(page) == (page if left is None else left)


# ── ports ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_at_once_get_two_ports(folder):
    with served("spectrum", folder / "whole") as one, served("parameter-dendrogram", folder / "whole") as two:
        assert one.port != two.port
        for app, title in ((one, "Hessian eigenvalues of"), (two, "Which parameters act together in")):
            assert f"{title} <code>small</code>" in "".join(app.messages("s_title"))


def test_a_port_is_taken_before_its_address_is_known():
    addresses = [serving.prepare("spectrum", None, None) for _ in range(2)]
    try:
        ports = [address.listener.getsockname()[1] for address in addresses]
        assert ports[0] != ports[1]
        assert min(ports) >= 2718
        assert all(f":{port}/{address.token}/" in address.url for port, address in zip(ports, addresses, strict=True))
        assert all(address.token not in repr(address) for address in addresses)
        assert addresses[0].token != addresses[1].token
        with pytest.raises(UserError, match=f"port {ports[0]} is taken; name another with --port"):
            serving.prepare("spectrum", None, ports[0])
    finally:
        for address in addresses:
            address.listener.close()


@pytest.mark.parametrize("is_named", [False, True])
def test_answers_are_sent_at_once(is_named):
    """A page has hundreds of files; each would wait 40 ms for the browser to acknowledge the part before."""
    with socket.create_server((serving.HOST, 0)) as probe:
        port = probe.getsockname()[1] if is_named else None
    listener = serving.prepare("spectrum", None, port).listener
    with listener, socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


REHEARSED = """
import sys
from hessian_dendrogram.pages import cuts, widgets
from hessian_dendrogram.pages.rehearsal import rehearse
from hessian_dendrogram.store import Run
from hessian_dendrogram.store.analysed import Cut, read
{first}
before = set(sys.modules)
analysed = read(Run(sys.argv[1]), sys.argv[2])
widgets.source(analysed)
cut = Cut(analysed, 0, "all", analysed.moving("all").epsilon)
cuts.charts(cut, widgets.show_as("svg"), print)
widgets.with_sentences(cuts.pictures_of(cut).items(), widgets.show_as("svg"))
libraries = ("markdown", "marimo", "pygments", "pymdownx", "plotly")
print(*sorted(name for name in set(sys.modules) - before if name.split(".")[0] in libraries))
"""


def test_the_first_page_waits_for_no_import(folder):
    def imported(first):
        line = [sys.executable, "-c", REHEARSED.format(first=first), folder / "whole", small_run.ANALYSIS]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()

    assert len(imported("")) > 20
    assert imported("rehearse()") == []


def test_a_taken_port_is_one_line(folder):
    with socket.create_server((serving.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        line = error_of(command("app", "spectrum", "--run", folder / "whole", "--port", port), 2)
    assert line == f"error: port {port} is taken; name another with --port"


# ── how it is opened ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_browser_is_started_without_the_address(monkeypatch):
    opened, timers = queue.Queue(), []

    class Timer(browser.Timer):
        def start(self):
            timers.append(self)

    monkeypatch.setattr(browser, "Timer", Timer)
    monkeypatch.setattr(browser.webbrowser, "open", opened.put)
    browser.open_privately("http://127.0.0.1:2718/SECRET/")
    address = opened.get(timeout=PATIENCE)
    assert "SECRET" not in address
    file = Path(address.removeprefix("file://"))
    assert 'content="0; url=http://127.0.0.1:2718/SECRET/"' in file.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert timers[0].daemon
    timers[0].function()
    assert not file.parent.exists()


def test_a_notebook_runs_without_the_command(folder):
    notebook = Path(serving.__file__).with_name("notebook.py")
    with socket.create_server((serving.HOST, 0)) as probe:
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "marimo", "run", str(notebook), "--headless", "--no-token", "--no-sandbox"]
    line += ["--port", str(port), "--", "--run", str(folder / "whole")]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        found = ""
        with connect(f"ws://127.0.0.1:{port}/ws?session_id=s_marimo", max_size=None) as opened:
            while "completed-run" not in found:
                found += opened.recv(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert "Hessian eigenvalues of <code>small</code>" in found
