# The front door for people; agents and cron call bin/ themselves.
.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

# DIR names another repository to work on: make loop DIR=../mine.
ifeq ($(origin DIR),command line)
export AUTORESEARCH_TREE := $(value DIR)
endif

# A variable on the command line reaches a script through the environment, as it was typed: a plain export would have
# make expand a $(shell ...) in it.
given := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
$(foreach name,$(given),$(eval override export $(name) := $$(value $(name))))
export LAB_GIVEN := $(given)
export LAB_GOALS = $(value MAKECMDGOALS)

.DEFAULT:
	@lib/run/unknown-target

## Start
help: ## this list
	@{ sed -n 's/^## /\n/p; s/^\([a-z-]*\):.*## /  \1\t/p' Makefile | sed 1d | expand -t 17 && \
	  printf '\n%s\n' 'bin/VERB --help explains a command; docs/reference.md lists all settings.'; } 2>/dev/null || :
demo: ## install, prepare data, run a baseline and 3 experiments
	@bin/demo
data: ## prepare the data, once [PROFILE=full]
	@bin/data
setup: ## begin a run: branch, ledger, manifest [TAG=mar14]
	@bin/setup
loop: ## run experiments until you stop it [AGENT=claude SLOTS=8]
	@bin/loop
once: ## run one experiment
	@bin/experiment
stop: ## end the loop after the current experiments
	@bin/stop
cron: ## let cron restart the loop when it dies
	@bin/cron
uncron: ## remove that line from your crontab
	@bin/uncron
service: ## the same as make cron, by systemd [REMOVE=1]
	@bin/service

## Watch
status: ## show where the run stands
	@bin/status
watch: ## show the same, live [Ctrl-C ends it]
	@bin/watch
show: ## show one experiment: reason, diff, end of its log [N=17]
	@bin/show
compare: ## compare two experiments [A=3 B=17]
	@bin/compare
brief: ## print what the next proposer reads
	@bin/brief
hint: ## tell the proposers something [TEXT="try less weight decay"]
	@bin/hint
memory: ## search what earlier runs learned [Q="warmup"]
	@bin/memory

## Morning
audit: ## measure the gain again, with new seeds [K=2]
	@bin/audit
report: ## write the night as one page, and progress.png [WATCH=1]
	@bin/report
take: ## put the kept changes on another branch [ONTO=main]
	@bin/take
runs: ## list all runs: rows, keeps, best, gain, hours, size
	@bin/runs
retry: ## try an old experiment on today's incumbent [N=17]
	@bin/retry
noise: ## run the incumbent again and show the noise [N=3]
	@bin/noise
drop: ## show a run, ask, and delete it [TAG=mar14]
	@bin/drop
prune: ## drop old runs of which nothing was taken [DAYS=30]
	@bin/prune

## More
doctor: ## say whether this machine is fit for a night
	@bin/doctor
settings: ## show each setting, its value and its source
	@bin/settings
validate: ## check the ledger row by row
	@bin/validate
engine-check: ## check what your own engine does [ENGINE=/path/to/it]
	@bin/engine-check
mend: ## restore a ledger that was edited or deleted
	@bin/mend
replay: ## apply our rule to any ledger [LEDGER=results.tsv SD=0.0007]
	@bin/replay
rehearse: ## play a night with random faults [FAULTS=30]
	@bin/rehearse
adopt: ## work on another repository [DIR=../mine]
	@bin/adopt
install-skill: ## let your agents run experiments with this checkout
	@bin/install-skill
test: ## run the tests
	@bin/test
test-slow: ## run the tests that take longer
	@bin/test -m slow
test-long: ## run all tests; it takes an hour
	@LONG=1 bin/test
test-agents: ## run the tests with all coding agents; it installs them
	@tests/install-agents && AGENTS=1 bin/test -m slow tests/proposers
test-slurm: ## run the tests on a real Slurm on this machine
	@bin/test -m slurm tests/child/test_slurm.py
test-ray: ## run the tests on a real Ray on this machine; it installs Ray
	@tests/with-ray bin/test --numprocesses=0 -m slow tests/child/test_real_ray.py
check: ## run shellcheck, shfmt, ruff and mypy
	@bin/check
bench: ## measure the toolkit's own time and the speed of training
	@bin/bench
