# Choose what confines training runs and proposers here: bubblewrap, Landlock or nothing. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/confinement.sh"

# has_evaluator FACTS: whether the prepare.py that printed them can measure a model.
has_evaluator() { [[ $1 == *'"evaluator": true'* ]]; }

# way_to_confine: prints the sandbox that works here and that CONFINE allows: `bubblewrap` or `landlock`. Fails if
# neither works.
way_to_confine() {
  local way
  for way in bubblewrap landlock; do
    [[ ${CONFINE:-auto} == @(auto|yes|"$way") ]] || continue
    if "$LAB_PYTHON" -IS "$TOOLKIT/lib/child/runner.py" --can-confine "$way" >/dev/null 2>&1; then
      printf '%s' "$way"
      return
    fi
  done
  return 1
}

# choose_confinement FACTS: exports whether `prepare.py --evaluate` measures (LAB_EVALUATOR), and what confines training
# (LAB_CONFINED) and proposers (LAB_HELD): a way, or `no`. Code without our evaluator may depend on writing anywhere, so
# by default it is not confined.
choose_confinement() {
  local way
  export LAB_EVALUATOR=no LAB_CONFINED=no LAB_HELD=no
  if [[ $METRIC == val_bpb ]] && has_evaluator "$1"; then
    LAB_EVALUATOR=yes
  fi
  what_is_watched | sort -u >"$RUN/watched"
  [[ $CONFINE != no ]] || return 0
  if way=$(way_to_confine); then
    LAB_HELD=$way
    list_what_is_held
  else
    way=no
  fi
  ! is_far || ask_far_host
  if [[ $way != no ]]; then
    [[ $CONFINE == auto && $LAB_EVALUATOR == no ]] || LAB_CONFINED=$way
  elif [[ $CONFINE != auto ]]; then
    way=that
    [[ $CONFINE != yes ]] || way='neither bubblewrap nor Landlock'
    die "CONFINE is '$CONFINE', but $way does not work here" 'see why: make doctor'
  elif [[ $LAB_EVALUATOR == yes ]]; then
    say 'training and proposers are not confined: neither bubblewrap nor Landlock works here; to see why: make doctor'
  fi
}

# ask_far_host: sets `way` to the sandbox that works on a host that the engine chooses, or to `no`. It asks once for
# each way to reach the host, because a restarted loop would wait for the answer behind its own runs.
ask_far_host() {
  local asked="${ENGINE_PATH##*/}|$CONFINE|${SLURM_OPTIONS:-}|${RAY_ADDRESS:-}|${RAY_OPTIONS:-}" known
  { read -r way known <"$RUN/computes"; } 2>/dev/null || known=
  [[ $known != "$asked" ]] || return 0
  tell "checking whether a host of engine '${ENGINE_PATH##*/}' can confine a training"
  for way in bubblewrap landlock no; do
    [[ $way != no ]] || break
    [[ $CONFINE == @(auto|yes|"$way") ]] || continue
    ! through_engine 0 "$LAB_PYTHON" -IS "$TOOLKIT/lib/child/runner.py" --can-confine "$way" || break
    exit_if_stopped
    [[ -n $HOST ]] || die "engine '${ENGINE_PATH##*/}' does not answer: ${OUTPUT##*$'\n'}" \
      "make engine-check ENGINE=${ENGINE_PATH##*/}"
  done
  put "$RUN/computes" "$way $asked"
}
