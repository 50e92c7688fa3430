"""JAKET's four losses (section 3.6) written a second time: one record, node and score after the other."""

from copy import deepcopy

import torch
from accelerate import Accelerator
from torch.nn.functional import gelu, layer_norm

from tests.trainer.jaket.test_gat import equation
from trainer.config import ModelConfig, TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.gat import HopTensors
from trainer.jaket.objective import Jaket
from trainer.loop import gradients

CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=3, heads=2, vocab_size=400, dropout=0.0),
    max_length=64,
    jaket=JaketConfig(
        passages=6, roots=12, gat_heads=2, gat_layers=2, neighbours=3, description_length=16, split_layer=2
    ),
)


def states_of_records(model, inputs, knowledge):
    """Z' after LM2 [rows, length, d]: each record alone through transformers' own layers."""
    layers, norm = model.lm.bert.encoder.layer, model.merge_norm
    ids, segments = inputs["ids"], inputs["segments"]
    merged = dict(zip(inputs["places"].tolist(), inputs["merged"].tolist(), strict=True))
    found = torch.zeros(*ids.shape, 16, dtype=torch.float64)
    for row in range(len(ids)):
        for segment in range(1, int(segments[row].max()) + 1):
            (own,) = torch.nonzero(segments[row] == segment, as_tuple=True)
            states = model.lm.bert.embeddings(input_ids=ids[row][own][None])
            for layer in layers[:2]:
                states = first_of(layer(states))
            states = states[0].clone()
            for i, column in enumerate(own.tolist()):
                place = row * ids.shape[1] + column
                if place in merged:
                    states[i] = states[i] + knowledge[merged[place]]
                states[i] = layer_norm(states[i], (16,), norm.weight, norm.bias, norm.eps)
            states = states[None]
            for layer in layers[2:]:
                states = first_of(layer(states))
            found[row, own] = states[0]
    return found.flatten(0, 1)


def first_of(output):
    return output[0] if isinstance(output, tuple) else output


def mean_loss(scores, answers):
    losses = [torch.logsumexp(row, 0) - row[answer] for row, answer in zip(scores, answers, strict=True)]
    return torch.stack(losses).mean().item()


def test_the_losses_are_those_of_the_paper(jaket_corpus, jaket_tokenizer):
    accelerator = Accelerator(cpu=True)
    objective = Jaket(CONFIG, corpus=jaket_corpus, tokenizer=jaket_tokenizer)
    model = objective.model.jaket
    # So far from their start that a wrong place, norm or direction shows.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    objective.before_step(0, None, accelerator)
    (batch,) = objective.next_step(0)
    inputs = {name: torch.as_tensor(array) for name, array in batch.inputs.items()}
    double = deepcopy(model).double().eval()
    memory = objective.memory.read(inputs["wanted"]).double()

    with torch.no_grad():
        knowledge = memory[inputs["nodes"]]
        for i, layer in enumerate(double.knowledge.layers):
            hop = HopTensors(*(inputs[f"hop{i}_{name}"] for name in HopTensors._fields))
            knowledge = equation(layer, knowledge, None, hop) * layer.norm.weight + layer.norm.bias
        states = states_of_records(double, inputs, knowledge)
        category = mean_loss(double.category_head(knowledge[inputs["category_of"]]), inputs["categories"])
        ends = knowledge[inputs["pairs"]]
        relation = mean_loss(
            torch.cat([ends[:, 0], ends[:, 1]], dim=1) @ double.relation_head.weight.T
            + double.relation_head.bias,
            inputs["relations"],
        )
        token = mean_loss(double.lm.cls(states[inputs["token_places"]]), inputs["token_labels"])
        first, _, second = double.entity_head
        removed = []
        for start, end, row, counts in zip(
            inputs["first_places"],
            inputs["last_places"],
            inputs["candidates"],
            inputs["allowed"],
            strict=True,
        ):
            query = second(gelu(first((states[start] + states[end]) / 2)))
            scores = {int(e): memory[e] @ query for e, counted in zip(row, counts, strict=True) if counted}
            assert len(scores) == int(counts.sum())
            removed.append(torch.logsumexp(torch.stack(list(scores.values())), 0) - scores[int(row[0])])
        entity = torch.stack(removed).mean().item()

    result = gradients(objective.model.eval(), [batch], objective.terms, accelerator)
    expected = {"category": category, "relation": relation, "token": token, "entity": entity}
    torch.testing.assert_close(
        result.means, {f"loss_{name}": mean for name, mean in expected.items()}, rtol=2e-4, atol=1e-4
    )
    torch.testing.assert_close(result.loss, sum(expected.values()), rtol=2e-4, atol=1e-4)
    assert min(batch.counts) > 3
