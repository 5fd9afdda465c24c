"""What every other package stands on; it knows nothing of the product."""
