#!/bin/sh
# nightly.sh PROGRAM INPUT: score INPUT, silently when all is well.
#
# The output stands beside the input (tweets.parquet -> tweets.scored.parquet) and replaces the
# one of the night before; when something goes wrong, that one stays as it is.
set -u

# Colleagues in the group may read the scores, others may not.
umask 027

"$1" run --quiet "$2"
status=$?

if [ "$status" -ne 0 ]; then
    echo "$(date +%Y-%m-%dT%H:%M:%S%z) nightly.sh: $2: exit code $status" >&2
fi
exit "$status"
