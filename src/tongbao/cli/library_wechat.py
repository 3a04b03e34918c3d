"""The same for libraries of WeChat Pay: settings of a running sandbox in their own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

Said = Mapping[str, str]


def _wechatpayv3(said: Said) -> str:
    """PyPI wechatpayv3; its gateway has no public setting, and without a public key its constructor asks production."""
    return (
        "from wechatpayv3 import WeChatPay, WeChatPayType\n\n"
        "sdk = WeChatPay(\n"
        "    wechatpay_type=WeChatPayType.NATIVE,\n"
        f"    mchid={said['mchid']!r},\n"
        f"    appid={said['appid']!r},\n"
        f"    apiv3_key={said['apiv3_key']!r},\n"
        f"    cert_serial_no={said['serial_no']!r},\n"
        f'    private_key="""{said["private_key"]}""",\n'
        f"    public_key_id={said['wechatpay_public_key_id']!r},\n"
        f'    public_key="""{said["wechatpay_public_key"]}""",\n'
        ")\n"
        f"sdk._core._gate_way = {said['base_url']!r}\n\n"
        "# trust by certificate: leave out public_key and public_key_id, give cert_dir, and lay this down in it\n"
        f"# before, as {said['platform_serial_no']}.pem\n"
        f'certificate = """{said["platform_certificate"]}"""'
    )


def _axios(said: Said) -> str:
    """npm wechatpay-axios-plugin."""
    return (
        "import wechatpay from 'wechatpay-axios-plugin';\n\n"
        "const { Wechatpay, Rsa } = wechatpay;\n"
        f"const publicKey = Rsa.from(`{said['wechatpay_public_key']}`, Rsa.KEY_TYPE_PUBLIC);\n"
        "const sdk = new Wechatpay({\n"
        f"  mchid: '{said['mchid']}',\n"
        f"  serial: '{said['serial_no']}',\n"
        f"  privateKey: Rsa.from(`{said['private_key']}`, Rsa.KEY_TYPE_PRIVATE),\n"
        "  certs: {\n"
        f"    '{said['platform_serial_no']}': publicKey,\n"
        f"    '{said['wechatpay_public_key_id']}': publicKey,\n"
        "  },\n"
        f"  baseURL: '{said['base_url']}/',\n"
        "});\n"
        f"// to open notifications: the APIv3 key is '{said['apiv3_key']}', the appid '{said['appid']}'"
    )


def _node(said: Said) -> str:
    """npm wechatpay-node-v3; its addresses are fixed, and the HTTP service that it lets one set carries them."""
    return (
        "import http from 'node:http';\n"
        "import module from 'wechatpay-node-v3';\n\n"
        "const sdk = new (module.default ?? module)({\n"
        f"  appid: '{said['appid']}',\n"
        f"  mchid: '{said['mchid']}',\n"
        f"  key: '{said['apiv3_key']}',\n"
        f"  publicKey: Buffer.from(`{said['certificate']}`),\n"
        f"  privateKey: Buffer.from(`{said['private_key']}`),\n"
        "});\n"
        "const send = (method, url, headers, body) => new Promise((resolve) => {\n"
        "  const { pathname, search, host } = new URL(url);\n"
        f"  const target = new URL(pathname + search, '{said['base_url']}');\n"
        "  http.request(target, { method, headers: { ...headers, Host: host } }, async (response) => {\n"
        "    const raw = Buffer.concat(await response.toArray());\n"
        "    const json = (response.headers['content-type'] ?? '').startsWith('application/json');\n"
        "    resolve({ status: response.statusCode, data: json ? JSON.parse(raw) : raw });\n"
        "  }).end(body);\n"
        "});\n"
        "sdk.createHttp({\n"
        "  get: (url, headers) => send('GET', url, headers),\n"
        "  post: (url, params, headers) => send('POST', url, headers, JSON.stringify(params)),\n"
        "});"
    )


def _wechatpy(said: Said) -> str:
    """PyPI wechatpy, API v2."""
    return (
        "from wechatpy.pay import WeChatPay\n\n"
        f"WeChatPay.API_BASE_URL = {said['base_url'] + '/'!r}\n"
        "sdk = WeChatPay(\n"
        f"    appid={said['appid']!r},\n"
        f"    api_key={said['key']!r},\n"
        f"    mch_id={said['mch_id']!r},\n"
        ")"
    )


LIBRARIES: Final[dict[str, tuple[str, Callable[[Said], str]]]] = {
    "wechatpayv3": ("wechatpay_v3", _wechatpayv3),
    "wechatpay-axios-plugin": ("wechatpay_v3", _axios),
    "wechatpay-node-v3": ("wechatpay_v3", _node),
    "wechatpy": ("wechatpay_v2", _wechatpy),
}
"""Name of a library's package -> the protocol it speaks, and its settings as source text."""
