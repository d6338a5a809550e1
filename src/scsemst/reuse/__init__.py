"""A trained model beyond its own slice: genes aligned, domains read out, weights kept on disk."""
