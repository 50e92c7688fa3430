"""The bottom floor: what a table, a stage, a manifest and an error are. Imports nothing of ours."""
