"""What one training record is: a file for each system."""
