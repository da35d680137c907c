# `make setup` prepares a gateway, `make dev` adds what tests and checks need. Every target first installs its dependencies.

PYTHON ?= /usr/bin/python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

PACKAGES       := kmod nftables python3-nftables python3-venv iproute2 libbpf1 iputils-ping traceroute conntrack netbase
BENCH_PACKAGES := iptables perl
DEV_PACKAGES   := curl git gnupg jq openssh-client openssl systemd zsh fish
BPF_PACKAGES   := clang llvm libbpf-dev linux-libc-dev
DEB_PACKAGES   := debhelper dh-dkms dpkg-dev lintian unzip
BROWSER_PACKAGES := chromium
VM_PACKAGES    := qemu-system-x86 mmdebstrap debian-archive-keyring cpio e2fsprogs

NETWORKD      := packaging/networkd/50-nvi-operator.conf
NETWORKD_CONF ?= /etc/systemd/networkd.conf.d

# Tests with packets wait now and then: one worker more than there are cores.
WORKERS       ?= $(shell expr $$(nproc) + 1)

KERNEL        ?= all
QUICK_KERNELS ?= debian12-6.1 debian12-6.12

# Of a section of CHANGELOG.md that is not released yet: each commit is an upgrade of those before, and 0.1.0 of all.
VERSION       := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' nvi_operator/__init__.py)
DEB_VERSION   ?= $(VERSION)~git$(shell TZ=UTC git log -1 --format=%cd.%h --date=format-local:%Y%m%d.%H%M%S 2>/dev/null)
DEB_BUILD     := build/deb/nvi-operator

.PHONY: help setup dev man deb deb-test pipx-test networkd demo lab test test-quick test-netns differential promtool-test soak bpf bpf-check kmod-test kmod-test-quick vm-setup kmod-checkpatch bench bench-dataplane lint schema tutorial clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

setup: $(VENV)/.ready networkd ## on a gateway: the system packages, nvictl in .venv, a drop-in for systemd-networkd

dev: $(VENV)/.dev ## for developers: setup's packages, and pytest, mypy, ruff and the like

