# runs/<tag>/wanted: says that a person wants a loop of this run, and with which settings. bin/loop writes it. Ctrl-C,
# `make stop`, and the last of the wanted rows remove it. So a stopped loop stays stopped, and bin/keepalive restarts
# one that died. Sourced.
# shellcheck shell=bash

[[ -n ${OF_SESSION:-} ]] || source "$TOOLKIT/lib/run/caller.sh"

# shellcheck disable=SC2034 # used where this is sourced
readonly MINUTE=${LAB_MINUTE:-60} # seconds; shorter in tests
MARK=wanted

# Variables that a restarted loop gets, besides the settings and those named in PASS_ENV.
readonly SAVED='^(PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|UV_(PROJECT_ENVIRONMENT|CACHE_DIR)|LD_LIBRARY_PATH|PYTHONPATH|XDG_[A-Z]+_HOME|(CUDA|NCCL|TORCH|PYTORCH|TRITON|XLA|JAX|TF|HIP|ROCR|HSA|OMP|MKL|OPENBLAS|NUMEXPR)_[A-Z0-9_]+|HF_(HOME|HUB_CACHE|HUB_OFFLINE|DATASETS_CACHE|DATASETS_OFFLINE)|TRANSFORMERS_(CACHE|OFFLINE)|TOKENIZERS_PARALLELISM|WANDB_(MODE|DIR|PROJECT|ENTITY)|[Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]|([Hh][Tt][Tt][Pp][Ss]?|[Aa][Ll][Ll])_[Pp][Rr][Oo][Xx][Yy]|(REQUESTS|CURL)_CA_BUNDLE|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|[A-Z_]+_(BASE_URL|API_BASE|ENDPOINT|MODEL)|CLAUDE_CONFIG_DIR|CODEX_HOME|LLM_USER_PATH|CLAUDE_CODE_USE_(BEDROCK|VERTEX)|AWS_(PROFILE|REGION)|(SLURM|SBATCH|SQUEUE|SCANCEL|SCONTROL)_[A-Z0-9_]+|LAB_AGENT_QUIET|LAB_MINUTE)$'
# Variables of the job in which somebody starts a loop: the next job has others.
readonly OF_A_JOB='^SLURM_(JOB|JOBID|STEP|TASK|NODE|NNODES|NTASKS|NPROCS|PROCID|LOCALID|GTIDS|CPU|GPU|MEM|SUBMIT|TOPOLOGY|PRIO|WORKING|LAUNCH|SRUN|DISTRIBUTION|EXPORT)'

# rows: prints the number of settled experiments, without the baseline.
rows() {
  local lines=0 commit file
  [[ ! -s $RUN/experiments.jsonl ]] || lines=$(grep -c '' "$RUN/experiments.jsonl")
  for file in "$RUN"/flights/f*[0-9]/commit; do
    { read -r commit <"$file"; } 2>/dev/null || continue
    ! is_on_record "$commit" || lines=$((lines - 1))
  done
  printf '%s' $((lines > 1 ? lines - 1 : 0))
}

# check_pass_env: every variable in PASS_ENV is set, and may be saved.
check_pass_env() {
  local name names
  read -ra names <<<"${PASS_ENV:-}"
  for name in "${names[@]}"; do
    [[ ! ${name^^} =~ $SECRET_NAME ]] ||
      die "PASS_ENV names '$name', a key, and keys are not saved to disk" \
        "put the proposer's key into '.env': $name=..."
    caller_value "$name" ||
      die "PASS_ENV names '$name', which is not set" "set it: $name=... make loop; or remove it from PASS_ENV"
    [[ ! ${VALUE,,} =~ $SECRET_VALUE ]] ||
      die "PASS_ENV names '$name', an address with a key, and keys are not saved to disk" \
        "remove it from PASS_ENV: PASS_ENV= make loop"
    [[ $VALUE != *$'\n'* ]] ||
      die "PASS_ENV names '$name', whose value has more than one line" 'put the value into a file, and pass the path'
  done
}

# tell_lost_names: a restarted loop may lack variables of the first one. They are reported. They may also explain a
# failing run, until one run succeeds without them: RUN/lost_variables, for lib/lab/verdict/measure.py.
tell_lost_names() {
  local lost
  lost=$(comm -23 <(sort "$RUN/variables" 2>/dev/null) <({ caller_names && names_of_keys; } | sort -u) | paste -sd' ' -)
  if [[ -n $lost ]]; then
    put "$RUN/lost_variables" "$lost"
    tell "these variables were set when the loop first started, but not at this restart: $lost;" \
      "to keep the values that training needs: PASS_ENV='NAME ...' make loop"
  else
    rm -f "$RUN/lost_variables"
  fi
  [[ ${LAB_RESTARTED:-} == yes ]] || caller_names >"$RUN/variables" # only a loop started by a person sets the list
  unset LAB_RESTARTED
}

# want GOAL: from now on a loop is wanted, until GOAL rows (0: no limit). SETTINGS names the settings to save.
want() {
  local name other names
  for other in "$TREE"/runs/*/wanted; do
    [[ $other == "$RUN/wanted" ]] || rm -f "$other" # a tree has one loop
  done
  while IFS= read -r name; do
    [[ ! $name =~ $SAVED || $name =~ $SECRET_NAME || $name =~ $OF_A_JOB ]] || SETTINGS+=("$name")
  done < <(compgen -e)
  read -ra names <<<"${PASS_ENV:-}"
  rm -f "$RUN/wanted.new"
  (
    umask 077 # ON_KEEP may hold a private address
    exec >"$RUN/wanted.new"
    # Our own proposers and engines are saved by name, since this copy of the toolkit may be deleted.
    printf '%s\n' "GOAL=$1" "COPY=$TOOLKIT" "TAG=$TAG" "AGENT=${AGENT_PATH#"$TOOLKIT/lib/proposers/"}" \
      "ENGINE=${ENGINE_PATH#"$TOOLKIT/lib/child/engines/"}"
    for name in "${SETTINGS[@]}"; do
      [[ ${!name} == *$'\n'* || $name == MAX_EXPERIMENTS || (${!name,,} =~ $SECRET_VALUE && $name != ON_*) ]] || printf '%s=%s\n' "$name" \
        "${!name}"
    done
    for name in "${names[@]}"; do
      caller_value "$name"
      printf '%s=%s\n' "$name" "$VALUE"
    done
  )
  make_durable "$RUN/wanted.new"
  mv -f "$RUN/wanted.new" "$RUN/wanted"
  make_durable "$RUN"
}

# is_wanted: whether a loop is wanted; in the process of the queue MARK names its own marker.
is_wanted() { [[ -e $RUN/$MARK ]]; }

unwant() { rm -f "$RUN/wanted"; }

# wanted_value NAME: prints its value when the loop was started.
wanted_value() { sed -n "s/^$1=//p" "$RUN/wanted"; }
