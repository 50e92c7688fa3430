"""TRELM's dynamic knowledge routing (arXiv 2403.11203, section 3.3), and the LoRA baseline of its size."""
