"""How often a client, and everybody together, may do something."""
