"""The agents' protocol as values: bytes in, values out, and back. Pure; no module here touches a socket."""
