"""Views of a build for people: report.json, the dataset card, readable rows, and terminal output."""
