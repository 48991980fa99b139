# Two commands matter: `make demo` and `make test`. Each sets up what it needs.

PY := .venv/bin/python

.PHONY: help demo test system-test daemon-test deb vm-test check bench fuzz format clean

help:
	@echo "make demo    the simulated building, a real cloud, the gateway, a live view (DEMO=script: by itself)"
	@echo "make test    every test"
	@echo "make system-test  what needs Debian 13: TPM, brokers, enrolment to denial (as root, for its tree)"
	@echo "make daemon-test  power cuts, crashes, full disks, wrong clocks: the installed daemon (as root)"
	@echo "make deb     both packages for Debian 13 into dist/, built twice and compared (as root)"
	@echo "make vm-test stories on a virtual Raspberry Pi (QEMU; the first time as root, for its disk)"
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
		--ignore-glob='*/test_system_daemon_*'

# minutes of power cuts, crashes, full disks and wrong clocks on the installed daemon
daemon-test:
	@./bootstrap run,cloud,test,system
	@$(PY) -m pytest tests/system -p no:cacheprovider --timeout=600 --durations=5 -k test_system_daemon

deb:
	@./bootstrap run,system
	@$(PY) -m tests.system.harness.package dist

vm-test:
	@./bootstrap run,test,vm
	@$(PY) -m pytest tests/vm -n 2 --dist loadfile -p no:cacheprovider --timeout=900 --durations=5

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
