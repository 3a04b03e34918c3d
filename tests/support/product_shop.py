"""A shop whose codes name products: a server on loopback that opens an order whenever the platform asks it for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.protocols.wechatpay_v2.wallet import answer_scan, read_scan, sign_product
from tongbao.wire.vocabulary import CreateTrade, Presentation, Product

Answer = Callable[[str], tuple[int, bytes]]


class ProductShop:
    """``asked`` holds what the platform said; ``twist`` makes another answer of the number of the opened order."""

    def __init__(self, configuration: MerchantConfiguration) -> None:
        shop = self
        self.configuration = configuration
        self.asked: list[dict[str, str]] = []
        self.twist: Answer = lambda prepaid: (200, answer_scan(configuration.keys, prepaid, "N0NCE"))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = dict(read_scan(self.rfile.read(int(self.headers["content-length"])), shop.configuration.keys))
                shop.asked.append(said)
                status, body = shop.twist(shop.open(said))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/scanned"

    def code(self, product_id: str) -> str:
        """What the QR code of a product says; it holds for ever."""
        return sign_product(self.configuration.keys, product_id, "N0NCE", Instant(1_735_689_600_000))

    def open(self, said: dict[str, str]) -> str:
        """An order for what was scanned; the number under which the wallet finds it."""
        order = CreateTrade(
            merchant="",
            out_trade_no=f"{said['product_id']}-{len(self.asked)}",
            product=Product.INSTANT,
            subject=f"Product {said['product_id']}",
            amount=Money(1_234),
            presentation=Presentation.QR,
            notify_url=self.url,
        )
        with Client(self.configuration) as client:
            opened: Any = client.ask(order)
        return str(opened.prepaid)

    def __enter__(self) -> ProductShop:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
