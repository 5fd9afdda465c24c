"""Reads an agent's configuration: ossec.conf, the internal options, and what the manager pushed."""

from __future__ import annotations
