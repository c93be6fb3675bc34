#!/bin/sh
# ping.sh EVENT: report to the health check at $PING_URL that a run starts, or how it ended.
#
# EVENT is start, fail or an exit code, as healthchecks.io has them; what comes on standard input
# goes along as the message. Needs curl.
set -u

tail -c 10000 | curl --silent --show-error --fail --max-time 10 --retry 3 \
    --output /dev/null --data-binary @- "$PING_URL/$1"
