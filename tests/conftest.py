"""What every test shares: hypothesis without a stopwatch, since a busy machine is not a defect."""

from hypothesis import HealthCheck, settings

settings.register_profile("reed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reed")

# a virtual machine, Debian 13 trees: `make vm-test`, `make system-test`
collect_ignore = ["vm", "system", "tpm"]
