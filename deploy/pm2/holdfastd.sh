#!/bin/sh
# holdfastd.sh CONFIG: holdfastd as a child of PM2, which hears "ready" in Node's way, a line of JSON
# on the descriptor that it has opened for that.
if [ -n "$NODE_CHANNEL_FD" ]; then
  (
    until holdfast health >/dev/null 2>&1; do sleep 0.2; done
    eval "echo '\"ready\"' >&$NODE_CHANNEL_FD"
  ) &
fi
exec holdfastd --config "$1"
