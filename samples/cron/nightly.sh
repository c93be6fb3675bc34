#!/bin/sh
# nightly.sh PROGRAM INPUT: score INPUT, silently when all is well.
#
# The output stands beside the input (tweets.parquet -> tweets.scored.parquet) and replaces the
# one of the night before; when something goes wrong, that one stays as it is. Calling it again
# costs nothing: it goes on where a killed run was, and leaves an output alone that is up to date.
set -u

# Colleagues in the group may read the scores, others may not.
umask 027

# An hour's patience with a run that is still busy.
"$1" run --quiet --lock-wait 3600 "$2"
status=$?

if [ "$status" -ne 0 ]; then
    echo "$(date +%Y-%m-%dT%H:%M:%S%z) nightly.sh: $2: exit code $status" >&2
fi
exit "$status"
