"""Fault drills: the running site, a fault from outside, and how well the incident explains it (`make score`)."""
