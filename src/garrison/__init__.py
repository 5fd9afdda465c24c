"""Garrison: a cluster of security-monitoring managers."""
