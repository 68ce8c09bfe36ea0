"""The site on several web nodes behind nginx and PgBouncer, on this machine. `make scale` puts it under load."""
