"""Settings of a running sandbox in the words of real client libraries, for ``tongbao env --for``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tongbao.cli.library_wechat import LIBRARIES as WECHAT_LIBRARIES
from tongbao.wire.sign import load_rsa_private

Said = Mapping[str, str]


def _node_alipay(said: Said) -> str:
    """npm alipay-sdk; the address of REST calls is the gateway's origin."""
    return (
        "import { AlipaySdk } from 'alipay-sdk';\n\n"
        "const sdk = new AlipaySdk({\n"
        f"  appId: '{said['app_id']}',\n"
        "  keyType: 'PKCS8',\n"
        f"  privateKey: `{said['app_private_key']}`,\n"
        f"  alipayPublicKey: `{said['alipay_public_key']}`,\n"
        f"  gateway: '{said['gateway']}',\n"
        f"  endpoint: '{said['base_url']}',\n"
        f"  encryptKey: '{said['encrypt_key']}',\n"
        "});\n\n"
        "// certificate mode: new AlipaySdk({ ...the same without alipayPublicKey, ...certificates })\n"
        "const certificates = {\n"
        f"  appCertContent: `{said['app_cert']}`,\n"
        f"  alipayPublicCertContent: `{said['alipay_cert']}`,\n"
        f"  alipayRootCertContent: `{said['alipay_root_cert']}`,\n"
        "};"
    )


def _python_alipay(said: Said) -> str:
    """PyPI python-alipay-sdk; its gateway has no public setting."""
    return (
        "from alipay import AliPay, DCAliPay\n\n"
        "sdk = AliPay(\n"
        f"    appid={said['app_id']!r},\n"
        "    app_notify_url=None,\n"
        f'    app_private_key_string="""{said["app_private_key"]}""",\n'
        f'    alipay_public_key_string="""{said["alipay_public_key"]}""",\n'
        '    sign_type="RSA2",\n'
        ")\n"
        f"sdk._gateway = {said['gateway']!r}\n\n"
        "# certificate mode\n"
        "certified = DCAliPay(\n"
        f"    appid={said['app_id']!r},\n"
        "    app_notify_url=None,\n"
        f'    app_private_key_string="""{said["app_private_key"]}""",\n'
        f'    app_public_key_cert_string="""{said["app_cert"]}""",\n'
        f'    alipay_public_key_cert_string="""{said["alipay_cert"]}""",\n'
        f'    alipay_root_cert_string="""{said["alipay_root_cert"]}""",\n'
        ")\n"
        f"certified._gateway = {said['gateway']!r}"
    )


def _official_alipay(said: Said) -> str:
    """PyPI alipay-sdk-python; PKCS#1 keys only, and an address without a port."""
    key = load_rsa_private(said["app_private_key"], "app_private_key")
    pkcs1 = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode("ascii")
    return (
        "from alipay.aop.api.AlipayClientConfig import AlipayClientConfig\n"
        "from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient\n\n"
        "config = AlipayClientConfig()\n"
        "# this library refuses an address with a port: forward port 80 of some loopback address to\n"
        f"# {said['base_url']}\n"
        'config.server_url = "http://127.0.0.2/gateway.do"\n'
        f"config.app_id = {said['app_id']!r}\n"
        f'config.app_private_key = """{pkcs1}"""\n'
        f'config.alipay_public_key = """{said["alipay_public_key"]}"""\n'
        "client = DefaultAlipayClient(alipay_client_config=config)"
    )


LIBRARIES: Final[dict[str, tuple[str, Callable[[Said], str]]]] = {
    "alipay-sdk": ("alipay_openapi", _node_alipay),
    "python-alipay-sdk": ("alipay_openapi", _python_alipay),
    "alipay-sdk-python": ("alipay_openapi", _official_alipay),
    **WECHAT_LIBRARIES,
}
"""Name of a library's package -> the protocol it speaks, and its settings as source text."""
