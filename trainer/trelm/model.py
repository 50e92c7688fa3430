"""TRELM's model: a masked language model, injected facts and contrastive knowledge assessing (CKA)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainer.masked_lm import PackedMaskedLM
from trainer.objectives import Batch
from trainer.trelm.injection import Injection, vectors
from trainer.trelm.inputs import TrelmInputs, Write

if TYPE_CHECKING:
    from accelerate import Accelerator

Inputs = TrelmInputs[Tensor]


def tensors_of(batch: Batch, device: torch.device) -> Inputs:
    """The inputs of a batch, on a device."""
    return TrelmInputs.of(
        {name: torch.as_tensor(array, device=device) for name, array in batch.inputs.items()}
    )


class LabelDecoder(nn.Module):
    """Decodes a mention's state to the tokens of a label: h_i = LN(GELU(W_d [h_(i-1); W_r v_r])).

    h_0 is the mean final state of the mention. v_r is negated where the head is asked for (t - r is near h):
    the print does not tell the two directions apart.

    Args:
        width: numbers of a relation's vector.
        hidden: size of the states.
    """

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.relation = nn.Linear(width, hidden, bias=False)
        self.step = nn.Linear(2 * hidden, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, query: Tensor, relation: Tensor, *, steps: int) -> Tensor:
        """The states [queries, steps, hidden].

        Args:
            query: [queries, hidden].
            relation: [queries, width], signed.
            steps: tokens of the longest label.
        """
        projected = self.relation(relation)
        state, states = query, []
        for _ in range(steps):
            state = self.norm(nn.functional.gelu(self.step(torch.cat([state, projected], dim=1))))
            states.append(state)
        return torch.stack(states, dim=1) if states else query[:, None][:, :0]


def sampled_log_probability(
    states: Tensor,
    labels: Tensor,
    pool: Tensor,
    allowed: Tensor,
    *,
    words: Callable[[Tensor], Tensor],
    bias: Tensor,
    log_expected: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """log softmax of the true token's score among itself and its negatives (eq. 2), [tokens].

    The score of token y is h E[y] + b[y], as in the tied head. As printed, it is not corrected for how often
    the token is drawn: with two kinds of negatives that would cancel the hard ones.

    Args:
        states: [tokens, hidden].
        labels: [tokens].
        pool: [P] the batch's negatives.
        allowed: [tokens, P] which of them are a token's own.
        words: ids [n] -> their word embeddings [n, hidden].
        bias: [vocabulary].
        log_expected: with the correction, of `NegativeSampler.log_expected`: [tokens, P] and [tokens].
    """
    true = (states * words(labels)).sum(dim=1).float() + bias[labels]
    others = (states @ words(pool).T).float() + bias[pool]
    if log_expected is not None:
        others, true = others - log_expected[0], true - log_expected[1]
    others = others.masked_fill(~allowed, -torch.inf)
    return true - torch.cat([true[:, None], others], dim=1).logsumexp(dim=1)


@dataclass(frozen=True)
class Seen:
    """What a forward pass leaves for the memory.

    Attributes:
        slots: [mentions].
        local: [mentions, hidden] mean state around each (eq. 4).
        summary: [mentions, hidden] the [CLS] state of its text.
        first: [mentions] whether it is the slot's first in its text.
    """

    slots: Tensor
    local: Tensor
    summary: Tensor
    first: Tensor


def join_seen(seen: Sequence[Seen], accelerator: "Accelerator") -> Seen:
    """What all ranks' forward passes left, in the same order on every rank, on the host."""
    slots = torch.cat([torch.stack([part.slots, part.first.long()], dim=1) for part in seen])
    rows = torch.cat([torch.stack([part.local, part.summary], dim=1) for part in seen])
    # Ranks see different numbers of mentions; a slot of -1 marks the padding.
    slots, rows = (
        accelerator.gather(accelerator.pad_across_processes(part, pad_index=-1)).cpu()
        for part in (slots, rows)
    )
    real = slots[:, 0] >= 0
    slots, rows = slots[real], rows[real]
    return Seen(slots[:, 0], rows[:, 0], rows[:, 1], slots[:, 1] > 0)


