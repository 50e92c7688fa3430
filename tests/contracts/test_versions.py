"""A stage whose code changes gets another version, or a confirmation that its bytes are the same."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import importance, linked_sentences
from tests.contracts.versions import EVERY, LOCK, ROOT, changes, lines_of, locked_code, versions_of

STAGES = (linked_sentences.STAGE, importance.STAGE)
CONFIRM = "raise the version, or confirm that the bytes are the same: python -m tests.contracts.versions"


def test_no_stage_has_other_code_under_an_old_version() -> None:
    told = changes(LOCK.read_text(encoding="utf-8").splitlines(), locked_code(), versions_of())
    assert not told, "\n" + "\n".join(told)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for package in ("kgcorpus", "pipelines", "trainer"):
        files = shutil.ignore_patterns("world", "__pycache__", "*.tsv*", "*.json*")
        shutil.copytree(ROOT / package, folder / package, ignore=files)
    return folder


@pytest.fixture(scope="module")
def lock(tree: Path) -> list[str]:
    return lines_of(locked_code(tree, STAGES), versions_of(STAGES))


def told_after(
    tree: Path, lock: list[str], file: str, *, added: str = "", old: str = "", new: str = ""
) -> list[str]:
    """What the lock says of a tree in which a file has lines at its end, or one text for another."""
    path = tree / file
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before.replace(old, new, 1) + added, encoding="utf-8")
        return changes(lock, locked_code(tree, STAGES), versions_of(STAGES))
    finally:
        path.write_text(before, encoding="utf-8")


def test_a_change_far_below_a_stage_names_the_stage_and_the_file(tree: Path, lock: list[str]) -> None:
    told = told_after(tree, lock, "kgcorpus/wiki/sentences.py", added="split_sentences.x = 1\n")
    assert told == [f"linked_sentences: wiki/sentences.py changed; {CONFIRM}"]


def test_a_module_that_is_imported_within_a_function_counts(tree: Path, lock: list[str]) -> None:
    file = "kgcorpus/importance/formula.py"
    assert told_after(tree, lock, file, added="semantic_importance.x = 1\n") == [
        f"importance: importance/formula.py changed; {CONFIRM}"
    ]


def test_code_that_all_stages_run_is_named_once(tree: Path, lock: list[str]) -> None:
    told = told_after(tree, lock, "pipelines/writer.py", added="write_shards.x = 1\n")
    assert len(told) == 1
    assert told[0].startswith(f"{EVERY}: pipelines/writer.py changed; raise all versions, or confirm")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("kgcorpus/wiki/sentences.py", '"""', '"""Other words. '),
        ("kgcorpus/wiki/sentences.py", "text: str, ", "text: object, "),
        ("kgcorpus/wiki/sentences.py", "\n\n\ndef ", "\n\n\ndef unused() -> None:\n    print()\n\n\ndef "),
        ("kgcorpus/importance/encoder.py", 'Error("', 'Error("other words: '),
        ("kgcorpus/cli/builds.py", "\n\n\ndef ", "\n\n\nunused = 1\n\n\ndef "),
    ],
)
def test_text_for_readers_and_unused_code_do_not_count(
    tree: Path, lock: list[str], file: str, old: str, new: str
) -> None:
    assert old in (tree / file).read_text(encoding="utf-8")
    assert told_after(tree, lock, file, old=old, new=new) == []


def test_a_raised_version_must_be_written_to_the_lock(tree: Path, lock: list[str]) -> None:
    raised = replace(importance.STAGE, version=importance.STAGE.version + 1)
    stages = (linked_sentences.STAGE, raised)
    told = changes(lock, locked_code(tree, stages), versions_of(stages))
    write = "write it: python -m tests.contracts.versions"
    assert told == [f"importance: version {raised.version} is not in versions.lock; {write}"]


def test_lines_of_two_branches_joined_by_git_serve_both(tree: Path, lock: list[str]) -> None:
    joined = ["linked_sentences wiki/sentences.py 0123456789ab", *lock]
    assert changes(joined, locked_code(tree, STAGES), versions_of(STAGES)) == []
