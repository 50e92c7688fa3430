"""Shared fixtures: real data by path, one Spark session a process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.java import short_lived_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("JAVA_TOOL_OPTIONS", short_lived_java())
# The models of the tests are tiny: with two threads, torch spends most of the time in the threads' barriers,
# above all with two test processes on two cores. Commands that tests start inherit the setting.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# That the machine is busy is no fault of the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip that says how to point at it."""
    folder = Path(os.environ.get("KGCORPUS_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set KGCORPUS_TEST_DATA to its absolute path")
    return folder


@pytest.fixture(scope="session")
def spark() -> Iterator["SparkSession"]:
    """One session for all tests of the process."""
    from kgcorpus.config import SparkConfig
    from pipelines.session import create_session

    session = create_session(SparkConfig(master="local[2]", partitions=2, memory="1g"))
    yield session
    session.stop()
