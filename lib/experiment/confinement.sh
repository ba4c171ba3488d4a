# What a training run can reach: whether it is confined, and the files of RUN_DIR that ask the runner to confine it. Sourced.
# shellcheck shell=bash

# confine: it can write nothing but its checkout, the record and a scratch, its TMPDIR; it has no network, sees no other process,
# and finds neither the runs of this tree, its ledger among them, nor the git directory. What is compiled, or cached, is not found
# again by the next run: it would be a way to hand something over.
confine() {
  local scratch=$RUN_DIR/scratch
  mkdir -p "$scratch"
  printf '%s\n' "hide $TREE/runs" "hide $COMMON_DIR" "read $TOOLKIT/lib/child/runner.py" \
    "write $CHECKOUT" "write $scratch" "write $RUN_DIR/record" >"$RUN_DIR/confine"
  printf '%s\n' "TMPDIR=$scratch" "UV_CACHE_DIR=$scratch/uv" "TRITON_HOME=$scratch" "CUDA_CACHE_PATH=$scratch/cuda" >>"$RUN_DIR/env"
}

# choose_confinement FACTS: exports whether training runs are confined. A stranger's script may write where it likes, as
# it does without us: so by itself only a pair that keeps to our protocol is.
choose_confinement() {
  export LAB_CONFINED=no
  [[ $CONFINE == yes || ($CONFINE == auto && $1 == *'"evaluation_record": true'*) ]] || return 0
  if "$LAB_PYTHON" -IS "$TOOLKIT/lib/child/runner.py" --can-confine >/dev/null 2>&1; then
    LAB_CONFINED=yes
  elif [[ $CONFINE == yes ]]; then
    die "CONFINE is 'yes', but bubblewrap does not work here" 'make doctor says why'
  else
    say 'training is not confined: bubblewrap does not work here (make doctor says why)'
  fi
}
