from pathlib import Path

import pytest
import yaml

from kgcorpus.config import BuildConfig, load

CONF = Path(__file__).parent.parent / "conf"
FILES = sorted(CONF.glob("*.yaml"))


def is_corpus(path):
    return "graph" in yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [p for p in FILES if is_corpus(p)], ids=lambda path: path.stem)
def test_a_ready_corpus_is_valid_and_names_what_it_builds(path):
    config = load(BuildConfig, path)
    assert config.graph.triples
    assert config.wikipedia or config.text


@pytest.mark.parametrize("path", [p for p in FILES if not is_corpus(p)], ids=lambda path: path.stem)
def test_a_ready_training_run_is_valid_and_named_by_its_objective(path):
    from trainer.config import TrainingConfig
    from trainer.registry import OBJECTIVES

    load(TrainingConfig, path)
    assert path.stem.split("-")[0] in OBJECTIVES


def test_the_summaries_are_linked_by_their_titles_and_by_dictionary():
    vital = load(BuildConfig, CONF / "vital.yaml")
    assert [(text.lang, text.link_title) for text in vital.text] == [("en", True), ("fr", True), ("es", True)]
    assert vital.linking.dictionary


@pytest.mark.parametrize("gpus", [1, 8, 64])
@pytest.mark.parametrize(
    ("objective", "paper"),
    [("kmlm", "kmlm-xlmr-base"), ("trelm", "trelm-roberta-base"), ("jaket", "jaket-roberta-base")],
)
def test_a_config_for_gpus_trains_as_the_papers(objective, paper, gpus):
    from trainer.config import TrainingConfig

    own, whole = (load(TrainingConfig, CONF / f"{name}.yaml") for name in (f"{objective}-{gpus}gpu", paper))
    # The rows of a forward pass change memory and time alone.
    assert own == whole.model_copy(update={"rows_per_forward": own.rows_per_forward})
    assert own.rows_per_forward >= 16


def test_the_paper_scale_configs_hold_the_papers_figures():
    from trainer.config import TrainingConfig

    trelm = load(BuildConfig, CONF / "trelm-paper-corpus.yaml")
    assert (trelm.passages.trelm, trelm.passages.min_entities) == (256, 3)
    jaket = load(BuildConfig, CONF / "jaket-paper-corpus.yaml")
    assert (jaket.passages.jaket, jaket.jaket.description_tokens) == (512, 64)
    assert jaket.jaket.description_window == "first"
    kmlm = load(BuildConfig, CONF / "kmlm-paper-corpus.yaml")
    assert (len(kmlm.languages), kmlm.xlr.asked) == (10, 5050)
    assert sum(text.sentences for text in kmlm.text) == 260_000_000
    mbert = load(BuildConfig, CONF / "kmlm-mbert-corpus.yaml")
    assert tuple(wiki.lang for wiki in mbert.wikipedia) == mbert.languages == kmlm.languages
    assert mbert.tokenizer == load(TrainingConfig, CONF / "kmlm-mbert.yaml").base_model
    joint = load(TrainingConfig, CONF / "jaket-roberta-base.yaml")
    assert (joint.epochs, joint.schedule_steps, joint.lr_warmup, joint.jaket.km_lr_warmup) == (
        8,
        None,
        3000,
        0,
    )
    assert joint.lr * joint.jaket.km_lr_scale == pytest.approx(1e-4)
    assert joint.jaket.memory_share == 1
    without = load(TrainingConfig, CONF / "kmlm-xlmr-base-without-r.yaml")
    for base in ("roberta-base", "bert-base"):
        run = load(TrainingConfig, CONF / f"trelm-{base}.yaml")
        assert (run.lr, run.weight_decay, run.records_per_step, run.max_length) == (5e-5, 0.01, 2048, 256)
        # The paper's 26M passages; 10 % of one epoch's steps.
        assert run.lr_warmup == round(0.1 * 26e6 / 2048)
        assert (run.precision, run.trelm.routing.mode) == ("bf16", "exact")
    run = load(TrainingConfig, CONF / "kmlm-xlmr-base.yaml")
    changed = run.kmlm.model_copy(update={"reasoning_mask": "plain"})
    assert without == run.model_copy(update={"kmlm": changed})
    assert (run.lr, run.records_per_step, run.max_length) == (5e-5, 9600, 128)
    assert (run.kmlm.alpha, run.kmlm.long_length, run.kmlm.long_steps) == (0.3, 512, 600)
