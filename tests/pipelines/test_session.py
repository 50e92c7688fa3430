"""How the JVM is started."""

import pytest

from pipelines.session import java_options

OWN = "spark.driver.extraJavaOptions"


@pytest.fixture(autouse=True)
def no_options_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("master", "memory", "own", "brief", "serial"),
    [
        ("local[2]", "4g", "", True, True),
        ("local", "4096m", "", True, True),
        ("local[*]", "24g", "", True, False),
        ("local[2]", "4g", "-XX:+UseG1GC", True, False),
        ("local-cluster[2,1,512]", "1g", "", False, False),
        ("spark://host:7077", "4g", "-Dx=1", False, False),
    ],
)
def test_a_local_jvm_compiles_briefly(
    master: str, memory: str, own: str, *, brief: bool, serial: bool
) -> None:
    options = java_options(master, {"spark.driver.memory": memory, OWN: own}).split()
    assert ("-XX:TieredStopAtLevel=1" in options) == brief
    assert ("-XX:+UseSerialGC" in options) == serial
    # The last one of two equal options wins in Java.
    assert options[-1] == own or not own


def test_a_collector_in_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:+UseParallelGC")
    assert "SerialGC" not in java_options("local[2]", {"spark.driver.memory": "4g"})
