"""`python -m kgcorpus` is the `kgcorpus` command."""

from kgcorpus.cli import entry

if __name__ == "__main__":
    entry()
