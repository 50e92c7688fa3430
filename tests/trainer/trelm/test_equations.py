"""TRELM's equations 2 to 8 a second time, in float64 and one passage at a time, against the objective."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from tests.trainer.trelm.made import config_of, make, objective_of, options_of, sums_of
from tests.trainer.trelm.world import LABELS
from trainer.config import MemoryConfig
from trainer.kge.embeddings import open_embeddings

STEPS, GAMMA, WINDOW, LAMBDA, BETA = 10, 0.3, 3, 0.6, 3.0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def unit(x):
    return x / x.norm()


def layer_norm(x):
    return (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()


class Oracle:
    """The objective's sums for a model that is not trained; only draws are asked of the objective."""

    def __init__(self, made, objective, *, literal):
        self.objective, self.literal, self.tokenizer = objective, literal, made.tokenizer
        self.lm = copy.deepcopy(objective.model.packed.lm).double()
        self.table = self.lm.get_input_embeddings().weight.detach()
        self.heads = {n: p.detach().double() for n, p in objective.model.state_dict().items()}
        kge = open_embeddings(made.vectors / "model")
        scale = 1 / np.sqrt(np.square(kge.relations.astype(np.float64)).mean())
        self.entity = lambda qid: torch.tensor(kge.entities[kge.entity_index[qid]] * scale).double()
        self.relation = lambda pid: torch.tensor(kge.relations[kge.relation_index[pid]] * scale).double()
        self.local, self.texts, self.mentions = {}, {}, Counter()

    def pretrained(self, record, spot):
        """An entity's label, or the word; the model is never trained, so its table is the pre-trained one."""
        mentions = {(m["start"], m["end"]): m["qid"] for m in record.mentions}
        ids = record.ids[spot.start : spot.end]
        if qid := mentions.get((spot.start, spot.end)):
            ids = self.tokenizer(" " + LABELS[qid], add_special_tokens=False)["input_ids"]
        return self.table[torch.tensor(ids)].mean(dim=0)

    def injected(self, fact):
        """h_e: the head plus the relation for a tail, the tail minus the relation for a head."""
        sign = 1 if fact["direction"] == "head" else -1
        seen = self.entity(fact["other"]) + sign * self.relation(fact["r"])
        x = layer_norm(self.heads["injection.project.weight"] @ seen)
        return self.heads["injection.norm.weight"] * x + self.heads["injection.norm.bias"]

    def remembered(self, record, spot):
        """(local + global) / 2 of eq. 7, or None."""
        if spot.slot not in self.texts:
            return self.pretrained(record, spot) if self.literal else None
        both = self.local[spot.slot], torch.stack(self.texts[spot.slot]).mean(dim=0)
        if self.literal:
            return (both[0] + both[1]) / 2
        return (unit(both[0]) + unit(both[1])) / 2 * self.table.norm(dim=1).mean()

    def weight(self, step):
        if self.literal:
            return LAMBDA / BETA ** (step * 12 // 60)
        return 0.0 if step >= 0.9 * STEPS else LAMBDA / BETA ** (4 * step // STEPS)

    def states(self, record, example, step):
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

    def log_probability(self, states, token, question, step):
        """Eq. 2: the label's token among itself and its negatives."""
        fact, target = token.fact, question.target
        sign = -1 if fact["direction"] == "head" else 1
        relation = self.heads["decoder.relation.weight"] @ (sign * self.relation(fact["r"]))
        h = states[target.start : target.end].mean(dim=0)
        for _ in range(token.place + 1):
            h = torch.nn.functional.gelu(self.heads["decoder.step.weight"] @ torch.cat([h, relation]))
            h = self.heads["decoder.norm.weight"] * layer_norm(h) + self.heads["decoder.norm.bias"]
        pool, allowed = self.objective._packer._negatives.draw([token], step=step)
        assert allowed.sum() > 20
        assert token.label not in pool[allowed[0]]
        candidates = torch.tensor([token.label, *pool[allowed[0]]])
        bias = self.lm.get_output_embeddings().bias
        return (self.table[candidates] @ h + bias[candidates]).log_softmax(dim=0)[0]

    def step(self, records, examples, step):
        """The summed losses; then the memory is written."""
        mlm = cka = 0.0
        around, texts = {}, {}
        for record, example in zip(records, examples, strict=True):
            states = self.states(record, example, step)
            predicted = torch.tensor(np.flatnonzero(example.predicted))
            logits = self.lm.cls(states[predicted])
            truth = torch.tensor(example.labels[example.predicted], dtype=torch.long)
            mlm -= logits.log_softmax(dim=1).gather(1, truth[:, None]).sum()
            for question in example.questions:
                for token in question.tokens:
                    cka -= self.log_probability(states, token, question, step)
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


@pytest.mark.parametrize(("literal", "seed"), [(False, 20261), (True, 77)])
@torch.no_grad()
def test_the_losses_and_the_memory_are_those_of_the_equations(made, literal, seed):
    memory = MemoryConfig(
        weight=LAMBDA, beta=BETA, gamma=GAMMA, window=WINDOW, literal=literal, word_quantiles=(0.0, 0.8)
    )
    config = config_of(seed=seed, schedule_steps=STEPS, trelm=options_of(memory=memory, inject="both"))
    objective, drawn = objective_of(made, config), objective_of(made, config)
    oracle = Oracle(made, objective, literal=literal)
    for step in range(STEPS):
        records = drawn._stream.take(12)
        expected = oracle.step(records, drawn._maker.make(records), step)
        found = sums_of(objective, objective.next_step(step)).sum(dim=0)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
        objective.after_step(step + 1, Accelerator(cpu=True))
    bank = objective._memory
    assert len(oracle.local) > 20
    assert any(n > len(oracle.texts[slot]) for slot, n in oracle.mentions.items())
    for slot, local in oracle.local.items():
        np.testing.assert_allclose(bank.local[slot], local, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(bank.total[slot], sum(oracle.texts[slot]), rtol=1e-3, atol=1e-3)
        assert bank.count[slot] == len(oracle.texts[slot])
