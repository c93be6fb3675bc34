#!/bin/sh
# unit-ended.sh: report to the health check how the unit ended that started tweetscore-ping.service.
#
# systemd says so in MONITOR_*; what the unit itself said is in the journal.
set -u

case "$MONITOR_EXIT_STATUS" in
    *[!0-9]* | '') event=fail ;; # the name of a signal, or it never started
    *) event=$MONITOR_EXIT_STATUS ;;
esac

{
    echo "$MONITOR_UNIT: $MONITOR_SERVICE_RESULT"
    journalctl --quiet --output=cat "_SYSTEMD_INVOCATION_ID=$MONITOR_INVOCATION_ID"
} | "$(dirname "$0")/ping.sh" "$event"
