"""Definitions that all packages share: tables, stages, manifest, errors. Imports no other package of ours."""
