"""What JAKET is asked about entities and graphs that pre-training has not seen."""
