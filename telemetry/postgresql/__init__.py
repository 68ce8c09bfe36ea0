"""Django's PostgreSQL backend, observed."""
