"""`etc/ossec.conf` and its companions as frozen values; every fault at once."""
