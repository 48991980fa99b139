"""The alarms of the site, with the states of ISA-18.2."""
