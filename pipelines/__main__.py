"""`spark-submit pipelines/__main__.py [TARGET...] --config FILE --out DIR`: a build on a cluster."""

import sys

from kgcorpus.cli import build_app

if __name__ == "__main__":
    sys.exit(build_app())
