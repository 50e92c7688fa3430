"""GLUE in its official formats: files by hand through the benchmark, and the published files."""

import pytest

from kgcorpus.contracts.errors import InputError
from tests.trainer.evaluate.files import unpack, write
from tests.trainer.evaluate.settings import QUICK, QUICK_2
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning import glue


def test_glue(bert, tmp_path):
    def both(task, text, tests=("dev",)):
        for split in ("train", *tests):
            write(tmp_path / task / f"{split}.tsv", text)

    both("CoLA", "gj04\t1\t\tUlm is good.\ngj04\t0\t*\tgood Ulm is.\n")
    both("SST2", '1\tgood "Ulm\n0\tbad\n')
    both(
        "MRPC", "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t2\t3\tUlm\tUlm.\n0\t4\t5\tOslo\tLima\n"
    )
    both(
        "STS-B", "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\tUlm\tUlm\t5.000\n1\tx\tUlm\tOslo\t0.400\n"
    )
    header = "index\tpromptID\tsentence1\tsentence2\tlabel1\tgold_label\n"
    lines = "0\t1\tUlm\tOslo\tneutral\tneutral\n1\t1\tUlm\tLima\tneutral\t-\n2\t1\tUlm\tis\tx\tentailment\n"
    both("MNLI", header + lines, tests=("dev_matched", "dev_mismatched"))
    both("RTE", "index\tsentence1\tsentence2\tlabel\n0\tUlm\tit\tentailment\n1\tUlm\tbad\tnot_entailment\n")
    found = glue.evaluate_glue(bert, tmp_path, QUICK_2)["tasks"]
    assert sorted(found) == ["CoLA", "MNLI", "MRPC", "RTE", "SST-2", "STS-B"]
    assert glue.read_task(tmp_path / "CoLA" / "dev.tsv", ("sentence", "label"))[1] == (
        "good Ulm is.",
        "0",
        None,
    )
    assert glue.read_task(tmp_path / "SST2" / "dev.tsv", ("sentence", "label"))[0] == ('good "Ulm', "1", None)
    assert set(found["MNLI"]["tests"]) == {"dev_matched", "dev_mismatched"}
    assert found["MNLI"]["tests"]["dev_matched"]["n"] == 2
    assert set(found["MRPC"]["tests"]["dev"]["majority"]) == {"f1", "accuracy"}
    assert -1 <= found["STS-B"]["spearman"]["mean"] <= 1
    assert found["CoLA"]["tests"]["dev"]["majority"] == {"matthews": 0.0}
    with pytest.raises(InputError, match="holds none of CoLA"):
        glue.evaluate_glue(bert, tmp_path / "CoLA", QUICK)


def test_glue_is_read_whole_unless_a_limit_is_set(bert, tmp_path):
    rows = "".join(f"source\t{i % 2}\t\tUlm is good.\n" for i in range(2003))
    for split in ("train", "dev"):
        write(tmp_path / "CoLA" / f"{split}.tsv", rows)
    config = EvaluationConfig(epochs=1, batch=512, max_length=16)
    whole = glue.evaluate_glue(bert, tmp_path, config)["tasks"]["CoLA"]
    assert (whole["n_train"], whole["tests"]["dev"]["n"], whole["sampled"]) == (1803, 2003, {})
    assert whole["selection"]["on"] == "200 of 2003 training examples, by hash"
    few = glue.evaluate_glue(bert, tmp_path, config.model_copy(update={"limit": 40}))["tasks"]["CoLA"]
    assert few["tests"]["dev"]["n"] == 40
    sizes = {"train": 1803, "selection": 200, "dev": 2003}
    assert few["sampled"] == {part: {"n": 40, "of": size} for part, size in sizes.items()}


def test_glue_as_published(real_data, tmp_path):
    unpack(real_data, "glue-small/cola-sst2.tar.xz", tmp_path)
    unpack(real_data, "glue-small/rte.tar.xz", tmp_path)
    sizes = {("CoLA", "train"): 8551, ("CoLA", "dev"): 516, ("SST2", "train"): 6920, ("RTE", "dev"): 277}
    for (task, split), n in sizes.items():
        columns = ("sentence1", "sentence2", "label") if task == "RTE" else ("sentence", "label")
        items = glue.read_task(tmp_path / task / f"{split}.tsv", columns)
        assert len(items) == n
        assert {item.label for item in items} == {"0", "1"}
