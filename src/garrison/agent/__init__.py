"""The agent: ships a host's log lines to a manager and obeys it. It ships alone: only ground, wire and config.

session ── pure: which server, which state, what to send          client ── its driver (TCP, UDP)
buffer  ── pure: the ring between the collectors and the server   collect ── files and commands (tail, formats)
bundle  ── pure: a pushed bundle of shared files                  store ── every file that the agent owns
requests── pure: answers to the manager's questions               response ── active responses
enroll  ── how an agent gets its key                              serve ── all of them put together
"""
