# From a fresh clone, with Python >= 3.11 and make:
#   make demo    find the layers of a slice of human cortex, score them and draw them: demo/domains.png
#   make test    fetch the models the tests read, run the tests
# Both create .venv on first use. PYTHON=..., ARGS=... are passed on: make test ARGS="-k import", make demo ARGS="--seeds 5"

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs

# The constraints know a CPU torch for 3.11, so it comes first. Some systems ship a Python that cannot make a venv.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# uv reads none of pip's variables
empty :=
space := $(empty) $(empty)
comma := ,
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
endif
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

UV_INSTALL = $(BIN)/uv pip install --python $(BIN)/python -c constraints.txt
# Nothing here needs CUDA: without wheels of our own, ask for the CPU torch first
ifndef UV_FIND_LINKS
CPU_INSTALL = UV_TORCH_BACKEND=$${UV_TORCH_BACKEND:-cpu} $(UV_INSTALL) $(1) || $(UV_INSTALL) $(1)
else
CPU_INSTALL = $(UV_INSTALL) $(1)
endif

.PHONY: demo test docs tutorials lint audit clean

demo: $(INSTALLED)
	$(BIN)/python -m scsemst demo $(ARGS)

test: $(INSTALLED)
	$(BIN)/python scripts/fetch_test_weights.py
	$(BIN)/python -m pytest $(ARGS)

docs: $(DOCS_INSTALLED)
	$(BIN)/sphinx-build -M html docs docs/_build -W --keep-going $(ARGS)

tutorials: $(DOCS_INSTALLED)
	$(BIN)/python scripts/fetch_test_weights.py
	$(BIN)/python scripts/run_tutorials.py $(ARGS)

lint: $(INSTALLED)
	$(BIN)/uv tool run ruff check
	$(BIN)/uv tool run ruff format --check
	$(BIN)/uv tool run mypy --python-executable $(BIN)/python
	$(BIN)/uv tool run zizmor --offline --no-progress --quiet .github/workflows

# Everything that `pip install .` and the tests bring along; the service knows torch without its suffix for CPUs
audit: $(INSTALLED)
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed 's/+cpu$$//' > $(VENV)/audited.txt
	$(BIN)/uv tool run pip-audit --requirement $(VENV)/audited.txt --no-deps --disable-pip --strict --progress-spinner off $(ARGS)

clean:
	rm -rf $(VENV) docs/_build docs/api/generated docs/tutorials

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "Python >= 3.11 with the venv module is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/uv
	$(call CPU_INSTALL,-e . --group test)
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(call CPU_INSTALL,-e . --group test --group doc)
	touch $@
