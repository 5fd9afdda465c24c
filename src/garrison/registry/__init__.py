"""The agents of the cluster: who they are, their keys and groups, and how they are."""
