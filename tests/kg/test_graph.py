import networkx as nx
import pytest
from hypothesis import given

from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.graph import Graph

from .conftest import as_graph, as_table, multigraphs
