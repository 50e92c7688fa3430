"""Masked-language-model loss on held-out text."""

from collections.abc import Mapping
from pathlib import Path

import torch

from kgcorpus.tokens import ensure_tokens
from trainer.config import TrainingConfig
from trainer.kmlm.objective import Kmlm
from trainer.pretrained import load_tokenizer

# BERT's share, whatever training used, so that losses of different plans compare.
_SHARE = 0.15


@torch.inference_mode()
def held_out_losses(
    models: Mapping[str, str | Path], corpus: Path, config: TrainingConfig, *, split: str = "test"
) -> dict[str, dict[str, float]]:
    """Mean cross-entropy, in nats, of the predicted tokens in a split of `plain_text`.

    Every record is read; a few are read twice, which fill the last step.

    Args:
        models: name -> folder of a model; a head that is missing is initialised as in training.
        corpus: the build.
        config: of the run: seed and lengths. The masks are the same for every model.
        split: of the shards.

    Returns:
        name -> `loss`, `predicted`: how many tokens, and `records`.

    Raises:
        InputError: the split has no text.
    """
    found = {}
    for name, folder in models.items():
        tokenizer = load_tokenizer(folder, where=f"model {folder}")
        backend, mask = tokenizer.backend_tokenizer, str(tokenizer.mask_token)
        files = ensure_tokens(corpus, "plain_text", backend, mask_token=mask, splits=(split,))
        kmlm = config.kmlm.model_copy(update={"mlm_probability": _SHARE})
        changed = {"base_model": str(folder), "kmlm": kmlm, "schedule_steps": None, "epochs": 1.0}
        settings = config.model_copy(update=changed)
        objective = Kmlm(settings, files={"plain": files[split]}, tokenizer=tokenizer)
        objective.model.eval()
        loss, predicted, records = 0.0, 0, 0
        for step in range(objective.total_steps):
            for batch in objective.next_step(step):
                inputs = {key: torch.as_tensor(value) for key, value in batch.inputs.items()}
                loss += float(objective.model(**inputs).sum())
                predicted += int(batch.counts.sum())
                records += len(batch.records)
        found[name] = {"loss": loss / predicted, "predicted": predicted, "records": records}
    return found
