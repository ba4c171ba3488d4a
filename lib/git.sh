# Git, as all that is ours calls it: this function and no other way (tests/test_style.py), so that it does the same whatever a person has
# configured. It runs no hook and no fsmonitor, ever; filters do run, as they are configured (LFS, autocrlf). Sourced by common.sh.
# shellcheck shell=bash

# Somebody else's repository, named in the environment (a git hook, `git rebase --exec`), must never be the one we commit to; nor
# may a habit of a person's change what paths mean, what a new repository is, or what a diff says.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_NAMESPACE \
  GIT_PREFIX GIT_CONFIG GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE GIT_SHALLOW_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE \
  GIT_INTERNAL_SUPER_PREFIX GIT_QUARANTINE_PATH GIT_DEFAULT_HASH GIT_DEFAULT_REF_FORMAT GIT_ATTR_SOURCE GIT_LITERAL_PATHSPECS \
  GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS GIT_EXTERNAL_DIFF GIT_DIFF_OPTS GIT_REFLOG_ACTION
export GIT_OPTIONAL_LOCKS=0 # looking never takes the index lock away from a person's own git

# An empty fsmonitor is none for every version of git; of `false` an old one takes the name of a hook. A slot's checkout has no
# submodules, but links to the person's. A lock of a living git is waited for, so many milliseconds. And what we read has one form.
readonly OUR_GIT=(
  -c core.hooksPath=/dev/null -c core.fsmonitor= -c submodule.recurse=false -c core.pager=cat
  -c core.filesRefLockTimeout=10000 -c core.packedRefsTimeout=10000 -c reftable.lockTimeout=10000
  -c core.quotePath=false -c color.ui=never -c log.showSignature=false -c diff.noprefix=false -c diff.mnemonicPrefix=false
  -c diff.suppressBlankEmpty=false -c i18n.commitEncoding=UTF-8 -c i18n.logOutputEncoding=UTF-8
)

git() { command git "${OUR_GIT[@]}" "$@"; }
