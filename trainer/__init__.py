"""The training stage: reads shards, never Spark."""
