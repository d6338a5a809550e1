"""From gene vectors to spot vectors."""
