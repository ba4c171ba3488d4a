# What a prepare.py says of the data. Sourced.
# shellcheck shell=bash

# knows_check FOLDER: whether the prepare.py there knows `--check`: another would prepare everything, and change what is compared. Where
# another command prepares the data, it is not asked.
knows_check() { [[ ${PREPARE_COMMAND:-uv run prepare.py} == 'uv run prepare.py' ]] && grep -qse --check "$1/prepare.py" && [[ $("$LAB" --step knows_check "$1") == yes ]]; }

# ask_prepare FOLDER: prints what the prepare.py there says of the data (a JSON object), or nothing (a stranger's prepare.py).
ask_prepare() {
  local status=0
  knows_check "$1" || return 0
  (cd "$1" && uv run --no-sync prepare.py --check </dev/null 2>/dev/null) || status=$?
  ((status != 3)) || die "the data of profile '$PROFILE' is not there" "run 'uv run prepare.py' (or: make data)"
}
