"""web_fetch and web_search against a served world, and the extraction of readable text by itself."""

import pytest

from ise_gym.services import make_spec, services_of, start_services
from ise_gym.services.host import ServiceHost, resume_services
from ise_gym.tools.dispatch import Toolbox
from ise_gym.tools.web import tools as web_tool
from ise_gym.tools.web.readable import readable
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller

SITE = {
    "host": "shop.a.example",
    "title": "Kettle & Co",
    "layout": "shop",
    "pages": [
        {
            "path": "/",
            "title": "Home",
            "body": "<h1>Kettles</h1><p>We sell <a href='/blue'>blue kettles</a>.</p>",
        },
        {
            "path": "/blue",
            "title": "Blue kettle",
            "body": "<table><tr><th>Size</th></tr><tr><td>2 l</td></tr></table>",
        },
        {"path": "/moved", "location": "/blue"},
        {"path": "/loop", "location": "/loop"},
        {"path": "/inside", "location": "http://127.0.0.1:8000/"},
        {"path": "/data.json", "title": "Data", "json": {"kettle": 1}, "listed": False},
        {"path": "/long", "title": "Long", "text": "word " * 9000},
        {"path": "/busy", "text": "fine"},
        {"path": "/half", "text": "x" * 100},
    ],
    "faults": [
        {"path": "/busy", "status": 429, "headers": {"Retry-After": "7"}},
        {"path": "/half", "cut": True},
    ],
}


@pytest.fixture
def web(workspace: Workspace) -> Caller:
    start_services(workspace, [make_spec("web", SITE)])
    return Caller(Toolbox(["web_fetch", "web_search", "exec"], workspace))


def test_a_page_is_read_without_its_furniture(web: Caller) -> None:
    content = web("web_fetch", url="http://shop.a.example/")["content"]
    assert content.startswith("URL: http://shop.a.example/\nStatus: 200\nTitle: Home | Kettle & Co\n")
    assert "# Kettles" in content and "[blue kettles](http://shop.a.example/blue)" in content
    assert not any(word in content for word in ("cookies", "Basket", "Newsletter", "Imprint", "shop.last"))


def test_tables_stay_tables_and_redirects_are_followed(web: Caller) -> None:
    content = web("web_fetch", url="http://shop.a.example/moved", extractMode="text")["content"]
    assert "URL: http://shop.a.example/blue" in content and "| 2 l |" in content


def test_text_json_and_long_pages(web: Caller) -> None:
    assert '"kettle": 1' in web("web_fetch", url="http://shop.a.example/data.json")["content"]
    content = web("web_fetch", url="http://shop.a.example/long", maxChars=100)["content"]
    assert "[44899 of 44999 characters cut" not in content
    assert "of 45000 characters cut" in content and len(content) < 300


@pytest.mark.parametrize(
    "path, kind, words",
    [
        ("/nothing", "http_404", "HTTP 404"),
        ("/busy", "http_429", "Retry-After: 7"),
        ("/loop", "fetch", "redirected too often"),
        ("/half", "fetch", "broke after 50 bytes"),
    ],
)
def test_failures_are_failures(web: Caller, path: str, kind: str, words: str) -> None:
    outcome = web.toolbox.outcome("web_fetch", f'{{"url": "http://shop.a.example{path}"}}')
    assert (outcome.success, outcome.error) == (False, kind) and words in outcome.content


@pytest.mark.parametrize("url", ["https://shop.a.example/", "ftp://x/", "shop.a.example", "http://a\u0000b/"])
def test_addresses_that_cant_be(web: Caller, url: str) -> None:
    assert web.error("web_fetch", url=url) == "bad_arguments"


def test_the_second_try_goes_through(web: Caller) -> None:
    tries = [web("web_fetch", url="http://shop.a.example/busy")["success"] for _ in range(2)]
    assert tries == [False, True]


def test_without_services_nothing_is_reached(idle_call: Caller, workspace: Workspace) -> None:
    alone = Caller(Toolbox(["web_fetch", "web_search"], workspace))
    assert alone.error("web_fetch", url="http://shop.a.example/") == "fetch"
    assert alone.error("web_search", query="kettle") == "no_pages"


def test_a_server_of_the_agents_own_can_be_fetched(web: Caller) -> None:
    web(
        "exec",
        command="echo '<p>mine</p>' > index.html; python3 -m http.server 8000 --bind 127.0.0.1",
        background=True,
    )
    for _ in range(50):
        found = web("web_fetch", url="http://127.0.0.1:8000/")
        if found["success"]:
            break
    assert found["content"].endswith("mine")
    moved = web("web_fetch", url="http://shop.a.example/inside")["content"]
    assert moved.startswith("URL: http://127.0.0.1:8000/\n") and moved.endswith("mine")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/moved",
        "/loop",
        "/data.json",
        "/long",
        "/half",
        "/nothing?a=1&b",
        "/busy",
        "//x",
        "/%C3%A4#part",
        ":99999/",
    ],
)
def test_a_fetch_from_this_process_gets_what_one_from_the_box_gets(
    web: Caller, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def get(in_box: bool) -> tuple[object, str]:
        host = services_of(workspace)
        assert isinstance(host, ServiceHost)
        host.close()
        resume_services(workspace, fresh)
        with monkeypatch.context() as patch:
            if in_box:
                patch.setattr(web_tool, "services_of", lambda box: None)
            got = web_tool._got(workspace, f"http://shop.a.example{path}")
        host = services_of(workspace)
        assert host is not None
        return got, host.save()

    host = services_of(workspace)
    assert host is not None
    fresh = host.save()
    assert get(in_box=False) == get(in_box=True)


def test_bytes_that_are_no_text_are_named(web: Caller, workspace: Workspace) -> None:
    workspace.write("a.png", b"\x89PNG\r\n")
    web("exec", command="python3 -m http.server 8001 --bind 127.0.0.1", background=True)
    kinds = [web.error("web_fetch", url="http://127.0.0.1:8001/a.png") for _ in range(30)]
    assert kinds[-1] == "not_text"


def test_search_ranks_by_words(web: Caller) -> None:
    lines = web("web_search", query="blue kettle size")["content"].splitlines()
    assert lines[:2] == ["1. Blue kettle", "   http://shop.a.example/blue"]
    assert "data.json" not in web("web_search", query="kettle data")["content"]
    assert web("web_search", query="zebra")["content"] == "No page matches: zebra"
    assert len(web("web_search", query="kettles blue word", count=1)["content"].splitlines()) == 3
    assert web.error("web_search", query="kettle", domain_filter=["other.example"]) == "no_pages"
    assert web("web_search", query="kettles", domain_filter=["a.example"])["success"]
    assert web.error("web_search", query="?!") == "bad_arguments"


def test_reading_survives_what_pages_can_hold() -> None:
    assert readable("").text == ""
    assert readable("<p>a<b>b</p></b><div><main><h2>T</h2>x &lt;y&gt;").text == "## T\n\nx <y>"
    assert readable("<title> a\n b </title><body><p>x").title == "a b"
    assert readable("<nav>n</nav><ul><li>one<li>two</ul>").text.replace("\n", "") == "- one- two"
