"""How long, how much memory: the package against a naive implementation, its parts' alternatives, its peers."""
