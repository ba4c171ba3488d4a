# Further candidates of a proposer (lib/lab/proposal/wave.py): runs/<tag>/candidates/ has a folder for each, until
# 10-propose moves it into a flight. Sourced, after run/current_run.sh.
# shellcheck shell=bash

has_candidates() { compgen -G "$RUN/candidates/f*.*" >/dev/null; }

# holds_candidate FOLDER: whether that flight has one.
holds_candidate() { compgen -G "$1/candidate.f*" >/dev/null; }

# take_candidate: moves the oldest one into the flight, which gets its facts. Fails if there is none.
take_candidate() {
  local name
  if ! holds_candidate "$FLIGHT"; then
    has_candidates || return
    while read -r name; do # another flight may take it at this moment
      ! mv -T "$RUN/candidates/$name" "$FLIGHT/candidate.$name" 2>/dev/null || break
    done < <(cd "$RUN/candidates" && printf '%s\n' f*.* | sort --version-sort)
  fi
  cp -R "$FLIGHT"/candidate.f*/* "$FLIGHT" 2>/dev/null
}

# return_candidate: puts the one of a flight without a commit back.
return_candidate() {
  local path
  for path in "$FLIGHT"/candidate.f*; do
    [[ ! -d $path ]] || mv "$path" "$RUN/candidates/${path##*/candidate.}"
  done
}
