# Every target makes .venv and installs htr there by itself; the second time that takes no time.

# One for which all packages come ready-made, if there is any.
PYTHON ?= $(or $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import ensurepip, sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$python && break; \
	done),python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
ENCODERS := $(VENV)/encoders

# What was installed for a Python that has gone or been exchanged since serves no more.
$(shell test ! -e $(INSTALLED) || $(BIN)/python -c 'import pip' 2>/dev/null || rm -f $(INSTALLED))

# Where IAM lies; without it, make train and make evaluate use the embedded sample.
IAM ?=
# Some shells leave the home folder as typed.
override IAM := $(patsubst ~/%,$(HOME)/%,$(IAM))

# The others are not taken from the environment, where these names may mean something else.
PAGE := data/sample/page.png
# Pages with their truth, for make evaluate-pages: a folder, or iam:folder.
PAGES := $(if $(IAM),$(if $(shell test -d "$(IAM)/forms" && echo yes),iam:$(IAM)))
WEIGHTS :=
# Pages that nobody transcribed, for make finetune, with or without labelled ones.
UNREAD :=
# Your own labelled lines or pages, for make finetune.
DATA := $(if $(UNREAD),,data/sample)
# The weights that make finetune makes, else runs/my.safetensors; the folder of results of make recognize, else the screen.
OUT :=
# What make recognize writes: text, json, alto, ...
FORMAT :=
# The language model that helps in reading.
LANGUAGE :=
# Values of the config to change: make train SET="epochs=5 seed=2".
SET :=
# More options of htr.recognize: make recognize ARGS="--resume --overlay".
ARGS :=

CONFIG := configs/$(if $(IAM),iam,sample).yaml
CORPUS := $(if $(IAM),iam:$(IAM),sample)

# Further collections of a report, by their language: make report IAM=data/iam FRENCH="lines:data/letters".
ENGLISH :=
FRENCH :=

.PHONY: help train finetune pretrain train-small train-default study train-finder evaluate evaluate-pages report peers recognize test lint format clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: IAM=folder  PAGE=file|folder  PAGES=folder  DATA=folder  UNREAD=folder  OUT=file|folder  FORMAT=name  LANGUAGE=name  ENGLISH=\"data ...\"  FRENCH=\"data ...\"  WEIGHTS=file  CONFIG=file  SET=\"key=value ...\"  ARGS=\"--option ...\"  PYTHON=python3.x"

train: $(INSTALLED) ## train on IAM=folder, or for some minutes on the embedded sample
	$(BIN)/python -m htr.train --config "$(CONFIG)" $(if $(IAM),"data=iam:$(IAM)") $(SET)
	$(if $(filter configs/sample.yaml,$(CONFIG)),$(if $(findstring run=,$(SET)),,$(BIN)/python -m htr.evaluate --data sample --weights runs/sample/model.safetensors))

finetune: $(INSTALLED) ## teach the weights your own hand: DATA=folder of lines or pages with their texts, UNREAD=folder of pages without, OUT=file
	$(BIN)/python -m htr.finetune $(if $(DATA),"$(DATA)") --out "$(or $(OUT),runs/my.safetensors)" $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
		$(if $(UNREAD),--unread "$(UNREAD)") $(if $(LANGUAGE),--language "$(LANGUAGE)") $(SET)

pretrain: $(INSTALLED) ## train on lines drawn in handwriting fonts alone, to start from
	$(BIN)/python -m htr.train --config configs/synthetic.yaml $(SET)

train-small: $(INSTALLED) ## go on from the weights iam with all collections of configs/small.yaml
	$(BIN)/python -m htr.train --config configs/small.yaml $(SET)

