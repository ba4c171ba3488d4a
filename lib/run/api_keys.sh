# API keys of proposers, from the environment or from .env in the root, which a loop restarted by cron reads, too. Only
# the proposer gets them; the toolkit writes them nowhere. Sourced.
# shellcheck shell=bash

# check_keys: .env is a plain, private file that git does not track.
check_keys() {
  local file=$TREE/.env
  [[ -e $file || -L $file ]] || return 0
  [[ -f $file && ! -L $file && $(owner_of "$file") == "600 $EUID" ]] ||
    die "'.env' holds keys, but other users can read it, or it is a link" 'protect it: chmod 600 .env'
  ! git -C "$TREE" ls-files --error-unmatch .env >/dev/null 2>&1 ||
    die "git tracks '.env', which holds keys" \
      'replace the keys, then untrack the file: git rm --cached .env && git commit -m "untrack .env"'
}

# names_of_keys: prints the names in .env, one per line.
names_of_keys() { sed -nE 's/^(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=.*/\2/p' "$TREE/.env" 2>/dev/null || :; }

# take_keys: exports the NAME=value lines of .env that the environment does not have. Values are never printed.
take_keys() {
  local line name value number=0
  check_keys
  [[ -e $TREE/.env ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    [[ ! $line =~ ^[[:space:]]*(#.*)?$ ]] || continue
    [[ $line =~ ^(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] ||
      die "line $number of '.env' is not NAME=value" 'write one key per line: ANTHROPIC_API_KEY=...'
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]%$'\r'}
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then
      value=${BASH_REMATCH[1]}
    fi
    [[ -n ${!name+set} ]] || export "$name=$value"
  done <"$TREE/.env"
}
