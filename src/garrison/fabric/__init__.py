"""The cluster engine, NATS JetStream: keyed, supervised, and wrapped in a handful of Protocols (`link`)."""
