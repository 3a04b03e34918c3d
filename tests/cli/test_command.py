"""The commands as a user runs them: own processes, own folders, exit codes that mean something."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tongbao.merchant.configuration import MerchantConfiguration

SECRET = "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"
PASSWORDS = {"TONGBAO_OPERATOR_PASSWORD": "correct-horse-1", "TONGBAO_NEW_PASSWORD": "correct-horse-1"}


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tongbao.cli.main", *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def running(folder: Path, *arguments: str, **environ: str) -> Iterator[str]:
    """A server until the block ends; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tongbao.cli.main", *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        for line in process.stdout:
            if line.startswith("ready "):
                break
        else:
            pytest.fail(process.stderr.read())
        yield line.split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(30)
        finally:
            process.kill()
            process.stdout.close()
            process.stderr.close()
    assert code == 0


@pytest.mark.slow
def test_demo_once_walks_everything(tmp_path: Path) -> None:
    """One JSON object on standard output, every order right, a clean audit, exit 0, and nothing left in the folder."""
    done = run(tmp_path, "demo", "--once", "--json", ALL_PROXY="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")

    said = json.loads(done.stdout)
    assert (done.returncode, said["audit"]) == (0, "clean"), done.stderr
    assert said["orders"] == said["ended_right"] > 10
    assert set(said["methods"]) == {"balance", "debit", "credit", "outlet"}
    assert said["invariants_checked"] > 20
    assert said["bills"] > 0
    assert said["differences_found"] == said["differences_planted"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("charset", ["C", "zh_CN.GBK", "C.UTF-8"])
def test_demo_speaks_to_every_terminal(tmp_path: Path, charset: str) -> None:
    """A terminal that cannot show a letter gets a replacement, not a crash."""
    done = subprocess.run(
        [sys.executable, "-m", "tongbao.cli.main", "demo", "--once", "--protocol", "alipay_mapi"],
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": charset, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_sandbox_state_outlives_restarts(tmp_path: Path) -> None:
    """With --state keys, numbers and books are the same after a restart; the credentials file is private."""
    first = tmp_path / "first.json"
    again = tmp_path / "again.json"
    with running(tmp_path, "sandbox", "--state", "box.json", "--credentials", str(first)) as url:
        assert httpx.post(f"{url}/_sandbox/clock", json={"advance": 3600}, trust_env=False).status_code == 200
    with running(tmp_path, "sandbox", "--state", "box.json", "--credentials", str(again), "--tls-port", "0") as url:
        clock = httpx.get(f"{url}/_sandbox/clock", trust_env=False).json()

    said, second = json.loads(first.read_text()), json.loads(again.read_text())
    assert oct(first.stat().st_mode)[-3:] == "600"
    assert said["merchant"]["ids"] == second["merchant"]["ids"]
    assert said["protocols"]["alipay_mapi"]["key"] == second["protocols"]["alipay_mapi"]["key"]
    assert clock["business"] - clock["wire"] >= 3_599_000
    assert second["ca"].startswith("-----BEGIN CERTIFICATE")


@pytest.mark.slow
def test_second_sandbox_on_one_state_is_refused(tmp_path: Path) -> None:
    """One writing process per book: the second is told who is first, exit 2."""
    with running(tmp_path, "sandbox", "--state", "box.json"):
        done = run(tmp_path, "sandbox", "--state", "box.json")

    assert done.returncode == 2
    assert "process" in done.stderr


@pytest.mark.slow
def test_sandbox_takes_a_shops_own_ids(tmp_path: Path) -> None:
    """--merchant: the shop keeps its number and key, so that only its gateway address changes."""
    own = {"alipay_mapi": {"partner": "2088999999999999", "key": "0123456789abcdefghijklmnopqrstuv"}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    with running(tmp_path, "sandbox", "--merchant", "own.json"):
        said = json.loads((tmp_path / "tongbao-sandbox.json").read_text())["protocols"]["alipay_mapi"]
        shown = run(tmp_path, "env", "--for", "dotenv")

    assert {name: said[name] for name in ("partner", "key")} == own["alipay_mapi"]
    assert f'TONGBAO_GATEWAY="{said["gateway"]}"' in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "named"),
    [({"alipay_mapi": {"partnr": "2088"}}, "partnr"), ({"alipay_mapi": 7}, "merchant"), ([], "merchant")],
)
def test_a_wrong_merchant_file_is_refused_by_name(tmp_path: Path, body: object, named: str) -> None:
    """Exit 2 and the setting's name."""
    (tmp_path / "own.json").write_text(json.dumps(body))

    done = run(tmp_path, "sandbox", "--merchant", "own.json")

    assert done.returncode == 2
    assert named in done.stderr


def settings(folder: Path, **more: str) -> dict[str, str]:
    """Settings of a small platform on SQLite, as environment variables."""
    said = {
        "TONGBAO_DATABASE": str(folder / "books.sqlite"),
        "TONGBAO_BASE_URL": "http://127.0.0.1:8600",
        "TONGBAO_SECRET": SECRET,
        "TONGBAO_ENVIRONMENT": "test",
        "TONGBAO_PORT": "0",
    }
    return {**said, **more}


@pytest.mark.slow
def test_a_platform_of_your_own(tmp_path: Path) -> None:
    """migrate, operators, a merchant entered by one and approved by another, a key, serve, audit."""
    environ = settings(tmp_path, **PASSWORDS)
    assert run(tmp_path, "operator", "list", **environ).returncode == 2
    assert run(tmp_path, "migrate", **environ).returncode == 0
    assert run(tmp_path, "operator", "create", "ann", "--as", "ann", **environ).returncode == 0
    assert run(tmp_path, "operator", "create", "bob", "--as", "ann", **environ).returncode == 0
    third = run(tmp_path, "operator", "create", "cy", "--as", "ann", "--json", **environ)
    assert json.loads(third.stdout)["status"] == "entered"
    confirm = ("operator", "approve", "cy", "--reason", "called back")
    assert "LOGIN_WRONG" in run(tmp_path, *confirm, "--as", "cy", **environ).stderr
    assert "MAKER_IS_CHECKER" in run(tmp_path, *confirm, "--as", "ann", **environ).stderr
    assert run(tmp_path, *confirm, "--as", "bob", **environ).returncode == 0
    shut = ("operator", "close", "cy", "--reason", "left", "--json", "--as", "ann", "--checker")
    environ["TONGBAO_CHECKER_PASSWORD"] = PASSWORDS["TONGBAO_OPERATOR_PASSWORD"]
    assert "MAKER_IS_CHECKER" in run(tmp_path, *shut, "ann", **environ).stderr
    closed = json.loads(run(tmp_path, *shut, "bob", **environ).stdout)
    assert closed == {"operator": "cy", "status": "closed", "cases_without_owner": []}
    assert "LOGIN_WRONG" in run(tmp_path, "operator", "create", "di", "--as", "cy", **environ).stderr
    made = run(
        tmp_path,
        *("merchant", "create", "--as", "ann", "--json", "--name", "Tea", "--login", "tea@shop.example"),
        *("--protocol", "alipay_mapi"),
        **environ,
    )
    number = json.loads(made.stdout)["merchant"]
    approve = ("merchant", "approve", number, "--reason", "papers seen")

    assert run(tmp_path, *approve, "--as", "ann", **environ).returncode == 1
    assert run(tmp_path, *approve, "--as", "bob", **environ).returncode == 0
    key = run(
        tmp_path,
        *("merchant", "key", number, "--as", "ann", "--json", "--protocol", "alipay_mapi", "--algorithm", "MD5"),
        **environ,
    )
    assert len(json.loads(key.stdout)["secret"]) == 32
    wrong = {**environ, "TONGBAO_OPERATOR_PASSWORD": "wrong-horse-22"}
    assert run(tmp_path, "merchant", "freeze", number, "--as", "bob", "--reason", "x", **wrong).returncode == 1
    with running(tmp_path, "serve", **environ) as url:
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        assert httpx.get(f"{url}/_sandbox/trades", trust_env=False).status_code == 404
        beside = run(tmp_path, "audit", "--json", **environ)
        assert (beside.returncode, json.loads(beside.stdout)["audit"]) == (0, "clean")
        assert (tmp_path / "books.sqlite").stat().st_mode & 0o777 == 0o600
        assert run(tmp_path, "story", "nobodys", **environ).returncode == 1
    assert run(tmp_path, "bill", "--merchant", number, "--day", "2999-01-01", **environ).returncode == 1
    audit = run(tmp_path, "audit", "--json", **environ)
    assert (audit.returncode, json.loads(audit.stdout)["audit"]) == (0, "clean")


@pytest.mark.slow
def test_F40_a_server_whose_lane_was_taken_ends(tmp_path: Path, postgresql_dsn: str) -> None:
    """A second server on the same lane fences the first: at its next commit the first ends with exit 2."""
    environ = settings(tmp_path, TONGBAO_DATABASE=postgresql_dsn)
    assert run(tmp_path, "migrate", **environ).returncode == 0
    first = subprocess.Popen(
        [sys.executable, "-m", "tongbao.cli.main", "serve"],
        cwd=tmp_path,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    url = next(line for line in first.stdout if line.startswith("ready ")).split()[1]
    with running(tmp_path, "serve", **environ) as other:
        # a refused request is written down, so it is a commit
        bad = {"service": "create_direct_pay_by_user", "partner": "2088000000000001", "sign": "x", "sign_type": "MD5"}
        for address in (other, url):
            httpx.get(f"{address}/alipay_mapi/gateway.do", params=bad, trust_env=False)
        _, said = first.communicate(timeout=30)

    assert first.returncode == 2
    assert "lane" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TONGBAO_SECRET", ""),
        ("TONGBAO_SECRET", "00" * 32),
        ("TONGBAO_SECRET", "changeme"),
        ("TONGBAO_BASE_URL", "shop.example"),
        ("TONGBAO_DATABASE", ""),
        ("TONGBAO_ENVIRONMENT", "production"),
    ],
)
def test_T01_T71_a_bad_setting_stops_the_start(tmp_path: Path, name: str, value: str) -> None:
    """Empty or placeholder secrets, and plain http in production, end with exit 2 and the setting's name."""
    done = run(tmp_path, "migrate", **settings(tmp_path, **{name: value}))

    assert done.returncode == 2
    named = "base_url" if name == "TONGBAO_ENVIRONMENT" else name.removeprefix("TONGBAO_").lower()
    assert named in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.slow
