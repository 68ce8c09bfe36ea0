"""Chaos: the real stack under booking load, one fault at a time, and a checker that trusts nobody's word."""
