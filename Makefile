PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: setup programs demo test test-soak test-clients test-arm mediapipe-libraries bench-peers peers-given lint lock clean

# Two commands for users: `make demo` and `make test`. Both set up first.
demo: setup
	$(BIN)/litelens demo --out runs/demo

test: setup programs lint
	$(BIN)/pytest -n 3 -m "not slow and not soak and not clients and not arm"
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "slow and not soak"

# Real servers, a browser and systemd, which the tests of the device run against; a test without its program is skipped.
TEST_PACKAGES := btrfs-progs chromium cmark-gfm datefudge faketime ffmpeg gir1.2-gst-rtsp-server-1.0 \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-base gstreamer1.0-plugins-good iproute2 mosquitto openssh-server \
	openssl python3-gi python3-toml python3-venv python3-yaml shellcheck strace sudo systemd wrk xfsprogs
# These would go to work at the next boot, so they come only where nothing boots: into a container.
ifeq ($(wildcard /run/systemd/system),)
TEST_PACKAGES += cloud-init nginx-light
endif

programs:
	@dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1 || \
		{ test $$(id -u) = 0 && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TEST_PACKAGES) >/dev/null; } || \
		echo "Some tests will be skipped. Debian: sudo apt-get install $(TEST_PACKAGES)"

# What takes longer than `make test` may: the large backbones, every cut of every model; a million frames, 10,000
# requests, cameras that are lost again and again, services under a systemd that is booted for it.
test-soak: setup programs
	$(BIN)/pytest -m soak

# A Raspberry Pi's Debian, unpacked and run under emulation: the wheels that a device gets, installed and used there.
ARM_PACKAGES := debootstrap qemu-user-static

test-arm: setup
	@dpkg -s $(ARM_PACKAGES) >/dev/null 2>&1 || \
		{ test $$(id -u) = 0 && apt-get update -qq && apt-get install -qq -y --no-install-recommends $(ARM_PACKAGES) >/dev/null; } || \
		{ echo "It needs $(ARM_PACKAGES). Debian: sudo apt-get install $(ARM_PACKAGES)"; exit 1; }
	$(BIN)/pytest -m arm -rP

# Other projects' tools read a model file, each in an environment of its own: 1.9 GB in .venv-clients.
CLIENTS := $(patsubst tests/clients/%.txt,%,$(wildcard tests/clients/*.txt))
# What MediaPipe's wheels link to and do not carry, found on a bare Debian 12.
MEDIAPIPE_NEEDS := libGL.so.1 libEGL.so.1 libGLESv2.so.2 libgthread-2.0.so.0
MEDIAPIPE_PACKAGES := libgl1 libegl1 libgles2 libglib2.0-0

test-clients: setup mediapipe-libraries $(CLIENTS:%=.venv-clients/%/installed)
	$(BIN)/pytest -m clients -rP

mediapipe-libraries:
	@$(PYTHON) -c "import ctypes; [ctypes.CDLL(name) for name in '$(MEDIAPIPE_NEEDS)'.split()]" 2>/dev/null || \
		{ test $$(id -u) = 0 && apt-get update -qq && apt-get install -qq -y $(MEDIAPIPE_PACKAGES); } || \
		{ echo "MediaPipe needs $(MEDIAPIPE_NEEDS). Debian: sudo apt-get install $(MEDIAPIPE_PACKAGES)"; exit 1; }

# litelens beside other runtimes, each in an environment of its own: docs/bench-peers.md; 3.6 GB in .venv-peers.
MODEL ?= runs/demo/parts.tflite
DATA ?= runs/demo/pictures
ifeq ($(MODEL),runs/demo/parts.tflite)
FLOAT ?= $(firstword $(wildcard runs/demo/run/candidates/float-*.tflite))
endif
THREADS ?= 1
PEERS_IN := benchmarks/peers/runtimes/environments
PEERS := $(patsubst $(PEERS_IN)/%.txt,%,$(wildcard $(PEERS_IN)/*.txt))

# A peer that cannot be installed here is a line of the table with its reason.
bench-peers: peers-given setup
	-@$(MAKE) --keep-going --no-print-directory mediapipe-libraries $(PEERS:%=.venv-peers/%/installed)
	$(BIN)/python -m benchmarks.peers.runtimes.bench "$(MODEL)" --data "$(DATA)" --threads $(THREADS) \
		$(if $(FLOAT),--float "$(FLOAT)") $(if $(JSON),--json "$(JSON)")

peers-given:
	@for given in "$(MODEL)" "$(DATA)"; do test -e "$$given" || { echo "$$given is not there: make demo;" \
		"or make bench-peers MODEL=NAME.tflite DATA=PICTURES FLOAT=FLOAT.tflite"; exit 1; }; done

.venv-peers/%/installed: $(PEERS_IN)/%.txt
	$(install-hashed)

.venv-clients/%/installed: tests/clients/%.txt
	$(install-hashed)

define install-hashed
$(PYTHON) -m venv --clear $(@D)
$(@D)/bin/pip install --quiet --require-hashes --requirement $<
touch $@
endef

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lint: setup
	$(BIN)/ruff check .

# Maintainers: exact versions with hashes, from pyproject.toml and from each *.in of the environments.
COMPILE := uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

lock:
	$(COMPILE) --universal --extra dev pyproject.toml --output-file requirements.lock
	for name in $(basename $(wildcard tests/clients/*.in $(PEERS_IN)/*.in)); do \
		$(COMPILE) $$name.in --output-file $$name.txt || exit; done

clean:
	rm -rf .venv .venv-clients .venv-peers runs build *.egg-info
