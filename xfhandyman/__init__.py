"""The composition root: settings, urls, processes, and the introductions between the two apps."""
