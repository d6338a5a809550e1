"""Scores of domains, with and without labels."""
