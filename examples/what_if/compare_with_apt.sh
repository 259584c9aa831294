#!/bin/bash
# Asks apt the questions that what_if answers, and compares the answers, package by package.
#
#   compare_with_apt.sh [--all] [--as-is] WHAT_IF [FILE] [PACKAGE]...
#
#   WHAT_IF    the program
#   FILE       the database, with a slash in its name (default: /var/lib/dpkg/status)
#   PACKAGE    what to remove (default: those of a fixed choice that are installed)
#   --all      every installed package, one after the other
#   --as-is    also ask apt as this machine has it set up, and say what it does differently
#
# The comparison that must agree is with `apt-get --simulate remove` on the same installed packages and nothing
# else, since that is the question what_if answers:
#   - no package lists, so that apt cannot install a substitute to keep a package;
#   - no Essential, Protected and Important marks, which make apt keep a package or refuse.
#
# Exit status: 0 all agree; 1 some differ; 77 apt cannot answer here (none, or the file is inconsistent to begin with).
set -euo pipefail
export LC_ALL=C

skip() { echo "skipped: $1"; exit 77; }

all=no as_is=no what_if='' file=/var/lib/dpkg/status packages=()
for argument in "$@"; do
  case $argument in
    --all) all=yes ;;
    --as-is) as_is=yes ;;
    -*) echo "no such option: $argument" >&2; exit 2 ;;
    *) if [[ -z $what_if ]]; then what_if=$argument
       elif [[ $argument == */* ]]; then file=$argument
       else packages+=("$argument"); fi ;;
  esac
done
[[ -n $what_if ]] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
command -v apt-get > /dev/null || skip "there is no apt-get"
[[ -r $file ]] || skip "cannot read $file"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial"
touch "$scratch/extended_states"
cp "$file" "$scratch/marked"  # Both are asked about one copy, whatever is installed meanwhile.
sed -E '/^(Essential|Protected|Important):/d' "$scratch/marked" > "$scratch/status"
architecture=$(awk '$1 == "Package:" { name = $2 } $1 == "Architecture:" && name == "dpkg" { print $2; exit }' \
  "$scratch/marked")

plain_apt() {
  apt-get --simulate \
    -o Dir::State::status="$scratch/status" -o Dir::State::lists="$scratch/lists" \
    -o Dir::State::extended_states="$scratch/extended_states" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    ${architecture:+-o APT::Architecture="$architecture" -o APT::Architectures="$architecture"} \
    -o pkgCacheGen::Essential=none -o pkgCacheGen::ForceEssential=, -o pkgCacheGen::ForceImportant=, \
    --allow-remove-essential "$@" 2>&1
}

removed_names() { sed -nE 's/^Remv ([^ ]+) .*/\1/p' | sort -u; }

# The packages that apt keeps unless told otherwise twice: those marked so, and itself.
marked_names() {
  echo apt
  awk '$1 == "Package:" { name = $2 } /^(Essential|Protected|Important): yes$/ { print name }' "$scratch/marked"
}

# One line on what apt says when nothing is taken from it. Expects what_if's answer in "$scratch/ours".
as_this_machine_has_it() {
  local output=$scratch/as-is new newer kept marked
  marked=$(comm -12 "$scratch/ours" <(marked_names | sort -u) | grep -cvxF "$1" || true)
  if ! apt-get --simulate remove "$1" > "$output" 2>&1; then
    if ((marked > 0)); then echo "refuses: essential packages would have to go ($marked)"
    elif grep -q '^E: Error, pkgProblemResolver' "$output"; then echo "refuses: its resolver gives up"
    else echo "refuses: $(grep -m1 '^E:' "$output")"; fi
    return
  fi
  removed_names < "$output" > "$scratch/as-is-removed"
  kept=$(comm -23 "$scratch/ours" "$scratch/as-is-removed" | wc -l)
  new=$(grep -cE '^Inst [^ ]+ \(' "$output" || true)
  newer=$(grep -cE '^Inst [^ ]+ \[' "$output" || true)
  printf '%d go' "$(wc -l < "$scratch/as-is-removed")"
  ((kept == 0)) || printf ', keeps %d' "$kept"
  ((new == 0)) || printf ', installs %d' "$new"
  ((newer == 0)) || printf ', upgrades %d' "$newer"
  ((marked == 0)) || printf ', of which essential %d' "$marked"
  echo
}

plain_apt check > "$scratch/check" || skip "apt finds $file inconsistent: $(grep -m1 '^E:' "$scratch/check")"

if [[ $all == yes ]]; then
  mapfile -t packages < <(
    awk '$1 == "Package:" { name = $2 } /^Status: [^ ]+ [^ ]+ installed$/ { print name }' "$scratch/status")
elif [[ ${#packages[@]} == 0 ]]; then
  for package in libc6 libgcc-s1 libstdc++6 zlib1g libssl3 libx11-6 libglib2.0-0 debconf perl perl-base python3 \
                 libpython3.11-stdlib systemd openssl ca-certificates apt dpkg gcc gcc-12-base curl libcurl4 \
                 git tzdata; do
    ! grep -qx "Package: $package" "$scratch/status" || packages+=("$package")
  done
fi

differing=0
printf '%-32s %8s %8s  %s\n' package what_if apt ''
for package in "${packages[@]}"; do
  "$what_if" --names "$scratch/status" "$package" | sort -u > "$scratch/ours"
  plain_apt remove "$package" > "$scratch/apt" || true
  removed_names < "$scratch/apt" > "$scratch/theirs"
  verdict=same
  if ! cmp -s "$scratch/ours" "$scratch/theirs"; then
    verdict=DIFFERENT
    differing=$((differing + 1))
  fi
  [[ $as_is == no ]] || verdict+="; apt as it is: $(as_this_machine_has_it "$package")"
  if [[ $all == no || $verdict != same ]]; then
    printf '%-32s %8d %8d  %s\n' "$package" "$(wc -l < "$scratch/ours")" "$(wc -l < "$scratch/theirs")" "$verdict"
  fi
  if [[ $verdict == DIFFERENT* ]]; then
    comm -23 "$scratch/ours" "$scratch/theirs" | sed 's/^/    only what_if: /'
    comm -13 "$scratch/ours" "$scratch/theirs" | sed 's/^/    only apt:     /'
    grep '^E:' "$scratch/apt" | sed 's/^/    apt says: /' || true
  fi
done
echo "${#packages[@]} packages asked about, $differing answered differently"
[[ $differing == 0 ]]
