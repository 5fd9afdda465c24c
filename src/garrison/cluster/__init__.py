"""The master's duties and what everybody can say about the cluster."""
