"""`kgcorpus reproduce`: a paper's corpus, models and tables by one command."""
