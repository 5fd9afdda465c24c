"""The command line: thin programs over the public parts below."""
