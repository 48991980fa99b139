# Two commands matter: `make demo` and `make test`. Each sets up what it needs.

PY := .venv/bin/python

.PHONY: help demo test system-test daemon-test update-test ota-test ota-check deb image bundle vm-test check bench fuzz format clean

help:
	@echo "make demo    the simulated building, a real cloud, the gateway, a live view (DEMO=script: by itself)"
	@echo "make test    every test"
	@echo "make system-test  what needs Debian 13: TPM, brokers, enrolment to denial (as root, for its tree)"
	@echo "make daemon-test  power cuts, crashes, full disks, wrong clocks: the installed daemon (as root)"
	@echo "make update-test  packages and configurations, good and broken, with power cuts (as root)"
	@echo "make deb     both packages for Debian 13 into dist/, built twice and compared (as root)"
	@echo "make image   the A/B disk image for a Raspberry Pi, and what a bundle is made of, into dist/ (as root)"
	@echo "make bundle  a signed update of the whole system from that image (as root)"
	@echo "make vm-test stories on a virtual Raspberry Pi (QEMU; the first time as root, for its disk)"
	@echo "make ota-test updates of the whole system on a machine with two slots: good, broken, power cuts (as root)"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make bench   the numbers of docs/performance.md"
	@echo "make fuzz    coverage-guided fuzzing of sensor decoders and enrolment bodies (FUZZ_S seconds each, default 60)"

demo:
	@./bootstrap run,cloud
	@$(PY) -m gateway demo $(if $(filter script,$(DEMO)),--script)

test:
	@./bootstrap run,cloud,test
	@$(PY) -m pytest

system-test:
	@./bootstrap run,cloud,test,system
	@$(PY) -m pytest tests/system -p no:cacheprovider --timeout=600 --durations=5 \
		--ignore-glob='*/test_system_daemon_*' --ignore-glob='*/test_system_update_*'

# minutes of power cuts, crashes, full disks and wrong clocks on the installed daemon
daemon-test:
	@./bootstrap run,cloud,test,system
	@$(PY) -m pytest tests/system -p no:cacheprovider --timeout=600 --durations=5 -k test_system_daemon

# minutes of good and broken packages and configurations, and of power cuts in between
update-test:
	@./bootstrap run,cloud,test,system
	@$(PY) -m pytest tests/system -p no:cacheprovider --timeout=900 --durations=5 -k test_system_update

deb:
	@./bootstrap run,system
	@$(PY) -m tests.system.harness.package dist

# ARCH: arm64 (a Raspberry Pi) or amd64 (QEMU); VERSION, KEYRING, TUF_ROOT, MIRROR: docs/updates.md
ARCH ?= arm64
export MIRROR
newest_deb = $$(ls -t dist/reed-gateway_*_all.deb | head -n 1)

image:
	@./bootstrap run,system,image
	@ls dist/reed-gateway_*_all.deb >/dev/null 2>&1 || $(MAKE) --no-print-directory deb
	@ota/image/$(if $(CHECK),check,build) $(ARCH) --package "$(newest_deb)" --output dist/image-$(ARCH) \
		$(if $(VERSION),--version $(VERSION)) $(if $(KEYRING),--keyring $(KEYRING)) $(if $(TUF_ROOT),--tuf-root $(TUF_ROOT))

# CERT and KEY of the signer, KEYRING of the gateways: docs/updates.md
bundle:
	@ota/bundle dist/image-$(ARCH) --cert "$(CERT)" --key "$(KEY)" --keyring "$(KEYRING)" \
		--output "dist/reed-$(ARCH)-$$(cat dist/image-$(ARCH)/version).raucb"

vm-test:
	@./bootstrap run,test,vm
	@$(PY) -m pytest tests/vm -n 2 --dist loadfile -p no:cacheprovider --timeout=900 --durations=5

# REED_OTA_CUTS: how many power cuts; ONLY: an expression for pytest -k
ota-test:
	@./bootstrap run,cloud,test,system,vm,image,ota
	@REED_OTA_TEST=1 $(PY) -m pytest tests/ota -n 2 --dist worksteal -p no:cacheprovider --timeout=3600 \
		--durations=10 $(if $(ONLY),-k "$(ONLY)")

# the part of it that needs no image: every write of a commit, by a real kernel, cut off in every way
ota-check:
	@./bootstrap run,test,system,vm
	@REED_OTA_TEST=1 $(PY) -m pytest tests/ota/test_ota_every_write.py -p no:cacheprovider --timeout=900 -s

check:
	@./bootstrap run,check,test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format:
	@./bootstrap run,check
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench:
	@./bootstrap run,test,bench
	@$(PY) -m benchmarks

fuzz:
	@./bootstrap run,fuzz
	@$(PY) tests/fuzz/run.py $(or $(FUZZ_S),60)

clean:
	rm -rf .venv var build dist *.egg-info
