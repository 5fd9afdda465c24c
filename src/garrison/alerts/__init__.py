"""What the manager writes about what it saw: alerts, archives, the firewall log."""
