"""The images are pinned, run as nobody in particular, and copy what is there."""

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pyspark
import pytest
import yaml

from kgcorpus.java import find_java
from kgcorpus.package import IMAGE_LOGGING, IMAGE_MAIN
from tests.trainer.toy import rows_of, write_corpus

ROOT = Path(__file__).parents[1]
ENTRYPOINT = ROOT / "docker" / "spark-entrypoint.sh"
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def instructions(file: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", file.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def of_kind(file: Path, kind: str) -> list[str]:
    return [rest for name, rest in instructions(file) if name == kind]


def test_there_is_one_for_spark_and_one_for_training() -> None:
    assert [file.stem for file in DOCKERFILES] == ["spark", "train"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_an_image_is_pinned(file: Path) -> None:
    assert all(re.fullmatch(r"[\w/.-]+:\d+\.\d+\.\d+-[\w-]+", base) for base in of_kind(file, "FROM"))
    for command in of_kind(file, "RUN"):
        for install in re.findall(r"apt-get install ([^&]*)", command):
            packages = [word for word in install.split() if not word.startswith("-")]
            assert all("=" in package for package in packages)
        for install in re.findall(r"pip install ([^&]*)", command):
            assert install.startswith("-c constraints.txt ")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_an_image_runs_as_a_user_of_its_own(file: Path) -> None:
    kinds = [name for name, _ in instructions(file)]
    (user,) = of_kind(file, "USER")
    assert int(user) >= 10_000
    assert not {"RUN", "COPY", "ADD"} & set(kinds[kinds.index("USER") :])


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_what_an_image_copies_is_there_and_reaches_the_engine(file: Path) -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    for copy in of_kind(file, "COPY"):
        *sources, target = (word for word in copy.split() if not word.startswith("--"))
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source in admitted, source
        assert target.startswith(("/", ".")) or (ROOT / target).is_dir()


def test_the_files_that_a_submitted_line_names_are_in_the_image() -> None:
    (workdir, *_) = of_kind(ROOT / "docker" / "spark.Dockerfile", "WORKDIR")
    for file in (IMAGE_MAIN.removeprefix("local://"), IMAGE_LOGGING):
        assert (ROOT / file.removeprefix(f"{workdir}/")).is_file()


def test_the_job_of_compose_names_what_the_image_holds_and_the_volume() -> None:
    job = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]["job"]
    words = shlex.split(job["command"])
    assert IMAGE_MAIN.removeprefix("local://") in words
    assert f"-Dlog4j2.configurationFile={IMAGE_LOGGING}" in words
    ((_, volume),) = (mount.split(":") for mount in job["volumes"])
    assert Path(words[words.index("--out") + 1]).is_relative_to(volume)


def test_compose_starts_a_master_workers_and_a_job_that_the_images_know() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    assert {"master", "worker", "job", "train"} <= set(services)
    for name, service in services.items():
        assert (ROOT / service["build"]["dockerfile"]).is_file(), name
        assert re.fullmatch(r"[\w-]+:\d+\.\d+\.\d+", service["image"]), name
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services), name
        command = service["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        assert words[0] in ("chown", "spark-class", "spark-submit", "kgcorpus"), name


def test_the_entrypoint_is_a_shell_script_and_starts_other_words_as_a_command() -> None:
    assert os.access(ENTRYPOINT, os.X_OK)
    done = subprocess.run([ENTRYPOINT, "echo", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == "a b\n"


def test_the_entrypoint_starts_a_driver_as_kubernetes_says_it(tmp_path: Path) -> None:
    submit = tmp_path / "bin" / "spark-submit"
    submit.parent.mkdir()
    submit.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    submit.chmod(0o755)
    words = ["--properties-file", "/opt/spark/conf/spark.properties", IMAGE_MAIN, "--out", "/a folder"]
    variables = {"SPARK_HOME": str(tmp_path), "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.7"}
    done = subprocess.run(
        [ENTRYPOINT, "driver", *words], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    own = ["--conf", "spark.driver.bindAddress=10.0.0.7", "--deploy-mode", "client"]
    assert done.stdout.splitlines() == own + words


@pytest.mark.slow
def test_the_entrypoint_starts_an_executor_that_takes_its_words(tmp_path: Path) -> None:
    """It ends where it looks for its driver, of which there is none."""
    variables = {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "JAVA_HOME": str(find_java().home),
        "SPARK_JAVA_OPT_0": "-XshowSettings:properties",
        "SPARK_JAVA_OPT_1": '-Dkgcorpus.words=a "b" c\\d',
        "SPARK_EXECUTOR_MEMORY": "100m",
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_EXECUTOR_ID": "1",
        "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
        "SPARK_EXECUTOR_POD_NAME": "pod",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:1",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_RESOURCE_PROFILE_ID": "0",
    }
    done = subprocess.run(
        [ENTRYPOINT, "executor"], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert 'kgcorpus.words = a "b" c\\d' in said
    assert "Connection refused: /127.0.0.1:1" in said


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_an_image_s_install_step_works_in_a_clean_prefix(file: Path, tmp_path: Path) -> None:
    """With the torch that runs the tests: it is larger than everything else, and no other is fetched."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    torch = distribution("torch")
    for top in {part.parts[0] for part in torch.files or ()} - {".."}:
        (packages / top).symlink_to(str(torch.locate_file(top)))
    (step,) = re.findall(r"pip install (.*)", "\n".join(of_kind(file, "RUN")))
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *shlex.split(step)], check=True, cwd=ROOT, env=bare()
    )
    assert (packages / "torch").is_symlink()
    _TRIED[file.stem](python, tmp_path)


def bare() -> dict[str, str]:
    """This environment without what would lead to the working copy."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _build(python: Path, folder: Path) -> None:
    (folder / "triples.txt").write_text("Q1\tP1\tQ2\nQ2\tP1\tQ3\nQ3\tP1\tQ1\n")
    (folder / "config.yaml").write_text("graph: {triples: [triples.txt]}\nspark: {master: 'local[1]'}\n")
    build = [python, "-I", ROOT / "pipelines" / "__main__.py", "cycles", "--config", "config.yaml"]
    subprocess.run([*build, "--out", "OUT"], check=True, cwd=folder)
    subprocess.run([python, "-I", "-c", "import kgcorpus.importance.encoder"], check=True, cwd=folder)


def _train(python: Path, folder: Path) -> None:
    corpus = write_corpus(folder / "corpus", rows_of(20))
    words = ["train", "kmlm", "--corpus", corpus, "--out", "RUN", "--max-steps", "1"]
    subprocess.run([python, "-I", "-m", "kgcorpus", *words], check=True, cwd=folder)


_TRIED = {"spark": _build, "train": _train}
