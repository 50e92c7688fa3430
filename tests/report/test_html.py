"""Rows as a notebook shows them."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.report.html import row_as_html, table_as_html


class Reader(HTMLParser):
    """Collects the elements, and the text of those that are marked."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self.marked, self.titles = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        if tag == "mark":
            self.titles.append(dict(attrs)["title"])

    def handle_data(self, data):
        self.text.append(data)
        if self.elements[-1] == "bdi":
            self.marked.append(data)


def read(markup):
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader


def mention(start, end, qid):
    return {"start": start, "end": end, "qid": qid, "source": "anchor", "confidence": 1.0}


def test_mentions_are_marked_and_named():
    text = "Paris <b>is</b> in France & nowhere else."
    row = {"text": text, "mentions": [mention(0, 5, "Q90"), mention(19, 25, "Q142")]}
    reader = read(row_as_html("linked_sentences", row, label_of={"Q90": "Paris"}.get))
    assert reader.marked == ["Paris", "France"]
    assert reader.titles == ["Paris", "Q142"]
    assert "b" not in reader.elements
    assert " <b>is</b> in " in reader.text


def test_a_slot_with_an_id_of_several_words_is_named():
    slots = [{"start": 0, "end": 4, "sentence": 0, "slot": 1, "qid": "Douglas Adams", "lang": "ltg"}]
    row = {"text": "Adam [mask] x", "slots": slots}
    reader = read(row_as_html("code_switched", row, label_of={"Douglas Adams": "Adams"}.get))
    assert reader.titles == ["Adams"]


@given(
    text=st.text(max_size=60),
    spans=st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70)), max_size=4),
    ident=st.text(max_size=8),
)
def test_nothing_in_a_row_becomes_markup(text, spans, ident):
    row = {"text": text, "mentions": [mention(start, end, ident) for start, end in spans]}
    markup = row_as_html("linked_sentences", row, label_of=lambda _: '"><script>')
    known = {"table", "tbody", "tr", "th", "td", "mark", "bdi", "span", "br"}
    assert set(read(markup).elements) <= known
    cells = table_as_html([ident], [[text]])
    assert set(read(cells).elements) <= known | {"thead"}


def test_a_notebook_typesets_no_formula_in_a_table():
    formula = "$\\href{javascript:alert(1)}{x}$"
    row = row_as_html("plain_text", {"text": formula}, label_of={}.get)
    for markup in (row, table_as_html(["a"], [[formula]])):
        assert markup.startswith('<table class="tex2jax_ignore mathjax_ignore">')
        assert formula in "".join(read(markup).text)
