"""Drills: the real stack, a steady load, one fault from outside, and the sentence that must arrive."""
