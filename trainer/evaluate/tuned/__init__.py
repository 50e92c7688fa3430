"""Tasks that a model is fine-tuned on: three heads, one file a benchmark."""
