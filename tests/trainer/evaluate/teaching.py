"""Toys that know something: a tiny model taught a few sentences by heart."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer


def teach(source: Path, target: Path, sentences: Mapping[str, str]) -> Path:
    """Write the model of `source`, trained until it fills the masks of each sentence with the words given."""
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    inputs = tokenizer(list(sentences), return_tensors="pt", padding=True)
    labels = torch.full_like(inputs["input_ids"], -100)
    answers = tokenizer(list(sentences.values()), add_special_tokens=False)["input_ids"]
    tokens = [token for answer in answers for token in answer]
    labels[inputs["input_ids"] == tokenizer.mask_token_id] = torch.tensor(tokens)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(150):
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target
