# The front door for people; agents and cron call bin/ themselves.
.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

# Another repository that the toolkit works on, each time: make loop DIR=../mine.
ifeq ($(origin DIR),command line)
export AUTORESEARCH_TREE := $(value DIR)
endif

# A variable of the command line reaches a script through the environment, as it was typed: a plain export would have
# make expand a $(shell ...) in it.
$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),\
  $(eval override export $(name) := $$(value $(name)))))

help: ## what there is
	@{ sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12; } 2>/dev/null || :
demo: ## from a fresh clone to kept improvements in a few minutes
	@bin/demo
data: ## prepare the data, once [PROFILE=full]
	@bin/data
setup: ## begin a run: branch, ledger, manifest [TAG=mar14 FROM=<commit> TIME_BUDGET=60]
	@bin/setup
loop: ## run experiments for ever [AGENT=catalog MODEL= MAX_EXPERIMENTS=0]
	@bin/loop
once: ## run one experiment
	@bin/experiment
status: ## where the run stands
	@bin/status
brief: ## what the proposer is told next
	@bin/brief
hint: ## tell the proposer something [TEXT="try less weight decay" CLEAR=1]
	@bin/hint
memory: ## search what earlier runs have taught [Q="warmup"]
	@bin/memory
watch: ## the status, live [Ctrl-C ends it]
	@bin/watch
show: ## one experiment: row, reason, runs, diff, the end of its log [N=17]
	@bin/show
compare: ## two experiments: scores, curves, code [A=3 B=17]
	@bin/compare
retry: ## an old experiment again, on today's incumbent [N=17]
	@bin/retry
stop: ## end the loop after the experiment in flight
	@bin/stop
cron: ## have cron start the loop again when it dies
	@bin/cron
uncron: ## take that line out of your crontab
	@bin/uncron
service: ## the same as make cron, by systemd [REMOVE=1]
	@bin/service
noise: ## run the incumbent again, and tell the noise [N=3]
	@bin/noise
audit: ## how much of the claimed gain is there in fresh runs [K=2]
	@bin/audit
report: ## the night as one page, and the progress picture [WATCH=1; TAGS="mar14 mar15"; LEDGER=results.tsv OUT=DIR]
	@bin/report
take: ## what a run has kept, as commits on another branch [ONTO=main N="4 9" SQUASH=1]
	@bin/take
settings: ## each setting, its value, and where that comes from
	@bin/settings
adopt: ## work on another repository: its run, branch and ledger are there [DIR=../mine]
	@bin/adopt
runs: ## every run: rows, keeps, best, gain, hours, audit, taken, size
	@bin/runs
drop: ## delete a run: branch, folder and refs, after they are shown [TAG=mar14 FORCE=1]
	@bin/drop
prune: ## drop the runs that are old and not taken [DAYS=30 FORCE=1]
	@bin/prune
doctor: ## whether this machine is fit for a night [AGENT=catalog]
	@bin/doctor
engine-check: ## whether an engine does what is asked of one [ENGINE=/path/to/it]
	@bin/engine-check
mend: ## make results.tsv, and all records of a run, again from what was recorded [TAG=mar14]
	@bin/mend
validate: ## check the ledger, row by row
	@bin/validate
replay: ## what our rule says to each row of any ledger [LEDGER=results.tsv SD=0.0007]
	@bin/replay
rehearse: ## play a night with a fake trainer and random faults [FAULTS=30 SEED=]
	@bin/rehearse
install-skill: ## let your agents know how to run experiments with this checkout [DEST=path/to/repository]
	@bin/install-skill
test: ## run the tests
	@bin/test
test-slow: ## the tests that take longer: real trainings and agents, kills at random
	@bin/test -m slow
test-long: ## all tests, those that take an hour too
	@LONG=1 bin/test
test-agents: ## the tests with all coding agents, which it installs first
	@tests/install-agents && AGENTS=1 bin/test -m slow tests/proposers
test-slurm: ## the tests on a real Slurm of two nodes, all on this machine
	@bin/test -m slurm tests/child/test_slurm.py
check: ## shellcheck, shfmt, ruff, mypy
	@bin/check
bench: ## measure the toolkit's own time, and the training's speed
	@bin/bench
