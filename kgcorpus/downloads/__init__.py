"""`kgcorpus download`: dumps and evaluation sets from their official addresses."""
