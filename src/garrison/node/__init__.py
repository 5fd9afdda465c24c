"""One node: the place where all parts meet."""
