"""report.html: one static page about a build, for a browser without a network."""
