# Asks prepare.py about the data. Sourced.
# shellcheck shell=bash

# knows_check FOLDER: whether the prepare.py there knows `--check`. Another one would prepare everything, and is not
# called.
knows_check() { [[ ${PREPARE_COMMAND:-uv run prepare.py} == 'uv run prepare.py' ]] && grep -qse --check "$1/prepare.py" && [[ $("$LAB" --step knows_check "$1") == yes ]]; }

# ask_prepare FOLDER: prints what its prepare.py --check prints (a JSON object); nothing for a prepare.py without
# --check.
ask_prepare() {
  local status=0
  knows_check "$1" || return 0
  (cd "$1" && uv run --no-sync prepare.py --check </dev/null 2>/dev/null) || status=$?
  ((status != 3)) || die "the data of profile '$PROFILE' is missing" "run 'uv run prepare.py' (or: make data)"
}
