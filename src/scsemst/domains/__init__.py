"""From the latent space to domain labels."""
