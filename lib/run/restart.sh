# runs/<tag>/wanted: the one marker that says whether a loop of this run is wanted, and what a person started it with.
# bin/loop writes it; it is taken away by Ctrl-C, by `make stop`, and when the rows that were asked for are there. So what
# a person has stopped stays stopped, and what died otherwise is started again (bin/keepalive). Sourced.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used where this is sourced
readonly MINUTE=${LAB_MINUTE:-60} # seconds; shorter in tests

# What of the environment a loop is started again with, besides the settings. Never a key: those are in .env (lib/run/api_keys.sh).
readonly SAVED='^(PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|UV_(PROJECT_ENVIRONMENT|CACHE_DIR)|CUDA_[A-Z_]+|LD_LIBRARY_PATH|XDG_[A-Z]+_HOME|HF_HOME|[Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|[A-Z_]+_(BASE_URL|API_BASE|ENDPOINT|MODEL)|CLAUDE_CONFIG_DIR|CODEX_HOME|LLM_USER_PATH|CLAUDE_CODE_USE_(BEDROCK|VERTEX)|AWS_(PROFILE|REGION)|LAB_AGENT_QUIET|LAB_MINUTE)$'

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

# want GOAL: from now on a loop is wanted, until there are so many rows (0: for ever). SETTINGS are those of the loop.
want() {
  local name other
  for other in "$TREE"/runs/*/wanted; do
    [[ $other == "$RUN/wanted" ]] || rm -f "$other" # one loop works on a tree
  done
  while IFS= read -r name; do
    [[ ! $name =~ $SAVED ]] || SETTINGS+=("$name")
  done < <(compgen -e)
  rm -f "$RUN/wanted.new"
  (
    umask 077 # ON_KEEP may name an address that only its owner knows
    exec >"$RUN/wanted.new"
    # What is of the toolkit by its name: the copy may be gone.
    printf '%s\n' "GOAL=$1" "COPY=$TOOLKIT" "TAG=$TAG" "AGENT=${AGENT_PATH#"$TOOLKIT/lib/proposers/"}" \
      "ENGINE=${ENGINE_PATH#"$TOOLKIT/lib/child/engines/"}"
    for name in "${SETTINGS[@]}"; do
      [[ ${!name} == *$'\n'* || $name == MAX_EXPERIMENTS ]] || printf '%s=%s\n' "$name" "${!name}"
    done
  )
  make_durable "$RUN/wanted.new"
  mv -f "$RUN/wanted.new" "$RUN/wanted"
  make_durable "$RUN"
}

is_wanted() { [[ -e $RUN/wanted ]]; }

unwant() { rm -f "$RUN/wanted"; }

# wanted_value NAME: what it was when the loop was started; nothing where it was not set.
wanted_value() { sed -n "s/^$1=//p" "$RUN/wanted"; }
