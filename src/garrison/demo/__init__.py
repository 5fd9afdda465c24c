"""The narrated walkthrough: three managers, agents, alerts, a failover, a balancer."""
