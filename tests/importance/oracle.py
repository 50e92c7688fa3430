"""Eq. 1 written a second time: one text at a time, no batches, no padding, no cut."""

from collections.abc import Sequence

import torch

from kgcorpus.importance.encoder import Encoder

REPLACEMENTS = ["mask", "mask_each", "unk", "delete", "entity"]


def naive_state(encoder: Encoder, ids: list[int], *, pooling: str) -> torch.Tensor:
    framed = torch.tensor([[*encoder.prefix, *ids, *encoder.suffix]])
    with torch.no_grad():
        states = encoder.model(framed).last_hidden_state[0]
    inner = states[len(encoder.prefix) : len(framed[0]) - len(encoder.suffix)]
    return states[0] if pooling == "cls" else inner.mean(0)


def naive_cosines(
    encoder: Encoder,
    text: str,
    start: int,
    end: int,
    *,
    replacement: str,
    pooling: str,
    names: Sequence[str],
) -> list[float]:
    """The cosine for each name that may be drawn (one, unless the replacement is `entity`)."""
    tok = encoder.tokenizer
    plain = tok(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    columns = (plain["input_ids"], plain["offset_mapping"], plain["special_tokens_mask"])
    own = [(i, span) for i, span, added in zip(*columns, strict=True) if not added]
    ids = [i for i, _ in own]
    assert [*encoder.prefix, *ids, *encoder.suffix] == plain["input_ids"]
    hit = [k for k, (_, (a, b)) in enumerate(own) if set(range(a, b)) & set(range(start, end))]
    before, after = own[: hit[0]], own[hit[-1] + 1 :]
    while before and text[before[-1][1][0] : before[-1][1][1]].strip() == "":
        before = before[:-1]
    spaced = " " if start and text[start - 1] == " " else ""
    middles = {
        "mask": [[tok.mask_token_id]],
        # A byte-level vocabulary may have a token for a space inside the mention, with an empty offset.
        "mask_each": [[tok.mask_token_id] * (hit[-1] + 1 - hit[0])],
        "unk": [[tok.unk_token_id]],
        "delete": [[]],
        "entity": [tok(spaced + name, add_special_tokens=False)["input_ids"] for name in names],
    }[replacement]
    whole = naive_state(encoder, ids, pooling=pooling)
    cosines = []
    for middle in middles:
        changed = [i for i, _ in before] + middle + [i for i, _ in after]
        if changed:
            state = naive_state(encoder, changed, pooling=pooling)
            cosines.append(torch.cosine_similarity(whole, state, dim=0).item())
    return cosines
