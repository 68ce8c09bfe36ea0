"""The site as a reader of the packages' documentation extends it."""