class TrelmModel(nn.Module):
    """A masked language model, the injection of facts and the decoder that asks for them.

    Args:
        packed: the language model.
        width: numbers of a vector of the knowledge.
        additive: whether head + relation is near tail for these vectors.
        inject: whether facts are injected.
        in_text: ask for hidden mentions of the passage instead of labels.
        literal: use what is read from the memory at its own length.

    Attributes:
        seen: what forward passes in training mode left; whoever writes it to the memory clears it.
        norms: mean lengths in the last forward pass of the embeddings injected and of the words' own.
        inputs_frozen: no gradient of what the first layer reads is asked for.
    """

    def __init__(
        self,
        packed: PackedMaskedLM,
        *,
        width: int,
        additive: bool,
        inject: bool,
        in_text: bool,
        literal: bool,
    ) -> None:
        super().__init__()
        hidden = int(packed.lm.config.hidden_size)
        self.packed, self._literal = packed, literal
        scale = float(packed.table.detach().std())
        self.injection = (
            Injection(width=width, hidden=hidden, scale=scale, additive=additive) if inject else None
        )
        self.decoder: nn.Module = (
            nn.Linear(width, hidden, bias=False) if in_text else LabelDecoder(width=width, hidden=hidden)
        )
        self.seen: list[Seen] = []
        self.norms: dict[str, Tensor] = {}
        self.inputs_frozen = False

    def forward(self, **inputs: Tensor) -> Tensor:
        """The summed losses [2]: masked-language modelling and CKA.

        Args:
            inputs: of `TrelmInputs.as_dict`.
        """
        read: Inputs = TrelmInputs.of(inputs)
        states = self.states(read)
        mlm = self.packed.loss(states.index_select(0, read.where), read.labels)
        if self.training and read.write is not None:
            self.seen.append(_seen(states.detach().float(), read.write))
        return torch.stack([mlm, -self._log_probability(states, read).sum()])

    def cka_log_probability(self, inputs: Inputs) -> Tensor:
        """log P of each token asked for among its negatives, [tokens]; leaves nothing for the memory."""
        return self._log_probability(self.states(inputs), inputs)

    def mlm_log_probability(self, inputs: Inputs) -> Tensor:
        """log P of each token that masked-language modelling predicts, [predicted]."""
        return -self.packed.losses(self.states(inputs).index_select(0, inputs.where), inputs.labels)

    def states(self, inputs: Inputs) -> Tensor:
        """The final states [states, hidden] at `inputs.states_at`."""
        ids = inputs.ids
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.inputs_frozen):
            words = self._remember(self._inject(self.packed.words(ids).flatten(0, 1), inputs), inputs)
        unflat = words.unflatten(0, ids.shape)
        rows = (ids, inputs.segments, inputs.positions)
        return self.packed.states(*rows, words=unflat, at=inputs.states_at)

    def asked_states(self, states: Tensor, inputs: Inputs) -> Tensor:
        """What is compared with the word embeddings, [tokens, hidden], one a token asked for."""
        relation = vectors(
            inputs.asked_relation,
            inputs.asked_relation_ids,
            inputs.asked_relation_starts,
            words=self.packed.words,
            deviation=self._deviation,
        )
        relation = inputs.asked_sign[:, None] * relation
        query, place = inputs.asked_query, inputs.asked_place
        if not isinstance(self.decoder, LabelDecoder):
            # in_text: z_i + W_r v_r through the head's own transform.
            hidden = states.index_select(0, inputs.asked_at)
            return self.packed.transform(hidden + self.decoder(relation).index_select(0, query))
        mentions = _mean(states, inputs.query_at, inputs.query_starts)
        steps = int(place.max()) + 1 if len(place) else 1
        decoded = self.decoder(mentions, relation, steps=steps).flatten(0, 1)
        return decoded.index_select(0, query * steps + place)

    def _inject(self, words: Tensor, inputs: Inputs) -> Tensor:
        if self.injection is None:
            return words
        other, relation = (
            vectors(*found, words=self.packed.words, deviation=self._deviation)
            for found in (
                (inputs.injected_other, inputs.injected_other_ids, inputs.injected_other_starts),
                (inputs.injected_relation, inputs.injected_relation_ids, inputs.injected_relation_starts),
            )
        )
        embedded = self.injection(other, relation, inputs.injected_sign)
        if len(embedded):
            lengths = embedded.detach().norm(dim=1)
            self.norms = {"norm_injected": lengths.mean(), "norm_words": self._length()}
        at = inputs.injected_at
        entering = embedded.index_select(0, inputs.injected_row).to(words.dtype)
        if inputs.injected_share is not None:
            entering = torch.lerp(words.index_select(0, at), entering, inputs.injected_share)
        return words.index_copy(0, at, entering)

    def _remember(self, words: Tensor, inputs: Inputs) -> Tensor:
        """(1 - lambda) h_e + lambda (local + global) / 2 (eq. 7); of a word E_p in the place of h_e."""
        read = inputs.read
        if read is None:
            return words
        remembered = read.rows if self._literal else read.rows * self._length()
        weight = read.weight[read.row][:, None]
        mixed = (1 - weight) * words.index_select(0, read.at) + weight * remembered[read.row]
        return words.index_copy(0, read.at, mixed)

    def _deviation(self) -> Tensor:
        return self.packed.table.detach().std()

    def _length(self) -> Tensor:
        """The mean length of a word embedding."""
        return self.packed.table.detach().norm(dim=1).mean()

    def _log_probability(self, states: Tensor, inputs: Inputs) -> Tensor:
        expected = None
        if inputs.log_expected is not None and inputs.log_expected_labels is not None:
            expected = inputs.log_expected, inputs.log_expected_labels
        return sampled_log_probability(
            self.asked_states(states, inputs),
            inputs.asked_labels,
            inputs.pool,
            inputs.allowed,
            words=self.packed.words,
            bias=self.packed.bias,
            log_expected=expected,
        )


def _seen(states: Tensor, write: Write[Tensor]) -> Seen:
    if write.divisor is not None:
        total = nn.functional.embedding_bag(write.at, states, write.starts, mode="sum")
        local = total / write.divisor[:, None]
    else:
        local = _mean(states, write.at, write.starts)
    return Seen(write.slots, local, states.index_select(0, write.first), write.new_text)


def _mean(states: Tensor, at: Tensor, starts: Tensor) -> Tensor:
    """The mean state of each group `at`, [groups, hidden]; a group ends where the next one starts."""
    return nn.functional.embedding_bag(at, states, starts, mode="mean")
