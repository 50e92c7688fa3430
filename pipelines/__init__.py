"""Spark jobs: one stage a file; `stages` is the table of contents."""

# Read by kgcorpus.contracts.own_packages: other projects have packages of this name, too.
PROJECT = "kgcorpus"
