"""What browsers are told to forbid, who of the staff gets in, and what is refused before it is read."""
