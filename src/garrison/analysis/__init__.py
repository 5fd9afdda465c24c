"""From ruleset files to verdicts on events. Compile once, run many; nothing here does I/O but `load`."""
