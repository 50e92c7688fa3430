"""Training and evaluation, in torch: a folder for each method, one loop, and no Spark."""

# Read by kgcorpus.contracts.own_packages: other projects have packages of this name, too.
PROJECT = "kgcorpus"
