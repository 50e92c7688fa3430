"""Spark jobs: one stage a file; `stages` is the table of contents."""
