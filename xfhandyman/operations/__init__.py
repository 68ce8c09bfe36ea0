"""How the business and its site are doing, on one page, from the database alone."""