train-default: $(INSTALLED) ## train on all collections from a network that reads, in five stages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps rapidocr==3.10.0
	$(BIN)/python -m htr.train --config configs/reader.yaml $(SET)
	$(BIN)/python -m htr.train --config configs/reader-64.yaml $(SET)
	$(BIN)/python -m htr.train --config configs/reader-hard.yaml $(SET)
	$(BIN)/python -m htr.train --config configs/reader-fonts.yaml $(SET)
	$(BIN)/python -m htr.train --config configs/reader-fonts.yaml run=runs/reader-fonts-short seed=5 minutes=30 $(SET)
	test -f runs/reader-fonts/mean.safetensors || $(BIN)/python -m htr.average runs/reader-hard/model.safetensors \
		runs/reader-fonts-short/model.safetensors runs/reader-fonts/model.safetensors runs/reader-fonts/model.safetensors \
		--data $$(sed -n '/^data:/,/^[^-]/s/^- //p' runs/reader-fonts/config.yaml) --out runs/reader-fonts/mean.safetensors
	test -f runs/reader-fonts/beside-small.safetensors || $(BIN)/python -m htr.join runs/reader-fonts/mean.safetensors small \
		--shares 0.7 0.3 --out runs/reader-fonts/beside-small.safetensors
	$(BIN)/python -m htr.train --config configs/default.yaml $(SET)
	test -f runs/default/default.safetensors || $(BIN)/python -m htr.average runs/reader-fonts/beside-small.safetensors \
		runs/default/model.safetensors --data $$(sed -n '/^data:/,/^[^-]/s/^- //p' runs/default/config.yaml) \
		--out runs/default/default.safetensors

study: $(ENCODERS) ## compare starts, amounts of labelled lines and recipes, for many hours; needs data/iam, data/hooker, data/fonts
	$(BIN)/python -m htr.study $(addprefix configs/studies/,pretraining.yaml transfer-iam.yaml transfer-hooker.yaml recipe.yaml)

train-finder: $(INSTALLED) ## train the finder of lines on the train lines of IAM=folder, or on lines drawn in fonts
	$(BIN)/python -m htr.train_finder --config configs/finder.yaml "data=$(CORPUS)" $(SET)

evaluate: $(INSTALLED) ## score the weights on the test lines of IAM=folder, or of the embedded sample
	$(BIN)/python -m htr.evaluate --data "$(CORPUS)" $(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(LANGUAGE),--language "$(LANGUAGE)")

evaluate-pages: $(INSTALLED) ## score finding and reading on PAGES=folder with ALTO or PAGE XML, also turned and warped
	$(if $(PAGES),,$(error give a folder of pages with their ALTO or PAGE XML: make evaluate-pages PAGES=folder))
	$(BIN)/python -m htr.evaluate --pages "$(PAGES)" --distort $(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(LANGUAGE),--language "$(LANGUAGE)")

report: $(INSTALLED) ## measure what reports/ lacks, on the embedded sample and IAM=folder, and draw the report
	$(BIN)/python -m htr.benchmark --english sample $(if $(IAM),"iam:$(IAM)") $(ENGLISH) $(if $(FRENCH),--french $(FRENCH)) \
		$(if $(PAGES),--pages $(if $(filter file,$(origin PAGES)),"$(PAGES)",$(PAGES))) $(if $(WEIGHTS),--weights $(WEIGHTS))

peers: $(INSTALLED) ## install other readers, each in an environment of its own, to be compared with in the report
	$(BIN)/python -m htr.benchmark.peers

recognize: $(INSTALLED) ## show what stands on PAGE=file or folder, or write it to OUT=folder as FORMAT=text, alto, ...
	@$(BIN)/python -m htr.recognize "$(PAGE)" $(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(LANGUAGE),--language "$(LANGUAGE)") \
		$(if $(FORMAT),--format "$(FORMAT)") $(if $(OUT),--out "$(OUT)") $(ARGS)

# Several at a time, each on one core.
test: $(INSTALLED) ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: $(INSTALLED) ## check the style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED) ## put the code in style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv and what programs left; runs/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: htr needs Python 3.10 or newer; give one with PYTHON=..."; exit 2; }
	@test "$(origin PYTHON)" != "command line" -o ! -x $(BIN)/python || \
		test "`$(BIN)/python -V 2>&1`" = "`$(PYTHON) -V 2>&1`" || rm -rf $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null 2>&1 || \
		$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(ENCODERS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,encoders]'
	@touch $@
