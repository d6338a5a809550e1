"""Pure torch modules of the SemST model."""
