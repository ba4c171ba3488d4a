# Keys of proposers: from the environment, or from .env in the root, which a loop that cron starts again has, too. They go to
# the proposer alone; nothing of ours writes them down. Sourced.
# shellcheck shell=bash

# check_keys: .env is a plain file that nobody else can read, and that git does not track.
check_keys() {
  local file=$TREE/.env
  [[ -e $file || -L $file ]] || return 0
  [[ -f $file && ! -L $file && $(owner_of "$file") == "600 $EUID" ]] ||
    die "'.env' holds keys, and is not a file that only you can read" 'chmod 600 .env'
  ! git -C "$TREE" ls-files --error-unmatch .env >/dev/null 2>&1 ||
    die "git tracks '.env', which holds keys" 'change the keys, and: git rm --cached .env && git commit -m "keys are not tracked"'
}

# names_of_keys: what stands there, a line each.
names_of_keys() { sed -nE 's/^(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=.*/\2/p' "$TREE/.env" 2>/dev/null || :; }

# take_keys: exports what stands there, NAME=value in each line, unless the environment has it. No value is ever said.
take_keys() {
  local line name value number=0
  check_keys
  [[ -e $TREE/.env ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    [[ ! $line =~ ^[[:space:]]*(#.*)?$ ]] || continue
    [[ $line =~ ^(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || die "line $number of '.env' is not NAME=value" 'such as ANTHROPIC_API_KEY=...'
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]%$'\r'}
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then
      value=${BASH_REMATCH[1]}
    fi
    [[ -n ${!name+set} ]] || export "$name=$value"
  done <"$TREE/.env"
}
