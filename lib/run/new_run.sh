# The checks of a new run: a free tag, a start commit START with its files, submodules. Each check refuses with a hint
# and changes nothing. Sourced by bin/setup, after current_run.sh.
# shellcheck shell=bash

today() { LC_ALL=C date +%b%-d | tr '[:upper:]' '[:lower:]'; }

check_tag() {
  local LC_ALL=C # in other locales a-z includes é
  if ! [[ $TAG =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]] || ! git check-ref-format "refs/heads/autoresearch/$TAG"; then
    die "invalid TAG '$TAG'" 'use at most 64 letters, digits, dots, hyphens and underscores: make setup TAG=mar14'
  fi
}

check_repository() {
  git rev-parse --quiet --verify HEAD >/dev/null ||
    die "the repository has no commits: '$TREE'" 'git add . && git commit -m start'
  git symbolic-ref --quiet HEAD >/dev/null ||
    die "HEAD is detached at '$(git rev-parse --short HEAD)'" 'create a branch: git checkout -b mine'
  ! git ls-files --error-unmatch results.tsv >/dev/null 2>&1 ||
    die "git tracks 'results.tsv', which must stay untracked" \
      "untrack it: git rm --cached results.tsv && git commit -m 'untrack results.tsv'"
}

# check_new: refuses a tag that is taken. A branch without a manifest is an interrupted set-up, which is completed.
check_new() {
  local hint
  hint="choose another tag: make setup TAG=$(free_tag)"
  if git show-ref --verify --quiet "refs/heads/$BRANCH"; then
    [[ ! -e $RUN/manifest.json && $(git log -1 --format=%s "$BRANCH") != 'experiment: '* ]] ||
      die "branch '$BRANCH' exists" "$hint"
  else
    [[ ! -e $RUN/manifest.json ]] || die "run '$TAG' has a ledger in 'runs/$TAG' but no branch" "$hint"
  fi
  ! has_records "$TAG" ||
    die "run '$TAG' was deleted, but git still has its records" "$hint, or restore it: make mend TAG=$TAG"
}

# begin_at: prints the commit at which the run starts.
begin_at() {
  local from=${FROM:-HEAD} here
  here=$(git symbolic-ref --short HEAD)
  if git show-ref --verify --quiet "refs/heads/$BRANCH"; then
    from=$BRANCH # the interrupted set-up has chosen it
  elif [[ -z ${FROM:-} && $here == autoresearch/* ]]; then
    from=$(cat "runs/${here#autoresearch/}/start" 2>/dev/null) ||
      from=$(git log --first-parent --grep='^experiment: baseline$' --format=%P | tail -n 1)
    from=${from:-HEAD}
  fi
  git rev-parse --quiet --verify "$from^{commit}" || die "FROM '$from' is not a commit" 'find one: git log --oneline'
}

# check_pair: the start commit has the files that a run needs.
check_pair() {
  local file hint='a run needs prepare.py and train.py; for other code, name the command and the files to edit'
  hint+=": make setup RUN_COMMAND='python -m my.train' EDITABLE='my/*.py'"
  [[ ${RUN_COMMAND:-uv run train.py} == 'uv run train.py' ]] || return 0 # other code has other files
  for file in train.py prepare.py; do
    git cat-file -e "$START:$file" 2>/dev/null ||
      die "commit '${START:0:7}' has no '$file'" "$hint"
  done
}

# check_editable: each part of EDITABLE matches a file, and none matches prepare.py.
check_editable() {
  local spec names
  read -ra SPECS <<<"$EDITABLE"
  for spec in "${SPECS[@]}"; do
    names=$(SPECS=("$spec") && editable_files "$START" | tr '\0' '\n')
    [[ -n $names || $spec == :!* || $spec == :^* ]] ||
      die "EDITABLE '$spec' matches no file of commit '${START:0:7}'" 'list the files: git ls-files'
  done
  names=$'\n'$(editable_files "$START" | tr '\0' '\n')$'\n'
  [[ $names != *$'\nprepare.py\n'* ]] ||
    die "EDITABLE '$EDITABLE' includes prepare.py, which measures the result" \
      "exclude it: make setup EDITABLE='$EDITABLE :!prepare.py'"
}

# check_submodules: each submodule is checked out. A new worktree has none, and a run links to them.
check_submodules() {
  local path paths
  has_file "$START" .gitmodules || return 0
  paths=$(submodules_of "$START")
  while IFS= read -r path; do
    [[ -z $path || -e $path/.git ]] || die "submodule '$path' is not checked out" 'git submodule update --init --recursive'
  done <<<"$paths"
}
