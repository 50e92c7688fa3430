"""Proofs that an objective teaches what it claims to, on small worlds: see README.md."""
