"""A new protocol is one new folder and no edited line elsewhere: folders outside the source tree obey the same laws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tongbao.protocols.alipay_mapi
from tongbao.kernel.error import ConfigurationError
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.skeleton import skeleton_files, write_skeleton

ROOT = Path(__file__).parents[2]
ALIPAY = Path(tongbao.protocols.alipay_mapi.__file__).parent

PLUGIN = """
import os


def pytest_configure(config):
    import tongbao.protocols

    tongbao.protocols.__path__.append(os.environ["MORE_PROTOCOLS"])
"""


def run_laws(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The tests of ``tests/protocol`` in a fresh process that also looks for folders in ``place``."""
    plugin = place.parent / f"{place.name}_plugin"
    plugin.mkdir(exist_ok=True)
    (plugin / "more_protocols.py").write_text(PLUGIN, "utf-8")
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "more_protocols", "-p", "no:cacheprovider", *arguments]
    paths = {"PYTHONPATH": f"{plugin}{os.pathsep}{ROOT / 'src'}", "MORE_PROTOCOLS": str(place)}
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **paths}, capture_output=True, text=True, check=False)


def copy_alipay(place: Path, name: str) -> None:
    for source in [*ALIPAY.glob("*.py"), *ALIPAY.glob("vectors/*"), ALIPAY / "README.md"]:
        target = place / name / source.relative_to(ALIPAY)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text("utf-8").replace("alipay_mapi", name), "utf-8")


@pytest.mark.slow
def test_a_copied_folder_obeys_all_laws(tmp_path: Path) -> None:
    """The classic interface under another name, in another place: loader, laws, vectors and attacks find it."""
    copy_alipay(tmp_path, "renamed_mapi")
    done = run_laws(
        tmp_path,
        "tests/protocol/test_manifest.py",
        "tests/protocol/test_law.py",
        "tests/protocol/test_vector.py",
        "tests/protocol/test_attack.py",
        "-k",
        "renamed_mapi and not gbk and not gb2312 and not RSA",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "renamed_mapi" not in protocol_names()


@pytest.mark.slow
def test_a_generated_folder_lacks_nothing_but_facts(tmp_path: Path) -> None:
    """A skeleton obeys every law at once except those about facts, which only a person can find."""
    write_skeleton(tmp_path, "brand_new")
    done = run_laws(
        tmp_path,
        "tests/protocol/test_manifest.py",
        "tests/protocol/test_law.py",
        "tests/protocol/test_attack.py",
        "-k",
        "brand_new",
        "-rf",
    )
    failed = {line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")}
    assert failed == {"tests/protocol/test_manifest.py::test_manifest_is_whole[brand_new]"}, done.stdout
    missing = run_laws(tmp_path, "tests/protocol/test_vector.py", "-k", "every_folder_has_vectors")
    assert missing.returncode == 1


def test_a_skeleton_is_plain_source(tmp_path: Path) -> None:
    """Every generated module compiles, the folder is never written twice, and a name must be a name."""
    for file, text in skeleton_files("brand_new").items():
        if file.endswith(".py"):
            compile(text, file, "exec")
        assert "@" not in text
    assert write_skeleton(tmp_path, "brand_new") == list(skeleton_files("brand_new"))
    assert {path.name for path in (tmp_path / "brand_new").iterdir()} == {*skeleton_files("brand_new"), "vectors"}
    with pytest.raises(ConfigurationError):
        write_skeleton(tmp_path, "brand_new")
    for name in ("", "Brand", "a-b", "1a", "a__b", "../a", "a b"):
        with pytest.raises(ConfigurationError):
            skeleton_files(name)


def test_loader_names_what_it_knows() -> None:
    """An unknown protocol is a configuration error that lists the known ones; a known one is loaded once."""
    with pytest.raises(ConfigurationError) as caught:
        load_protocol("no_such_protocol")
    assert "alipay_mapi" in str(caught.value)
    assert load_protocol("alipay_mapi") is load_protocol("alipay_mapi")
