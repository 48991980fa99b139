"""Every decision of the gateway, pure: events and the time go in, commands come out."""
