# The one way to call git (tests/test_style.py), so that a person's git configuration changes nothing. Our git runs no
# hook and no fsmonitor. Filters run as configured (LFS, autocrlf). Sourced by common.sh.
# shellcheck shell=bash

# A git hook or `git rebase --exec` names its own repository in the environment: never commit to that. Other variables
# change what paths or diffs mean.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_NAMESPACE \
  GIT_PREFIX GIT_CONFIG GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE GIT_SHALLOW_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE \
  GIT_INTERNAL_SUPER_PREFIX GIT_QUARANTINE_PATH GIT_DEFAULT_HASH GIT_DEFAULT_REF_FORMAT GIT_ATTR_SOURCE GIT_LITERAL_PATHSPECS \
  GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS GIT_EXTERNAL_DIFF GIT_DIFF_OPTS GIT_REFLOG_ACTION
export GIT_OPTIONAL_LOCKS=0 # reading never blocks a person's git with the index lock

# An empty fsmonitor disables it in every version of git; old versions take `false` for the name of a hook. No recursion
# into submodules, since a checkout only links to them. Timeouts are milliseconds. The other options fix the format of
# git's output.
readonly OUR_GIT=(
  -c core.hooksPath=/dev/null -c core.fsmonitor= -c submodule.recurse=false -c core.pager=cat
  -c core.filesRefLockTimeout=10000 -c core.packedRefsTimeout=10000 -c reftable.lockTimeout=10000
  -c core.quotePath=false -c color.ui=never -c log.showSignature=false -c diff.noprefix=false -c diff.mnemonicPrefix=false
  -c diff.suppressBlankEmpty=false -c i18n.commitEncoding=UTF-8 -c i18n.logOutputEncoding=UTF-8
)

git() { command git "${OUR_GIT[@]}" "$@"; }

# --- Answers of git. One that was killed has not answered "no" or "nothing". The script ends then, and what it did is
# done again. ---

# says_yes COMMAND...: its exit status. 1 means no, as does 128, git's status for an unknown commit.
says_yes() {
  local status=0
  "$@" || status=$?
  ((status < 2 || status == 128)) || exit 2
  return "$status"
}

# value_of NAME COMMAND...: sets NAME to its output; to nothing if the answer is no.
value_of() {
  local status=0 said
  said=$("${@:2}") || status=$?
  ((status < 2 || status == 128)) || exit 2
  printf -v "$1" %s "$said"
}

# read_all ARRAY COMMAND...: sets ARRAY to the NUL-terminated parts of its output.
read_all() {
  mapfile -d '' -t "$1" < <("${@:2}")
  wait "$!" || exit 2
}

# object_at COMMIT PATH: sets OBJECT to the id of the file or folder, and OBJECT_MODE to its mode. Both are empty if the
# commit does not have it. (`git rev-parse COMMIT:PATH` says the same of a commit that git cannot read.)
# shellcheck disable=SC2034 # used where this is sourced
object_at() {
  local entry
  entry=$(git ls-tree "$1" -- ":(literal)$2") || exit 2
  read -r OBJECT_MODE _ OBJECT _ <<<"$entry"
}

# merge_texts OURS BASE THEIRS: prints their three-way merge. Fails if both changed the same lines, or one is binary.
merge_texts() {
  local status=0
  git merge-file -p --quiet "$@" 2>/dev/null || status=$? # the number of conflicts, or 255
  ((status < 129 || status == 255)) || exit 2
  return "$status"
}

# submodules_of COMMIT: prints their paths, one a line.
submodules_of() { git ls-tree -r "$1" | sed -n 's/^160000 commit [0-9a-f]*\t//p'; }