def test_orders_schema_prints_a_script(tmp_path: Path) -> None:
    """The script for each dialect, on standard output."""
    for dialect in ("sqlite", "postgresql", "mysql"):
        done = run(tmp_path, "orders", "schema", "--dialect", dialect)
        assert done.returncode == 0
        assert "CREATE TABLE" in done.stdout


@pytest.mark.slow
def test_protocol_new_writes_a_folder(tmp_path: Path) -> None:
    """A skeleton appears where asked; a second one of the same name is refused."""
    done = run(tmp_path, "protocol", "new", "fourthpay", "--root", str(tmp_path))
    again = run(tmp_path, "protocol", "new", "fourthpay", "--root", str(tmp_path))

    assert (done.returncode, again.returncode) == (0, 2)
    assert (tmp_path / "fourthpay" / "codec.py").exists()


@pytest.mark.slow
def test_env_is_read_back_and_tells_the_https_address(tmp_path: Path) -> None:
    """Every protocol's dotenv and django text makes a configuration again; HTTPS, books and folder are as promised."""
    with running(tmp_path, "sandbox", "--tls-port", "0", "--state", "s.json"):
        said = json.loads((tmp_path / "tongbao-sandbox.json").read_text())
        folder = tmp_path / "s.json.books"
        modes = [path.stat().st_mode & 0o777 for path in folder.glob("*.sqlite")]
        assert (folder.stat().st_mode & 0o777, set(modes)) == (0o700, {0o600})
        for protocol, part in said["protocols"].items():
            assert part["tls_base_url"] == f"{said['tls_base_url']}/{protocol}"
            shown = {
                form: run(tmp_path, "env", "--for", form, "--protocol", protocol).stdout
                for form in ("dotenv", "json", "django")
            }
            assert all(part["tls_base_url"] in text for text in shown.values())
            pairs = [line.split("=", 1) for line in shown["dotenv"].splitlines()]
            environ = {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}
            made: dict[str, MerchantConfiguration] = {}
            exec(shown["django"], made)
            expected = MerchantConfiguration.from_environment(environ).merchant
            assert made["TONGBAO"].merchant == expected
            assert json.loads(shown["json"]) == part
    assert said["tls_base_url"].startswith("https://")


