"""Port 1515: agents ask for their identity."""
