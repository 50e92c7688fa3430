"""What the errors of stores are turned into."""

import pytest

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError
from kgcorpus.contracts.remote import describe, wrap_store_errors


def test_a_machine_without_hadoop_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("HADOOP_HOME", "/nowhere")
    with pytest.raises(EnvironmentLacksError, match="needs Java and the client library of Hadoop") as raised:
        describe("hdfs://host:9000/corpus")
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no such bucket\n\n  Log in: more", "cannot be read: no such bucket Log in: more"),
        ("looked at /a " * 200, "..."),
        ("", "cannot be read: RuntimeError"),
    ],
)
def test_a_store_s_error_is_one_line_of_bounded_length(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised, wrap_store_errors("s3://bucket/key"):
        raise RuntimeError(text)
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 650
