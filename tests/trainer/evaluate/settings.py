"""How the tests fine-tune."""

from trainer.evaluate.config import EvaluationConfig

QUICK = EvaluationConfig(epochs=1, batch=8, max_length=48)
# A tiny model learns a toy by heart.
THOROUGH = EvaluationConfig(epochs=15, batch=8, lr=5e-3, max_length=48)
# Two runs of each benchmark that fine-tunes.
QUICK_2 = QUICK.model_copy(update={"seeds": (0, 1)})
