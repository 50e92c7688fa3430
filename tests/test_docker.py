"""The images are pinned, run as nobody in particular, and copy what is there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kgcorpus.package import IMAGE_MAIN

ROOT = Path(__file__).parents[1]
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


def test_the_main_script_of_the_package_is_in_the_image() -> None:
    (workdir, *_) = of_kind(ROOT / "docker" / "spark.Dockerfile", "WORKDIR")
    inside = IMAGE_MAIN.removeprefix(f"local://{workdir}/")
    assert (ROOT / inside).is_file()


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
    script = ROOT / "docker" / "spark-entrypoint.sh"
    assert os.access(script, os.X_OK)
    done = subprocess.run([script, "echo", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == "a b\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_spark_image_s_install_step_works_in_a_clean_prefix(tmp_path: Path) -> None:
    """Without the `importance` extra: torch alone is larger than everything else."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    (step,) = re.findall(r"pip install (.*)", "\n".join(of_kind(ROOT / "docker" / "spark.Dockerfile", "RUN")))
    words = shlex.split(step.replace("importance,", ""))
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *words], check=True, cwd=ROOT)
    triples = tmp_path / "triples.txt"
    triples.write_text("Q1\tP1\tQ2\nQ2\tP1\tQ3\nQ3\tP1\tQ1\n")
    (tmp_path / "config.yaml").write_text(f"graph: {{triples: [{triples}]}}\nspark: {{master: 'local[1]'}}\n")
    build = [python, "-I", ROOT / "pipelines" / "__main__.py", "cycles", "--config", tmp_path / "config.yaml"]
    subprocess.run([*build, "--out", tmp_path / "OUT"], check=True, cwd=tmp_path)
