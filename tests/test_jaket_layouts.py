"""JAKET's tables from the scores of a sweep."""

from kgcorpus.reproduce.jaket_layouts import ARMS, CLASSES, FEWREL, METAQA, table


def cell(scores, *, baseline=None):
    """A run whose arms have the scores (mean, deviation) of each column, in the order of `ARMS`."""
    found = {}
    for (column, score), values in scores.items():
        for arm, (mean, deviation) in zip(ARMS, values, strict=True):
            found[f"{column}-{arm} {score}.mean"] = mean
            found[f"{column}-{arm} {score}.deviation"] = deviation
            if baseline is not None:
                found[f"{column}-{arm} {baseline[0]}.mean"] = baseline[1]
    return {"scores": found}


def rows_of(text):
    return [
        [part.strip() for part in line.strip("|").split("|")] for line in text.split("\n\n")[0].splitlines()
    ]


LOW, HIGH = [(0.14, 0.01)] * 5, [(0.3, 0.02), (0.4, 0.02), (0.5, 0.02), (0.6, 0.02), (0.7, 0.03)]


def test_arms_are_rows_and_tasks_are_columns_with_the_fine_tuning_deviation_of_one_run():
    scores = {("classes-100", "accuracy"): HIGH, ("classes-20", "accuracy"): HIGH}
    text = table([cell(scores, baseline=("majority", 0.1))], CLASSES, "accuracy")
    head, _, *rows = rows_of(text)
    assert head == ["model", "100 %", "20 %"]
    assert rows[0] == ["language model", "30.0 ± 2.0", "30.0 ± 2.0"]
    assert rows[4] == ["JAKET", "70.0 ± 3.0", "70.0 ± 3.0"]
    assert rows[5] == ["without text (majority or chance)", "10.0", "10.0"]
    assert "floor" not in text


def test_several_runs_give_the_deviation_over_runs():
    one, other = ({("classes-5", "accuracy"): [(mean, 0.5)] * 5} for mean in (0.4, 0.6))
    cells = [cell(scores, baseline=("majority", 0.1)) for scores in (one, other)]
    assert rows_of(table(cells, CLASSES, "accuracy"))[2] == ["language model", "50.0 ± 14.1"]


def test_a_column_below_its_floor_is_named():
    """15 is one and a half times the majority's 10; FewRel's floor is 60."""
    scores = {("classes-100", "accuracy"): HIGH, ("classes-20", "accuracy"): LOW}
    text = table([cell(scores, baseline=("majority", 0.1))], CLASSES, "accuracy")
    note = text.split("\n\n")[1]
    assert note.startswith("Below the floor, so the models are not compared there: 20 %")
    assert "has 14.0, the floor is 15.0" in note
    assert "100 %" not in note
    few = {("fewrel-5-way-1-shot", "accuracy"): HIGH, ("fewrel-10-way-1-shot", "accuracy"): HIGH}
    note = table([cell(few)], FEWREL, "accuracy").split("\n\n")[1]
    assert "5-way 1-shot (the language model alone has 30.0, the floor is 60.0)" in note
    assert "10-way" not in note


def test_metaqa_has_its_own_score_and_chance():
    scores = {("metaqa-2-hop-half", "hits_at_1"): HIGH}
    text = table([cell(scores, baseline=("chance", 0.25))], METAQA, "hits_at_1")
    head, _, *rows = rows_of(text)
    assert head == ["model", "half of the triples, 2-hop"]
    assert rows[5][1] == "25.0"
    assert "the floor is 37.5" in text
