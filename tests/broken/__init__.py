"""The site with pages that break, each in its own way."""

CANARY = ("Morgan Canary", "morgan.canary@example.com", "07700 900123", "SW1A 1AA", "canary-token-0123456789abcdef")
"""Personal data that must turn up nowhere: a name, an e-mail address, a phone, a postcode, a token."""
