"""Port 1514 on a manager: the agents' connections."""
