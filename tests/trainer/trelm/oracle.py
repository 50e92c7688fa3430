"""TRELM's equations 2 to 12 a second time, in float64 and one passage at a time."""

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kgcorpus.contracts.rows import Fact
from tests.trainer.trelm.world import LABELS
from trainer.shards import MentionRecord
from trainer.transe.embeddings import open_embeddings
from trainer.trelm.examples import Example, Question, Spot
from trainer.trelm.negatives import Asked
from trainer.trelm.objective import Trelm

# Of the runs that the oracle repeats.
STEPS, RECORDS, GAMMA, WINDOW, LAMBDA, BETA = 10, 12, 0.3, 3, 0.6, 3.0


def unit(x: Tensor) -> Tensor:
    return x / x.norm()


def layer_norm(x: Tensor) -> Tensor:
    return (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()


class Oracle:
    """The objective's sums for a model that is not trained.

    Args:
        objective: gives the weights.
        draws: an objective of the same configuration, of which only draws are asked; another one, because
            `objective` prepares its next step in a thread.
    """

    def __init__(self, made: SimpleNamespace, objective: Trelm, *, draws: Trelm, literal: bool) -> None:
        self.draws, self.literal = draws, literal
        self.tokenizer: PreTrainedTokenizerFast = made.tokenizer
        self.lm = cast(Any, copy.deepcopy(objective.model.packed.lm).double())
        self.table = self.lm.get_input_embeddings().weight.detach()
        self.heads = {n: p.detach().double() for n, p in objective.model.state_dict().items()}
        kge = open_embeddings(made.vectors / "model")
        scale = 1 / np.sqrt(np.square(kge.relations.astype(np.float64)).mean())
        self.entity = lambda qid: torch.tensor(kge.entities[kge.entity_index[qid]] * scale).double()
        self.relation = lambda pid: torch.tensor(kge.relations[kge.relation_index[pid]] * scale).double()
        self.local: dict[int, Tensor] = {}
        self.texts: dict[int, list[Tensor]] = {}
        self.mentions: Counter[int] = Counter()

    def pretrained(self, record: MentionRecord, spot: Spot) -> Tensor:
        """An entity's label, or the word; the model is never trained, so its table is the pre-trained one."""
        mentions = {(m["start"], m["end"]): m["qid"] for m in record.mentions}
        ids = record.ids[spot.start : spot.end]
        if qid := mentions.get((spot.start, spot.end)):
            ids = self.tokenizer(" " + LABELS[qid], add_special_tokens=False)["input_ids"]
        return self.table[torch.tensor(ids)].mean(dim=0)

    def injected(self, fact: Fact | None) -> Tensor:
        """h_e: the head plus the relation for a tail, the tail minus the relation for a head."""
        assert fact
        sign = 1 if fact["direction"] == "head" else -1
        seen = self.entity(fact["other"]) + sign * self.relation(fact["r"])
        x = layer_norm(self.heads["injection.project.weight"] @ seen)
        return self.heads["injection.norm.weight"] * x + self.heads["injection.norm.bias"]

    def remembered(self, record: MentionRecord, spot: Spot) -> Tensor | None:
        """(local + global) / 2 of eq. 7, or None."""
        if spot.slot not in self.texts:
            return self.pretrained(record, spot) if self.literal else None
        both = self.local[spot.slot], torch.stack(self.texts[spot.slot]).mean(dim=0)
        if self.literal:
            return (both[0] + both[1]) / 2
        return (unit(both[0]) + unit(both[1])) / 2 * self.table.norm(dim=1).mean()

    def weight(self, step: int) -> float:
        if self.literal:
            return LAMBDA / BETA ** (step * RECORDS // 60)
        return 0.0 if step >= 0.9 * STEPS else LAMBDA / BETA ** (4 * step // STEPS)

    def states(self, record: MentionRecord, example: Example, step: int) -> Tensor:
        words, free = self.table[torch.tensor(example.ids, dtype=torch.long)].clone(), ~example.closed
        taken = np.zeros(len(free), bool)
        for question in example.questions:
            span = np.arange(question.target.start, question.target.end)
            span = span[free[span] & ~taken[span]]
            words[span], taken[span] = self.injected(question.target.injected), True
        weight, taken = self.weight(step), np.zeros(len(free), bool)
        for spot in example.spots:
            memory = self.remembered(record, spot) if spot.read and weight else None
            if memory is not None:
                span = np.arange(spot.start, spot.end)
                span = span[free[span] & ~taken[span]]
                words[span], taken[span] = (1 - weight) * words[span] + weight * memory, True
        return self.lm.base_model(inputs_embeds=words[None]).last_hidden_state[0]

    def log_probability(self, states: Tensor, token: Asked, question: Question, step: int) -> Tensor:
        """Eq. 2: the label's token among itself and its negatives."""
        fact, target = token.fact, question.target
        sign = -1 if fact["direction"] == "head" else 1
        relation = self.heads["decoder.relation.weight"] @ (sign * self.relation(fact["r"]))
        h = states[target.start : target.end].mean(dim=0)
        for _ in range(token.place + 1):
            h = torch.nn.functional.gelu(self.heads["decoder.step.weight"] @ torch.cat([h, relation]))
            h = self.heads["decoder.norm.weight"] * layer_norm(h) + self.heads["decoder.norm.bias"]
        pool, allowed = self.draws._packer._negatives.draw([token], step=step)
        assert allowed.sum() > 20
        assert token.label not in pool[allowed[0]]
        candidates = torch.tensor([token.label, *pool[allowed[0]]])
        bias = self.lm.get_output_embeddings().bias
        return (self.table[candidates] @ h + bias[candidates]).log_softmax(dim=0)[0]

    def step(self, records: Sequence[MentionRecord], examples: Sequence[Example], step: int) -> list[float]:
        """The summed losses; then the memory is written."""
        mlm, cka = torch.zeros(2, dtype=torch.float64)
        around: dict[int, list[Tensor]] = {}
        texts: dict[int, dict[str, Tensor]] = {}
        for record, example in zip(records, examples, strict=True):
            states = self.states(record, example, step)
            predicted = torch.tensor(np.flatnonzero(example.predicted))
            logits = self.lm.cls(states[predicted])
            truth = torch.tensor(example.labels[example.predicted], dtype=torch.long)
            mlm = mlm - logits.log_softmax(dim=1).gather(1, truth[:, None]).sum()
            for question in example.questions:
                for token in question.tokens:
                    cka = cka - self.log_probability(states, token, question, step)
            self.mentions.update(spot.slot for spot in example.spots)
            for spot in example.spots:
                places = range(spot.start - WINDOW, spot.end + WINDOW)
                window = [states[i] for i in places if 0 < i < len(states) - 1]
                # The print's l and r are the first and the last token.
                terms = 2 * WINDOW + (spot.end - 1) - spot.start if self.literal else len(window)
                around.setdefault(spot.slot, []).append(torch.stack(window).sum(dim=0) / terms)
                texts.setdefault(spot.slot, {})[record.id] = states[0]
                start = self.pretrained(record, spot) if self.literal else torch.zeros_like(states[0])
                self.local.setdefault(spot.slot, start)
        for slot, means in around.items():
            new = torch.stack(means).mean(dim=0)
            self.local[slot] = (1 - GAMMA) * self.local[slot] + GAMMA * new
            self.texts.setdefault(slot, []).extend(texts[slot].values())
        return [float(mlm), float(cka)]


def path_scores(
    oracle: Oracle,
    records: Sequence[MentionRecord],
    examples: Sequence[Example],
    step: int,
    *,
    groups: Sequence[Sequence[int]],
    points: int,
) -> Tensor:
    """Eq. 9-11 [layers, neurons]: P differentiated in a factor of each neuron's activations.

    With v = s v̄ the derivative in s is the sum over positions of v̄ dP/dv.
    """
    layers = oracle.lm.base_model.encoder.layer
    shape = len(layers), layers[0].intermediate.dense.out_features
    scores = torch.zeros(shape, dtype=torch.float64)
    for pair in zip(records, examples, strict=True):
        if pair[1].questions:
            scores += _scores_of(oracle, layers, shape, *pair, step=step, groups=groups, points=points)
    return scores


def _scores_of(
    oracle: Oracle,
    layers: Any,
    shape: tuple[int, int],
    record: MentionRecord,
    example: Example,
    *,
    step: int,
    groups: Sequence[Sequence[int]],
    points: int,
) -> Tensor:
    scores = torch.zeros(shape, dtype=torch.float64)
    natural: dict[int, Tensor] = {}

    def probability(hooks: dict[int, Callable[..., Any]]) -> Any:
        handles = [layers[i].intermediate.register_forward_hook(hook) for i, hook in hooks.items()]
        states = oracle.states(record, example, step)
        for handle in handles:
            handle.remove()
        asked = [(token, question) for question in example.questions for token in question.tokens]
        return sum(oracle.log_probability(states, *pair, step).exp() for pair in asked)

    def keep(i: int) -> Callable[..., None]:
        return lambda _module, _inputs, v: natural.update({i: v.detach()})

    probability({i: keep(i) for i in range(len(layers))})
    for group in groups:
        for k in range(1, points + 1):
            s = torch.full_like(scores, k / points).requires_grad_()
            hooks = {i: lambda _m, _i, _v, i=i, s=s: s[i] * natural[i] for i in group}
            scores += torch.autograd.grad(probability(hooks), s)[0] / points
    return scores


def path_rows(scores: Tensor, share: float) -> dict[int, list[int]]:
    """Eq. 12: the best positive scores over all layers, with the bounds of docs/papers.md."""
    layers, neurons = scores.shape
    budget = round(share * scores.numel())

    def best(among: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        ranked = sorted((-scores[i, j].item(), i, j) for i, j in among if scores[i, j] > 0)
        return [(i, j) for _, i, j in ranked[:budget]]

    every = [(i, j) for i in range(layers) for j in range(neurons)]
    mass: dict[int, float] = defaultdict(float)
    for i, j in best(every):
        mass[i] += scores[i, j].item()
    kept = [i for i in range(layers) if mass[i] and mass[i] >= 0.02 * sum(mass.values())]
    most = max(8, int(4 * share * neurons))
    order = {i: sorted(range(neurons), key=lambda j: (-scores[i, j].item(), j)) for i in kept}
    chosen = Counter(i for i, _ in best([(i, j) for i in kept for j in order[i][:most]]))
    return {i: sorted(order[i][: max(8, chosen[i])]) for i in kept}
