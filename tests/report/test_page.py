"""report.html, as `kgcorpus report` writes it."""

import json
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.report.charts import Bar, bars, lines, ticks
from kgcorpus.report.elements import ATTRIBUTES, TAGS, Element, document
from kgcorpus.report.page.cycles import draw_cycle
from tests.made import command
from tests.report.hostile import ELEMENTS, HOSTILE, hostile_build

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Reader(HTMLParser):
    """Collects elements, attributes and text; a style sheet is no text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.elements and self.elements[-1] != "style":
            self.text.append(data)


def read(markup):
    reader = Reader()
    reader.feed(str(markup))
    reader.close()
    return reader


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = hostile_build(tmp_path_factory.mktemp("hostile"))
    run = {"times": {"triples": {"seconds": 61.5, "tasks": 2, "source_bytes": 9}}}
    (out / "run.json").write_text(json.dumps(run))
    assert command("report", "--out", out) == 0
    return out / "report.html"


def test_no_text_of_a_build_becomes_markup(page):
    reader = read(page.read_text(encoding="utf-8"))
    assert {tag.lower() for tag in reader.elements} <= {tag.lower() for tag in TAGS} | {"html", "style"}
    assert not set(reader.elements) & set(ELEMENTS)
    # `lang` is on the root.
    assert {name for name, _ in reader.attributes} <= {"lang"} | {name.lower() for name in ATTRIBUTES}
    shown = "".join(reader.text)
    assert all(text[:20] in shown for text in HOSTILE)


def test_the_page_shows_drops_times_templates_cycles_facts_and_the_papers_counts(page):
    markup = page.read_text(encoding="utf-8")
    shown = "".join(read(markup).text)
    assert len(markup) < 3_000_000
    for text in ("61.5 s", "3,085,345", "reason ", "long tail", "Dropped", "Most important"):
        assert text in shown
    cycle = markup[markup.index('aria-label="a cycle"') :]
    assert cycle[: cycle.index("</svg>")].count('marker-end="url(#arrow)"') == 3


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("script", {}),
        ("img", {}),
        ("p", {"onclick": "x"}),
        ("a", {"href": "javascript:x"}),
        ("p", {"src": "x"}),
    ],
)
def test_elements_and_attributes_that_could_run_or_load_something_are_refused(tag, attributes):
    with pytest.raises(ValueError, match=r"report|page"):
        Element(tag, **attributes)


@given(st.text(), st.text())
def test_any_text_comes_back_as_it_was_but_for_control_characters(text, title):
    reader = read(document(title, Element("p", text, title=title)))
    assert reader.elements[-2:] == ["body", "p"]
    printable = "".join(char for char in text if char.isprintable() and char != "\\")
    if printable == text:
        assert text in "".join(reader.text)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=500), st.booleans())
def test_lines_are_drawn_inside_the_picture_whatever_the_values(points, log):
    reader = read(lines({"a": points}, x="step", y="loss", log=log))
    for name, value in reader.attributes:
        if name == "points":
            placed = [tuple(map(float, point.split(","))) for point in value.split()]
            assert len(placed) <= 400
            assert all(-1 <= x <= 641 and -1 <= y <= 251 for x, y in placed)


@given(st.floats(-1e9, 1e9), st.floats(1, 1e9))
def test_ticks_are_few_and_inside(low, size):
    high = low + size
    if high > low:
        found = ticks(low, high)
        assert len(found) <= 8
        assert all(low - size / 100 <= tick <= high + size / 100 for tick in found)


def test_bars_of_nothing_have_no_length():
    widths = [value for name, value in read(bars([Bar("a", 0), Bar("b", 0)])).attributes if name == "style"]
    assert widths == ["width:0.00%", "width:0.00%"]


def test_a_diamond_has_five_arrows_and_its_labels():
    pairs = [("A", "B"), ("A", "C"), ("C", "B"), ("A", "D"), ("D", "B")]
    triples = [{"h": h, "r": "P1", "t": t} for h, t in pairs]
    row = {"cycle_id": "c", "length": 4, "entities": ["A", "B", "C", "D"], "triples": triples}
    reader = read(draw_cycle(row, label_of={"P1": "capital of", "A": "Paris"}.get))
    assert reader.elements.count("line") == 5
    assert reader.text.count("capital of") == 5
    assert "Paris" in reader.text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: apt-get install chromium)")
def test_a_browser_draws_the_page_at_two_widths_and_runs_nothing(page, tmp_path):
    def browse(path, *options):
        common = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
        run = subprocess.run(
            [CHROMIUM, *common, *options, path.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return run.stdout

    # The texts do run where they are not escaped; otherwise this test would show nothing.
    careless = tmp_path / "careless.html"
    careless.write_text(f"<title>before</title>{HOSTILE[0]}", encoding="utf-8")
    assert "<title>ran</title>" in browse(careless, "--dump-dom")
    found = browse(page, "--dump-dom")
    assert "<title>kgcorpus: report of a build</title>" in found
    assert not set(read(found).elements) & set(ELEMENTS)
    for width in (1200, 400):
        picture = tmp_path / f"{width}.png"
        browse(page, f"--screenshot={picture}", f"--window-size={width},2000")
        assert picture.stat().st_size > 20_000