@pytest.mark.slow
@pytest.mark.parametrize("room", ["operator", "merchant"])
def test_help_names_the_password_variables(tmp_path: Path, room: str) -> None:
    """Who has no terminal learns from the help where passwords come from."""
    done = run(tmp_path, room, "--help")

    assert done.returncode == 0
    assert "TONGBAO_OPERATOR_PASSWORD" in done.stdout
    assert "TONGBAO_NEW_PASSWORD" in done.stdout


@pytest.mark.slow
def test_a_password_without_a_terminal_is_a_named_setting(tmp_path: Path) -> None:
    """Neither variable nor terminal: exit 2 and the variable's name, no traceback."""
    given = settings(tmp_path)
    assert run(tmp_path, "migrate", **given).returncode == 0
    create = ("operator", "create", "alice", "--as", "alice")
    first = run(tmp_path, *create, **given)
    assert run(tmp_path, *create, **given, **PASSWORDS).returncode == 0
    second = run(tmp_path, "operator", "create", "bob", "--as", "alice", **given)

    assert (first.returncode, second.returncode) == (2, 2)
    assert "TONGBAO_NEW_PASSWORD" in first.stderr
    assert "TONGBAO_OPERATOR_PASSWORD" in second.stderr
    assert "Traceback" not in first.stderr + second.stderr


@pytest.mark.slow
def test_help_names_every_command(tmp_path: Path) -> None:
    """The help answers without opening anything."""
    done = run(tmp_path, "--help")

    assert done.returncode == 0
    for name in (
        "sandbox",
        "demo",
        "serve",
        "worker",
        "migrate",
        "merchant",
        "operator",
        "audit",
        "bill",
        "orders",
        "story",
        "env",
    ):
        assert f"    {name} " in done.stdout
    assert list(tmp_path.iterdir()) == []