# Installs the packages of $(1) that are missing.
define install
	@missing=$$(for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		$(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

# The bindings of python3-nftables belong to the system's Python: hence --system-site-packages.
$(VENV)/.ready: pyproject.toml Makefile
	$(call install,$(PACKAGES))
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(BIN)/pip install -q -e .
	@touch $@

# Of what .ready has, and more, in one go: each installation of the project takes some 15 s.
$(VENV)/.dev: pyproject.toml Makefile
	$(call install,$(PACKAGES) $(DEV_PACKAGES))
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(BIN)/pip install -q -e '.[dev]'
	@touch $(VENV)/.ready $@

# By default systemd-networkd deletes foreign FIB rules and routes; it reads this drop-in when it starts.
networkd:
	@if [ -e /run/systemd/netif/state ] && ! cmp -s $(NETWORKD) $(NETWORKD_CONF)/$(notdir $(NETWORKD)); then \
		$(SUDO) install -D -m 644 -t $(NETWORKD_CONF) $(NETWORKD) && \
		echo "installed $(NETWORKD_CONF)/$(notdir $(NETWORKD)); then: systemctl restart systemd-networkd"; \
	fi

demo: $(VENV)/.ready ## the main job, in a laboratory of network namespaces
	$(SUDO) $(BIN)/python -m tests.lab.demo

lab: $(VENV)/.ready ## the same laboratory, with a shell
	$(SUDO) $(BIN)/python -m tests.lab dual-wan --spec examples/dual-wan

# Compiled ahead: these tests start Python some thousand times, and where the environment forbids to write bytecode each
# start compiles what it imports.
test: dev lint build/openssh ## all tests; those with packets need root
	$(BIN)/python -m compileall -q nvi_operator tests bench
	$(SUDO) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-quick: $(VENV)/.dev ## tests without a kernel that take little: a minute
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow' tests/unit tests/golden tests/property

test-netns: $(VENV)/.dev build/openssh ## those with real packets
	$(SUDO) $(BIN)/python -m pytest tests/netns tests/contract

differential: dev ## explain beside the kernel, by N random packets (default 20000); SEED=... repeats a run
	$(SUDO) $(BIN)/python -m tests.differential --packets $(or $(N),20000) $(if $(SEED),--seed $(SEED)) --out $(or $(OUT),build)

browser-test: dev ## the page of nvictl preview, in a real browser; leaves pictures of it in build/
	$(call install,$(BROWSER_PACKAGES))
	NVI_BROWSER=chromium $(BIN)/python -m pytest tests/browser

# Unpacked and not installed: the package's sshd would run, and listen on all addresses. With what of its libraries is not
# installed.
build/openssh:
	mkdir -p build/openssh.partial
	cd build/openssh.partial && $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends \
		--reinstall --download-only -o Dir::Cache::archives="$$PWD" openssh-server && \
		for package in *.deb; do dpkg-deb -x "$$package" . || exit 1; done
	mv build/openssh.partial build/openssh

# Unpacked and not installed: the package's Prometheus would run, and listen on all addresses.
build/prometheus/usr/bin/promtool:
	mkdir -p build/prometheus
	cd build/prometheus && $(SUDO) apt-get update -qq && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .

promtool-test: dev build/prometheus/usr/bin/promtool ## the alerts and the metrics, by Prometheus' promtool (a download of 20 MB)
	NVI_PROMTOOL=$(CURDIR)/build/prometheus/usr/bin/promtool $(BIN)/python -m pytest tests/promtool

soak: dev build/openssh ## hours: every example of the laws, 500 pairs of changers with kills, 10,000 edits, heals and failovers of one daemon, 2,000 kills
	NVI_EXAMPLES=all $(BIN)/python -m pytest -n auto tests/unit/language tests/property
	$(SUDO) NVI_EXAMPLES=all $(BIN)/python -m pytest tests/contract/test_nft_tables.py tests/netns/test_losses.py \
		tests/netns/test_fail_closed.py tests/netns/test_bench_dataplane.py tests/netns/test_bench_control.py tests/netns/test_saved_settings.py
	$(SUDO) $(BIN)/python -m pytest --flow-cache both tests/netns
	$(SUDO) NVI_ROUNDS=500 $(BIN)/python -m pytest -s tests/netns/test_two_at_once.py
	$(SUDO) $(BIN)/python -m pytest --soak 10000 tests/netns/test_soak.py
	$(BIN)/python -m pytest --soak 40000 tests/unit/rollout/test_kills.py tests/unit/sources/test_git_kills.py
	$(SUDO) NVI_ROUNDS=200 $(BIN)/python -m pytest -s tests/netns/test_confirm_kills.py

kmod-test: vm-setup ## the module on real kernels, in QEMU: KERNEL=all (hours), or one of tests/vm/kernels.toml
	$(SUDO) $(BIN)/python -m tests.vm $(KERNEL)

kmod-test-quick: vm-setup ## the core of them, on two kernels at a time
	$(SUDO) $(BIN)/python -m tests.vm $(QUICK_KERNELS) --suite quick --jobs 2

vm-setup: dev
	$(call install,$(VM_PACKAGES))

kmod-checkpatch: ## style of the kernel's sources: CHECKPATCH=path of a kernel tree's scripts/checkpatch.pl
	cd kmod && perl $(CHECKPATCH) --no-tree --strict --file *.[ch] include/uapi/linux/if_nvi.h Kconfig Kbuild

# Unpacked and not installed: the package of ferm would run at boot, with a configuration that drops. Without it
# the benchmark leaves that row out.
build/peers:
	mkdir -p build/ferm
	-cd build/ferm && $(SUDO) apt-get update -qq && apt-get download -qq ferm && dpkg-deb -x ferm_*.deb ../peers

bpf: $(VENV)/.ready ## compile the eBPF programs, after a change of kernel/bpf/programs; the objects are committed
	$(call install,$(BPF_PACKAGES))
	$(BIN)/python -m nvi_operator.kernel.bpf.compile

bpf-check: bpf ## are the committed objects what this compiler makes of their sources?
	git diff --exit-code --stat nvi_operator/kernel/bpf/objects

bench: dev build/peers ## benchmark the control plane against nft and others; writes docs/benchmarks.md
	$(call install,$(BENCH_PACKAGES))
	$(BIN)/pip install -q -e '.[bench]'
	$(SUDO) $(BIN)/python -m bench.control --write docs/benchmarks.md

bench-dataplane: dev ## CPU time per packet of several gateways; bench/README.md
	$(SUDO) $(BIN)/python -m bench.dataplane

lint: dev ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: $(VENV)/.ready ## write schemas/
	$(BIN)/nvictl schema > schemas/gateway.schema.json
	$(BIN)/nvictl schema host > schemas/host.schema.json
	$(BIN)/nvictl schema operator > schemas/operator.schema.json

tutorial: dev ## run docs/tutorial.md, and update its output
	$(SUDO) $(BIN)/python -m tests.lab.page docs/tutorial.md

man: build/man/nvictl.1 ## the man page, from the command line's parser; packages install it as share/man/man1/nvictl.1

build/man/nvictl.1: $(VENV)/.dev $(wildcard nvi_operator/cli/*.py nvi_operator/cli/commands/*.py)
	@mkdir -p $(@D)
	COLUMNS=100 $(BIN)/argparse-manpage --module nvi_operator.cli.parser --function make_parser \
		--project-name nvi-operator --manual-title "System administration" --format single-commands-section \
		--description "declarative network operator for Linux NAT gateways" --output $@

# A copy of the tree, so that a build leaves nothing in it; the package itself is built without network.
deb: $(VENV)/.dev man ## Debian packages of the operator and, for DKMS, of the module, in build/deb; for Debian 12 and 13
	$(call install,$(DEB_PACKAGES))
	rm -rf build/deb
	mkdir -p $(DEB_BUILD)
	git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C $(DEB_BUILD)
	mv $(DEB_BUILD)/packaging/debian $(DEB_BUILD)/debian
	$(BIN)/pip download -q --no-deps --require-hashes --only-binary :all: --implementation cp --python-version 3.11 \
		--platform manylinux_2_17_$(shell uname -m) -r packaging/debian/wheels.txt -d $(DEB_BUILD)/packaging/prepared/wheels
	mkdir -p $(DEB_BUILD)/packaging/prepared/completions
	cp build/man/nvictl.1 $(DEB_BUILD)/packaging/prepared/
	$(BIN)/nvictl completion bash > $(DEB_BUILD)/packaging/prepared/completions/nvictl
	$(BIN)/nvictl completion zsh > $(DEB_BUILD)/packaging/prepared/completions/_nvictl
	$(BIN)/nvictl completion fish > $(DEB_BUILD)/packaging/prepared/completions/nvictl.fish
	$(PYTHON) packaging/changelog.py '$(DEB_VERSION)' "$$(git log -1 --format=%cD)" < CHANGELOG.md > $(DEB_BUILD)/debian/changelog
	cd $(DEB_BUILD) && dpkg-buildpackage --build=binary --unsigned-changes > ../build.log 2>&1 || { tail -n 40 ../build.log; exit 1; }
	lintian --fail-on error,warning build/deb/*.changes
	@ls build/deb/*.deb

build/roots/%.tar:
	$(call install,mmdebstrap debian-archive-keyring)
	mkdir -p $(@D)
	$(SUDO) mmdebstrap --variant=minbase --include=ca-certificates $* $@

deb-test: deb build/roots/bookworm.tar build/roots/trixie.tar ## install, upgrade, remove and purge them in clean roots of both releases
	$(SUDO) NVI_DEB=$(CURDIR)/build/deb $(BIN)/python -m pytest tests/deb

pipx-test: dev ## install the project by pipx, as a user without root and as root (downloads)
	$(call install,pipx)
	$(SUDO) NVI_PIPX=pipx $(BIN)/python -m pytest tests/pipx

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
