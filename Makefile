# XFHandyman. `make run` serves the site, `make test` runs all checks and tests; both need nothing installed before.
PYTHON ?= python3
BIN := .venv/bin
export npm_config_omit_lockfile_registry_resolved := true npm_config_update_notifier := false
# Containers often set it. Each start would compile the project, which is a quarter of a second of CPU.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run dev tools test quick lint lock clean backup restore audit observe score bench profile chaos dashboards vmalert image package scale rum-fuzz races lighthouse screenshots sourcemaps

run: .venv/run.stamp staticfiles/stamp  ## the site with demo data on http://127.0.0.1:8000
	@exec $(BIN)/python manage.py serve

dev: .venv/dev.stamp static/build/stamp  ## the site for development: reloads code, templates and scripts, shows exceptions
	@DEBUG=true exec $(BIN)/python manage.py serve --reload

help:  ## lists all targets
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

tools: .venv/dev.stamp  ## installs what the tests run beside the site: Chromium and, as root on Debian, Prometheus, nginx ...
	@exec $(BIN)/python -m tests.tools

test: .venv/dev.stamp node_modules/.dev.stamp staticfiles/stamp .tools/bugsink.stamp .tools/axes.stamp  ## static checks, then every test
	@exec $(BIN)/python -m tests.run

quick: .venv/dev.stamp static/build/stamp  ## the checks and tests of a minute: of what has changed, or make quick T=tests/test_money.py
	@exec $(BIN)/python -m tests.run --quick $(T)

lint: .venv/dev.stamp  ## the static checks alone
	@$(BIN)/python -m tests.run --lint

rum-fuzz: .venv/dev.stamp staticfiles/stamp  ## 100,000 hostile beacons, about 5 minutes
	@exec $(BIN)/pytest tests/test_rum_abuse.py -m long

races: .venv/dev.stamp staticfiles/stamp  ## 2,000 interleavings of payments and 14,000 concurrent operations on bookings, waiting list and travel, about 12 minutes
	@exec $(BIN)/pytest tests/test_payments_interleavings.py tests/test_scheduling_races.py tests/test_waitlist_races.py tests/test_travel_races.py -m long

lighthouse: .venv/dev.stamp node_modules/.dev.stamp staticfiles/stamp  ## what Lighthouse says of each page, as a table
	@exec $(BIN)/pytest tests/test_lighthouse.py

screenshots: .venv/dev.stamp staticfiles/stamp  ## every page and state, at each width, light and dark, into screenshots/; and the pictures of docs/
	@exec $(BIN)/pytest tests/test_screenshots.py tests/test_traces_journey.py -m long

lock: .venv/dev.stamp  ## after a change to requirements*.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements-postcodes.in -o requirements-postcodes.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header harness/peers/bugsink-requirements.in -o harness/peers/bugsink-requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header benchmarks/peers/stock-requirements.in -o benchmarks/peers/stock-requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header benchmarks/peers/appointment-requirements.in -o benchmarks/peers/appointment-requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header benchmarks/peers/vroom-requirements.in -o benchmarks/peers/vroom-requirements.txt

observe: .venv/dev.stamp static/build/stamp  ## the site with Prometheus and Alertmanager
	@exec $(BIN)/python -m ops.observe

score: .venv/dev.stamp staticfiles/stamp  ## every fault of ops/drills on a running site, recorded and scored, or some: make score NAME="lock mail-down"
	@exec $(BIN)/python -m ops.drills $(NAME)

chaos: .venv/dev.stamp staticfiles/stamp  ## every fault of ops/chaos under bookings, or one: make chaos NAME=disk-full
	@exec $(BIN)/python -m ops.chaos $(NAME)

audit: .venv/dev.stamp node_modules/.dev.stamp  ## known vulnerabilities; 3 when the services cannot be asked
	@$(BIN)/python -m tests.audit

backup: .venv/run.stamp  ## of DATABASE_URL and the media files: make backup TO=/mnt/backups
	@exec $(BIN)/python manage.py backup $(TO)

restore: .venv/run.stamp  ## into an empty database: make restore FROM=/mnt/backups/20261123T120000Z
	@exec $(BIN)/python manage.py restore $(FROM)

bench: .venv/dev.stamp staticfiles/stamp .tools/stock.stamp .tools/appointment.stamp .tools/vroom.stamp  ## every figure of docs/benchmarks.md
	@exec $(BIN)/python -m benchmarks $(NAME)

