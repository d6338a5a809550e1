"""Preprocessing: gene and spot semantics."""
