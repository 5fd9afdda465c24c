"""`garrison demo`."""
from __future__ import annotations
import argparse
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """x"""
def run(arguments: argparse.Namespace) -> int:
    """x"""
    return 1
