"""The score of the diagnosis: the running site, a fault from outside, and what is said of it."""
