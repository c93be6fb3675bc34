#!/bin/sh
# watched.sh COMMAND...: run COMMAND, and ping the health check at $PING_URL when it starts and ends.
#
# What COMMAND says on standard error goes there and along with the ping. The exit code is
# COMMAND's, whether or not anybody answers the pings.
set -u

here=$(dirname "$0")
said=$(mktemp) || exit 74
trap 'rm -f "$said"' EXIT

"$here/ping.sh" start </dev/null || echo "watched.sh: the health check did not get the start" >&2

"$@" 2>"$said"
status=$?
cat "$said" >&2

"$here/ping.sh" "$status" <"$said" || echo "watched.sh: the health check did not get the end" >&2
exit "$status"
