"""The validation of TRELM judges CKA over the whole vocabulary, corrected by the log q of the negatives."""

import pytest
import torch

from tests.trainer.trelm.made import config_of, make, objective_of, options_of, tensors_of
from trainer.trelm.inputs import TrelmInputs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def validated(made, *, logq):
    """An objective with a validation of the training passages."""
    config = config_of(trelm=options_of(inject="both", logq=logq), validate_every=1, validation_records=20)
    objective = objective_of(made, config, validation_files=made.files)
    objective.model.eval()
    return objective


@torch.no_grad()
def right_by_hand(objective, batch, *, corrected):
    """A loop over tokens and candidates of eq. 2 with log q."""
    model, inputs = objective.model, TrelmInputs.of(tensors_of(batch))
    states, found = model.asked_states(model.states(inputs), inputs), []
    guesses, negatives = objective._held_out._guesses, objective._held_out._negatives
    for state, token in zip(states, batch.questions, strict=True):
        scores = (model.packed.table @ state + model.packed.bias).double()
        if corrected:
            scores = scores + torch.from_numpy(guesses.log_q(token))
        others = set(negatives.other_truths(token).tolist()) - {token.label}
        allowed = [i for i in range(len(scores)) if i not in others]
        found.append(max(allowed, key=lambda i: (scores[i].item(), -i)) == token.label)
    return found


@pytest.mark.parametrize("logq", [False, True])
def test_cka_is_judged_over_the_whole_vocabulary_with_log_q(made, logq):
    objective = validated(made, logq=logq)
    with torch.no_grad():
        # Scores near those of a trained model: without a correction frequent tokens win.
        objective.model.packed.bias.add_(torch.randn(len(objective.model.packed.bias)))
    parts = objective.validation()
    assert set(parts) == {"", "without_injection"}
    for batches in parts.values():
        for batch in batches:
            assert [token.label for token in batch.questions] == batch.inputs["asked_labels"].tolist()
            with torch.no_grad():
                found = objective.right(batch, tensors_of(batch))["cka"].tolist()
            assert found == right_by_hand(objective, batch, corrected=not logq)
            assert len(found) > 20


def test_a_validation_is_right_where_only_log_q_makes_it_so(made):
    """With scores of log p - log q the answer of each question is the one of the highest p."""
    objective = validated(made, logq=False)
    (batch,) = objective.validation()[""]
    guesses, token = objective._held_out._guesses, batch.questions[0]
    probable = torch.full((len(objective.model.packed.bias),), -20.0, dtype=torch.float64)
    probable[token.label] = 0.0
    with torch.no_grad():
        log_q = torch.from_numpy(guesses.log_q(token))
        objective.model.packed.table.zero_()
        objective.model.packed.bias.copy_(probable - log_q.clamp(min=-60))
        found = objective.right(batch, tensors_of(batch))["cka"]
    assert found[0]
    rare = int((probable - log_q.clamp(min=-60)).argmax())
    assert rare != token.label
