"""WSGI: what a server gives is read byte for byte, and the answer leaves as it is."""

from __future__ import annotations

import http.client
from io import BytesIO
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.merchant.conftest import make_shop
from tests.support.clock import NOW
from tongbao.contrib.wsgi import notify_application, read_request, start_answer
from tongbao.merchant.database import Database
from tongbao.merchant.endpoint import MESSAGE_BYTES_MAX
from tongbao.merchant.order import OrderState
from tongbao.wire.http import Request, Response

BODIES = [b"subject=%B2%E2\xb2\xe2&a=1&a=2&=&&", b"\xef\xbb\xbfa=1", b"x=%252F%00", b"\x00\r\n\r\n", b""]


def environment(body: bytes = b"", **more: Any) -> dict[str, Any]:
    """What a server hands over."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b/notify",
        "QUERY_STRING": "x=%C4%E3&x=2",
        "CONTENT_TYPE": "text/html",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "shop.example:81",
        "HTTP_X_TWICE": "one,t\xe9wo",
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(body + b"the next request"),
        **more,
    }


@pytest.mark.parametrize("body", BODIES)
def test_the_law_of_adapters_every_byte_arrives(body: bytes) -> None:
    """GBK, duplicate keys, a BOM and NUL in the body; %2F in the path where the server gives the raw target."""
    read = read_request(environment(body, RAW_URI="/a%2Fb/notify?x=%C4%E3&x=2"))
    headers = (
        (b"CONTENT-TYPE", b"text/html"),
        (b"CONTENT-LENGTH", str(len(body)).encode()),
        (b"HOST", b"shop.example:81"),
        (b"X-TWICE", b"one,t\xe9wo"),
    )
    assert read == Request("POST", "https", "shop.example:81", b"/a%2Fb/notify", b"x=%C4%E3&x=2", headers, body)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({}, b"/a/b/notify"),
        ({"REQUEST_URI": "/a%2fb?x"}, b"/a%2fb"),
        ({"REQUEST_URI": "http://shop.example/a%2fb?x"}, b"/a%2fb"),
        ({"REQUEST_URI": "http://shop.example"}, b"/"),
        ({"SCRIPT_NAME": "/shop", "PATH_INFO": "/\xe6\xb5\x8b b"}, b"/shop/%E6%B5%8B%20b"),
        ({"PATH_INFO": ""}, b"/"),
    ],
)
def test_the_path_is_the_raw_one_where_the_server_gives_it(more: dict[str, Any], path: bytes) -> None:
    """Otherwise it is encoded again."""
    assert read_request(environment(**more)).raw_path == path


@pytest.mark.parametrize("length", ["", "x", "-1", "²"])
def test_a_length_that_is_none_reads_nothing(length: str) -> None:
    """F36: nothing is read beyond what the server announced."""
    assert read_request(environment(b"abc", CONTENT_LENGTH=length)).body == b""


def test_a_long_body_is_cut() -> None:
    """One byte past the cap, so that step 1 refuses it."""
    assert len(read_request(environment(b"a" * (MESSAGE_BYTES_MAX + 9))).body) == MESSAGE_BYTES_MAX + 1


def test_an_answer_keeps_its_headers() -> None:
    """Only a missing length is added."""
    said: list[Any] = []
    body = start_answer(Response(418, ((b"X-One", b"1"),), b"body"), lambda *words: said.extend(words))
    assert (said, body) == (["418 Answer", [("X-One", "1"), ("Content-Length", "4")]], [b"body"])


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *args: Any) -> None:
        return


def test_a_notification_through_wsgi(sqlite_database: Database) -> None:
    """Over a real server: the order is paid, the answer is the protocol's word."""
    shop = make_shop(sqlite_database)
    shop.order()
    shop.platform.trade("A1")
    watched: list[Any] = []
    with make_server("127.0.0.1", 0, notify_application(shop.receiver, watched.append), handler_class=Quiet) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.request("POST", "/notify", shop.platform.notify("A1", at=NOW).body)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        thread.join()
    assert (answer.status, body, len(watched)) == (200, b"yes", 1)
    assert shop.stored().state is OrderState.PAID
