"""Faults of a build's inputs while it reads them."""

import os
import threading
import time

from tests.e2e.faults.place import Done, Fault, Place


def pipe(place: Place) -> Done:
    os.mkfifo(place.folder / "triples.txt")
    return place.build_from(f"graph: {{triples: [{place.folder / 'triples.txt'}]}}\n", "triples")


def grows_while_read(place: Place) -> Done:
    """Appended to when the build has hashed it; Spark has not started by then."""
    triples = place.folder / "triples.txt"
    triples.write_text("Q1\tP1\tQ2\n")

    def append() -> None:
        while not (place.out / ".sources.json").exists():
            time.sleep(0.01)
        with triples.open("a") as stream:
            stream.write("Q3\tP1\tQ4\n")

    writer = threading.Thread(target=append)
    writer.start()
    done = place.build_from(f"graph: {{triples: [{triples}]}}\n", "triples")
    writer.join()
    assert not (place.out / "manifest.json").exists()
    return done


FAULTS = (
    Fault("a pipe as input", "`graph.triples` is a FIFO without a writer", 3, pipe),
    Fault("an input that grows", "a line appended while it is read", 3, grows_while_read),
)
