# What a training run can reach: whether it is confined, and the files of RUN_DIR that ask the runner to confine it. Sourced.
# shellcheck shell=bash

# confine: it can write nothing but its checkout, what it hands over, and a scratch, its TMPDIR; it has no network, sees no other
# process, and finds neither the runs of this tree, its ledger among them, nor the git directory, keys, or any text that is validated on:
# the folder of it, the shards or the corpus that it came from, and uv's copies of the packages that it came in. What is compiled, or
# cached, is not found again by the next run: it would be a way to hand something over.
confine() {
  local scratch=$RUN_DIR/scratch path
  mkdir -p "$scratch" "$RUN_DIR/handover" "$RUN_DIR/reply"
  {
    hidden_from_all
    for path in "$AUTORESEARCH_CACHE"/*/judge "$AUTORESEARCH_CACHE/data" "$(uv_cache)"; do
      [[ ! -d $path ]] || printf 'hide %s\n' "$path"
      [[ ! -e $path/source ]] || hide_source "$(<"$path/source")"
    done
    printf '%s\n' "write $CHECKOUT" "write $scratch" "write $RUN_DIR/handover" "read $RUN_DIR/reply"
  } >"$RUN_DIR/confine"
  printf '%s\n' "TMPDIR=$scratch" "UV_CACHE_DIR=$scratch/uv" "TRITON_HOME=$scratch" "CUDA_CACHE_PATH=$scratch/cuda" >>"$RUN_DIR/env"
}

# hide_source FOLDER: the corpus of one's own that the validation text was taken from; unless what a run needs lies in it.
hide_source() {
  local needed
  for needed in "$TREE" "$VENV" "$AUTORESEARCH_CACHE"; do
    [[ $needed/ != "$1"/* ]] || return 0
  done
  printf 'hide %s\n' "$1"
}

# confine_evaluator: it reads what was handed over, and writes its answer.
confine_evaluator() {
  {
    hidden_from_all
    printf '%s\n' "read $RUN_DIR/evaluator" "read $RUN_DIR/handover" "write $RUN_DIR/reply" "write $RUN_DIR/record"
  } >"$RUN_DIR/confine-beside"
}

hidden_from_all() {
  printf '%s\n' "hide $TREE/runs" "hide $COMMON_DIR" "hide $TREE/.env" "read $TOOLKIT/lib/child/runner.py"
}

# uv_cache: where uv keeps packages; nothing, where the environment has links into it.
uv_cache() {
  [[ ${UV_LINK_MODE:-} == symlink ]] || printf '%s' "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}"
}

# has_evaluator FACTS: whether the prepare.py that has said them measures; it measures nothing else.
has_evaluator() { [[ $1 == *'"evaluator": true'* ]]; }

# choose_confinement FACTS: exports whether `prepare.py --evaluate` measures, and whether training runs are confined. A stranger's script
# may write where it likes, as it does without us: so by itself only a pair that has an evaluator is.
choose_confinement() {
  export LAB_EVALUATOR=no LAB_CONFINED=no
  if [[ $METRIC == val_bpb ]] && has_evaluator "$1"; then
    LAB_EVALUATOR=yes
  fi
  [[ $CONFINE == yes || ($CONFINE == auto && $LAB_EVALUATOR == yes) ]] || return 0
  if "$LAB_PYTHON" -IS "$TOOLKIT/lib/child/runner.py" --can-confine >/dev/null 2>&1; then
    LAB_CONFINED=yes
  elif [[ $CONFINE == yes ]]; then
    die "CONFINE is 'yes', but bubblewrap does not work here" 'make doctor says why'
  else
    say 'training is not confined: bubblewrap does not work here (make doctor says why)'
  fi
}
