#!/bin/bash
# Kills the program at random, some times, lets it come to its end, and compares its result with that of an undisturbed run.
# Usage: killed.sh PROGRAM STEPS [TIMES] [SEED]
set -u
program=$1 steps=$2 times=${3:-12}
RANDOM=${4:-20261125}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expected=$("$program" --no-sync --every 1000000 --steps "$steps" "$folder/undisturbed" | sed -n 's/.*result //p')
kills=0 furthest=0 begun_at=0
run() {  # for how many seconds; "": to its end
  "$program" --no-sync --every 2 --steps "$steps" "$folder/killed" > "$folder/said" &
  local pid=$! status
  if [ -n "$1" ]; then
    sleep "$1"
    kill -9 "$pid" 2> /dev/null && kills=$((kills + 1))
  fi
  wait "$pid" 2> /dev/null
  status=$?
  begun_at=$(sed -n 's/.* at step //p' "$folder/said")
  if [ "${begun_at:-$furthest}" -lt "$furthest" ]; then
    echo "it went back from step $furthest to $begun_at"
    exit 1
  fi
  furthest=${begun_at:-$furthest}
  if [ "$status" -ne 0 ] && [ "$status" -ne 137 ]; then
    echo "it ended by itself, with $status: $(cat "$folder/said")"
    exit 1
  fi
  [ "$status" -eq 0 ]
}

while [ "$kills" -lt "$times" ]; do
  run "0.$(printf %03d $((RANDOM % 150 + 20)))" && break
done
run ""
result=$(sed -n 's/.*result //p' "$folder/said")
echo "killed $kills times; begun for the last time at step $begun_at of $steps; result $result, expected $expected"
[ -n "$expected" ] && [ "$result" = "$expected" ] && [ "$kills" -gt 0 ]
