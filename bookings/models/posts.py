"""What makes the same form posted twice one row."""

import uuid


def new_idempotency_key() -> str:
    """For a form: the same key posted twice is the same booking."""
    return uuid.uuid4().hex