profile: .venv/dev.stamp staticfiles/stamp  ## a flame graph of what a page's CPU goes to: make profile PAGE=/book/tap-repair/
	@exec $(BIN)/python -m benchmarks.pages $(or $(PAGE),/)

sourcemaps: .venv/dev.stamp static/build/stamp  ## upload the scripts' source maps to SENTRY_URL, with SENTRY_AUTH_TOKEN, SENTRY_ORG and SENTRY_PROJECT
	@exec $(BIN)/python -m ops.sourcemaps

dashboards: .venv/dev.stamp  ## after a change to ops/dashboards
	@$(BIN)/python -m ops.dashboards

vmalert: .venv/dev.stamp  ## the alert rules for VictoriaMetrics' vmalert: make vmalert TO=/etc/vmalert
	@$(BIN)/python -m ops.vmalert $(TO)

scale: .venv/dev.stamp staticfiles/stamp  ## three nodes under load, one killed: what is lost (nothing) and what each thing costs
	@exec $(BIN)/python -m ops.scale

image: .venv/dev.stamp  ## every step of the Dockerfile, without Docker (root on Linux), then starts the result
	@exec $(BIN)/python -m ops.image

package: .venv/dev.stamp static/build/stamp  ## a wheel of telemetry alone, into dist/
	@$(BIN)/uv build --quiet --wheel --out-dir dist telemetry

clean:  ## remove everything that was installed or built
	rm -rf .venv .tools node_modules sourcemaps static/build telemetry/static/telemetry/rum.js staticfiles dist

# A stamp is written only after its step succeeded, so a half-finished set-up is simply done again.
.venv/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "XFHandyman needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/run.stamp: requirements.txt | .venv/venv.stamp
	@echo "Installing Python packages ..."
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	@echo "Installing development packages ..."
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# A tool of the tests alone, apart because it pins a Django of its own.
.tools/bugsink.stamp: harness/peers/bugsink-requirements.txt | .venv/venv.stamp
	@echo "Installing Bugsink (the tests' Sentry server) ..."
	@$(BIN)/python -m venv --clear .tools/bugsink
	@.tools/bugsink/bin/pip install -qq --disable-pip-version-check --require-hashes -r harness/peers/bugsink-requirements.txt
	@touch $@

# An application of others, whose own tests run with telemetry and without: the source that the site's lock names.
.tools/axes.stamp: requirements.txt | .venv/venv.stamp
	@rm -rf .tools/axes && mkdir -p .tools/axes
	@sed -n '/^django-axes==/,/# via/p' requirements.txt > .tools/axes/locked.txt
	@$(BIN)/pip download -qq --disable-pip-version-check --require-hashes --no-deps --no-binary :all: \
		-r .tools/axes/locked.txt -d .tools/axes && tar -xzf .tools/axes/*.tar.gz --strip-components 1 -C .tools/axes \
		&& touch $@ || echo "The source of django-axes cannot be had: its tests with telemetry are skipped."

# What the benchmarks compare with, apart for the same reason: .tools/stock.stamp, .tools/appointment.stamp, .tools/vroom.stamp.
.tools/%.stamp: benchmarks/peers/%-requirements.txt | .venv/venv.stamp
	@echo "Installing what the benchmarks compare with ($*) ..."
	@$(BIN)/python -m venv --clear .tools/$*
	@.tools/$*/bin/pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

node_modules/.stamp: package.json package-lock.json | .venv/run.stamp
	@echo "Installing browser packages ..."
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --omit=dev --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# What the tests need besides. `npm ci` empties node_modules, and with it this stamp.
node_modules/.dev.stamp: package.json package-lock.json | node_modules/.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm install --no-save --ignore-scripts --no-audit --no-fund --silent
	@touch $@

static/build/stamp: node_modules/.stamp build.mjs $(shell find static telemetry/static -name '*.[jc]s*' -not -path 'static/build/*' -not -path '*/telemetry/rum.js' 2>/dev/null)
	@mkdir -p static/build
	@$(BIN)/node build.mjs
	@touch $@

staticfiles/stamp: static/build/stamp $(shell find static telemetry/static -type f -not -path 'static/build/*' -not -path '*/telemetry/rum.js' 2>/dev/null)
	@echo "Collecting static files ..."
	@DATABASE_URL=postgresql:///never-opened $(BIN)/python manage.py collectstatic --noinput --clear -v0
	@touch $@
