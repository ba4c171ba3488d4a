# Cleans the environment that a person, cron, or a cluster profile leaves us: removes variables that change our
# commands, and keeps the caller's values under names that we use ourselves. Sourced first by common.sh; starts no
# process.
# shellcheck shell=bash

set +o posix # POSIXLY_CORRECT turns it on
unset POSIXLY_CORRECT BASH_ENV ENV CDPATH GLOBIGNORE
unset VIRTUAL_ENV GREP_OPTIONS GREP_COLOR GREP_COLORS TAR_OPTIONS GZIP BLOCK_SIZE DF_BLOCK_SIZE TIME_STYLE
unset -f cd command printf read test git uv python3 env bash sed grep awk cat cp mv rm ln mkdir mktemp date sleep \
  head tail tr cut sort stat find df readlink realpath xargs paste tput kill wait

# PYTHONHOME of another Python would break the environment's; with PYTHONSAFEPATH train.py would not find prepare.py.
# PYTHONPATH stays for training, and the core starts without it (lib/core).
unset PYTHONHOME PYTHONSAFEPATH PYTHONINSPECT PYTHONSTARTUP
export PYTHONUTF8=1

# In a locale that is not UTF-8 (cron has none) Python cannot read its own paths.
is_utf8() {
  local letter=$'\xc3\xa9'
  [[ ${#letter} == 1 ]]
}
if ! is_utf8; then
  for LC_ALL in C.UTF-8 C.utf8 en_US.UTF-8; do
    export LC_ALL
    ! is_utf8 || break
  done 2>/dev/null
fi

# A TMPDIR that was deleted (with a cluster job, say) or is not writable.
[[ -z ${TMPDIR+set} || ($TMPDIR == /* && -d $TMPDIR && -w $TMPDIR) ]] || { export LAB_NO_TMPDIR=$TMPDIR && unset TMPDIR; }
export HOME # bash knows it even if nobody set it

# Names of our own variables. Training and proposers see the caller's values of these names (lib/child/runner.py).
readonly OURS=(
  ADDED ADOPTED_BY AFTER AGENT_PATH ANEW_LOOKS ANOTHER ANSWERS ANY_KEYS ASKED ASK_AT AT A_SLOT BEATS BEGUN BELIEVED
  BLOB BLOBS BOUND BRANCH BRIEF BUDGET_AT BUSY_LOAD BUSY_TICKS CALL CALLED_FROM CATALOG CHECK CHECKED_OUT CHECKOUT
  CHILDREN CLI COLOUR COMMIT COMMON_DIR COMPARED CORE COUNTED DATA DURABLY EDITED ENGINE_HERE ENGINE_OF ENGINE_PATH
  ERRORS ESTIMATE_S EVERY_S FAILED_AT FAILURES FIELDS FILE FILES FITTING FIT_AT FIT_WAIT_S FLIGHT FLIGHTS FLYING
  FOLDER FOUND GIVEN_UP GOAL GPUS GRACE_S HAS_CATALOG HEAD HELD HINT HOPELESS HOST HOW_FAR ID INCUMBENT INSTALL
  IS_DELETED IS_FALL_BACK IS_PARTIAL IS_WAVE KEEPS KEYS KILLED KIND LARGEST LAST_LINE LATE_MS LEAST LEAST_INODES
  LEAST_MB LEAVINGS LEFT LEFT_OUT LIMITED LIMIT_S LOAD LOCK LOCKED LOGINS LOG_BYTES LONGEST LONGEST_BREAK LONGEST_WAIT_S
  LOOKING LOOK_AGAIN_S LOOK_AT LOOK_S LOOP_AGENT LOST MANY MARK MAY_EDIT MERGED MINUTE MINUTE_S MISSING_TOOL MOMENT
  MOST MOST_BYTES MOST_COPIED MOST_FILES MOST_GIVEN_UP MOST_KILLS MOST_REPEATED MOST_SUBMITTED MOST_WANTED MOVED
  NEEDS NEW NIGHT NOTHING NOW NUMBER NVIDIA_CARDS OBJECT OF_A_FLIGHT OF_A_JOB OF_HOST OF_SESSION OLD OLDEST_GIT
  OUR_GIT OUR_TURN OUTPUT OUTSIDE OWN_COMMAND PACKAGE PARTS PATH_OF PLACE PLACES PROFILES PROPOSERS_OF RANDOM_ID
  RECORDS REFRESH_S REFUSED REPEATED ROWS RUN RUN_DIR SAID SAVED SCRATCH SECRET_NAME SECRET_VALUE SETTINGS SILENT
  SINCE SLACK SLOT SLOW SMI_LIMIT_S SPECS START STARTED STATE STATUS STEP STOPPED SUBMITTED TAGS_THERE TAKEN TIP TOLD
  TOOLKIT TOUCHED TREE TREES VALUE VENV VERSION_S WAITING WAIT_S WHERE WHICH WHY
)
if [[ -z ${LAB_CALLER:-} ]]; then
  for LAB_CALLER in "${OURS[@]}"; do
    [[ -z ${!LAB_CALLER+set} ]] || { export "LAB_CALLER_$LAB_CALLER=${!LAB_CALLER}" && unset "$LAB_CALLER"; }
  done
  export LAB_CALLER=yes # child scripts must not do this again: their values are ours
fi
