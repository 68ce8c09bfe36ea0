"""What is kept about a customer: shown to them, erased when they ask, and forgotten when it has grown old.

A customer is an e-mail address, in any case. Erased means erased: of a booking stay its date, service, handyman,
price and postal district, for the books; nothing of a message stays.
"""
