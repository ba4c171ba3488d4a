# runs/<tag>/wanted: the one marker that says whether a loop of this run is wanted, and what a person started it with.
# bin/loop writes it; it is taken away by Ctrl-C, by `make stop`, and when the rows that were asked for are there. So what
# a person has stopped stays stopped, and what died otherwise is started again (bin/keepalive). Sourced.
# shellcheck shell=bash

[[ -n ${OF_SESSION:-} ]] || source "$TOOLKIT/lib/run/caller.sh"

# shellcheck disable=SC2034 # used where this is sourced
readonly MINUTE=${LAB_MINUTE:-60} # seconds; shorter in tests
MARK=wanted

# What of the environment a loop is started again with, besides the settings and what PASS_ENV names.
readonly SAVED='^(PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|UV_(PROJECT_ENVIRONMENT|CACHE_DIR)|LD_LIBRARY_PATH|PYTHONPATH|XDG_[A-Z]+_HOME|(CUDA|NCCL|TORCH|PYTORCH|TRITON|XLA|JAX|TF|HIP|ROCR|HSA|OMP|MKL|OPENBLAS|NUMEXPR)_[A-Z0-9_]+|HF_(HOME|HUB_CACHE|HUB_OFFLINE|DATASETS_CACHE|DATASETS_OFFLINE)|TRANSFORMERS_(CACHE|OFFLINE)|TOKENIZERS_PARALLELISM|WANDB_(MODE|DIR|PROJECT|ENTITY)|[Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]|([Hh][Tt][Tt][Pp][Ss]?|[Aa][Ll][Ll])_[Pp][Rr][Oo][Xx][Yy]|(REQUESTS|CURL)_CA_BUNDLE|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|[A-Z_]+_(BASE_URL|API_BASE|ENDPOINT|MODEL)|CLAUDE_CONFIG_DIR|CODEX_HOME|LLM_USER_PATH|CLAUDE_CODE_USE_(BEDROCK|VERTEX)|AWS_(PROFILE|REGION)|(SLURM|SBATCH|SQUEUE|SCANCEL|SCONTROL)_[A-Z0-9_]+|RAY_ADDRESS|LAB_AGENT_QUIET|LAB_MINUTE)$'
# Of the job that somebody starts a loop in: those of a cluster are set anew in each.
readonly OF_A_JOB='^SLURM_(JOB|JOBID|STEP|TASK|NODE|NNODES|NTASKS|NPROCS|PROCID|LOCALID|GTIDS|CPU|GPU|MEM|SUBMIT|TOPOLOGY|PRIO|WORKING|LAUNCH|SRUN|DISTRIBUTION|EXPORT)'

# rows: how many experiments are settled, the baseline not counted; one whose flight is not over is not.
rows() {
  local lines=0 commit file
  [[ ! -s $RUN/experiments.jsonl ]] || lines=$(grep -c '' "$RUN/experiments.jsonl")
  for file in "$RUN"/flights/f*[0-9]/commit; do
    { read -r commit <"$file"; } 2>/dev/null || continue
    ! is_on_record "$commit" || lines=$((lines - 1))
  done
  printf '%s' $((lines > 1 ? lines - 1 : 0))
}

# check_pass_env: what a person wants to have saved is there, and can be.
check_pass_env() {
  local name names
  read -ra names <<<"${PASS_ENV:-}"
  for name in "${names[@]}"; do
    [[ ! ${name^^} =~ $SECRET_NAME ]] || die "PASS_ENV names '$name', a key, which would lie on the disk" "a proposer's key goes into '.env': $name=..."
    caller_value "$name" || die "PASS_ENV names '$name', which is not set" "set it, or leave it out: $name=... make loop"
    [[ ! ${VALUE,,} =~ $SECRET_VALUE ]] || die "PASS_ENV names '$name', an address with a key, which would lie on the disk" "leave it out: make loop says where it is missing"
    [[ $VALUE != *$'\n'* ]] || die "PASS_ENV names '$name', whose value is more than one line" 'put it into a file, and pass the name of that'
  done
}

# tell_lost_names: a loop that is started again, by cron say, may lack what the shell had in which it was started before. They are told;
# and as long as no run has ended well without them, they may be why one fails: RUN/lost_variables has them (lib/lab/verdict/measure.py).
tell_lost_names() {
  local lost
  lost=$(comm -23 <(sort "$RUN/variables" 2>/dev/null) <({ caller_names && names_of_keys; } | sort -u) | paste -sd' ' -)
  if [[ -n $lost ]]; then
    put "$RUN/lost_variables" "$lost"
    tell "not set any more, but when the loop was started before: $lost; to keep what training needs: PASS_ENV='NAME ...' make loop"
  else
    rm -f "$RUN/lost_variables"
  fi
  [[ ${LAB_RESTARTED:-} == yes ]] || caller_names >"$RUN/variables" # only a person says what is to be there
  unset LAB_RESTARTED
}

# want GOAL: from now on a loop is wanted, until there are so many rows (0: for ever). SETTINGS are those of the loop.
want() {
  local name other names
  for other in "$TREE"/runs/*/wanted; do
    [[ $other == "$RUN/wanted" ]] || rm -f "$other" # one loop works on a tree
  done
  while IFS= read -r name; do
    [[ ! $name =~ $SAVED || $name =~ $SECRET_NAME || $name =~ $OF_A_JOB ]] || SETTINGS+=("$name")
  done < <(compgen -e)
  read -ra names <<<"${PASS_ENV:-}"
  rm -f "$RUN/wanted.new"
  (
    umask 077 # ON_KEEP may name an address that only its owner knows
    exec >"$RUN/wanted.new"
    # What is of the toolkit by its name: the copy may be gone.
    printf '%s\n' "GOAL=$1" "COPY=$TOOLKIT" "TAG=$TAG" "AGENT=${AGENT_PATH#"$TOOLKIT/lib/proposers/"}" \
      "ENGINE=${ENGINE_PATH#"$TOOLKIT/lib/child/engines/"}"
    for name in "${SETTINGS[@]}"; do
      [[ ${!name} == *$'\n'* || $name == MAX_EXPERIMENTS || (${!name,,} =~ $SECRET_VALUE && $name != ON_*) ]] || printf '%s=%s\n' "$name" "${!name}"
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

# is_wanted: a loop is; or in the queue's own process, for which MARK is another one: the changes of the tree that rest are to be tried.
is_wanted() { [[ -e $RUN/$MARK ]]; }

unwant() { rm -f "$RUN/wanted"; }

# wanted_value NAME: what it was when the loop was started; nothing where it was not set.
wanted_value() { sed -n "s/^$1=//p" "$RUN/wanted"; }
