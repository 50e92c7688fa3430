"""XLR: which relation closes the cycle? Zero-shot and fine-tuned, with what is known without reasoning."""

from pathlib import Path
from typing import Any

from trainer.evaluate.config import EvaluationConfig
from trainer.kmlm.evaluate import xlr_fine_tuned, xlr_zero_shot


def evaluate_xlr(model: str | Path, corpus: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Score a model as it is, and fine-tuned on the corpus's training questions.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no finished build, or one without test questions or training questions.
    """
    return {
        "zero_shot": xlr_zero_shot.evaluate_zero_shot(model, corpus, config),
        "fine_tuned": xlr_fine_tuned.evaluate_fine_tuned(model, corpus, config),
    }
