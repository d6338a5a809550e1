"""Tools: the SemST model and domains."""
