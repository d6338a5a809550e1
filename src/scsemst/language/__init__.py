"""From text to gene vectors: gene names, texts, encoders, tables, cache."""
