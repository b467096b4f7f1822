#!/bin/sh
# Publishes what a program prints, a message a line, and obeys each message that comes on another topic,
# whatever happens to the agent: while it is away, this waits.
#
#     pump.sh TOPIC COMMAND-TOPIC PROGRAM [ARGUMENT…]
#
# HOLDFAST and HOLDFAST_SOCKET say which command line and which agent. A line that was sent and not
# answered is sent again, so the broker may have it twice, as at QoS 1 anyway.
set -eu
holdfast=${HOLDFAST:-holdfast}
socket=${HOLDFAST_SOCKET:-/run/holdfast/holdfast.sock}
topic=$1 commands=$2
shift 2
trap 'pkill -P $$ || :' EXIT
trap 'exit 1' INT TERM

obey() {
  while IFS= read -r command; do
    echo "command: $command" # here yours is obeyed
  done
}

# Exit codes of holdfast: 3, the agent is away; 4, it did not answer in time.
publish() {
  while IFS= read -r line; do
    until "$holdfast" publish "$topic" "$line" --socket "$socket" >/dev/null 2>&1; do
      case $? in 3 | 4) sleep 0.2 ;; *) echo "not taken: $line" >&2; break ;; esac
    done
  done
}

"$holdfast" subscribe "$commands" --acknowledge --socket "$socket" | obey &
"$@" | publish
