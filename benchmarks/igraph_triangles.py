"""For `graph_checks.py`: from FOLDER/edges.npy [E, 2] to FOLDER/triangles.npy [D, 3]; prints the version."""

import sys
from pathlib import Path

import igraph
import numpy as np

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    graph = igraph.Graph(edges=np.load(folder / "edges.npy"))
    triangles = graph.simplify().list_triangles()
    np.save(folder / "triangles.npy", np.array(triangles, np.int64).reshape(-1, 3))
    print(igraph.__version__)
