#!/bin/sh
# Runs the README's example against a real mosquitto on loopback: run_example_test.sh MINIMAL
# It must connect, deliver its reading to a subscriber that is not ours, receive a command, and
# leave in order when its input ends. Ports and files are its own; all it starts ends with it.
set -u
minimal=$1
folder=$(mktemp -d)
broker='' device='' subscriber=''
finish() {
  for pid in $device $subscriber $broker; do kill "$pid" 2>/dev/null; done
  wait
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM
fail() {
  echo "run_example: $1"
  echo '--- example:'; cat "$folder/example.out" 2>/dev/null
  echo '--- broker:'; tail -5 "$folder/broker.log" 2>/dev/null
  exit 1
}
# Waits up to 20 s until a file has a line with the given words.
await() {
  tries=0
  until grep -q "$2" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -gt 200 ] && fail "no '$2' in $(basename "$1")"
    sleep 0.1
  done
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PATH=$PATH:/usr/sbin
cat > "$folder/mosquitto.conf" <<END
listener $port 127.0.0.1
allow_anonymous true
log_type all
log_dest stderr
END
cat > "$folder/device.toml" <<END
[connection]
host = "127.0.0.1"
port = $port
client_id = "minimal"
[tls]
enabled = false
[outbox]
directory = "outbox"
END

mosquitto -c "$folder/mosquitto.conf" 2> "$folder/broker.log" &
broker=$!
await "$folder/broker.log" 'running'
mosquitto_sub -h 127.0.0.1 -p "$port" -t demo/reading -C 1 -W 20 -q 1 -F '%t %p' \
  > "$folder/seen" &
subscriber=$!
await "$folder/broker.log" 'SUBSCRIBE from'

mkfifo "$folder/input"
"$minimal" "$folder/device.toml" < "$folder/input" > "$folder/example.out" 2>&1 &
device=$!
exec 3> "$folder/input"

await "$folder/example.out" '^delivered$'
await "$folder/seen" '^demo/reading {"temperature":21.5}$'
grep -q '^accepted$' "$folder/example.out" || fail 'delivered, but never accepted'
await "$folder/broker.log" 'Sending SUBACK to minimal'
mosquitto_pub -h 127.0.0.1 -p "$port" -t demo/command -m go -q 1
await "$folder/example.out" '^command on demo/command$'

exec 3>&-
wait "$device" || fail "exit code $?"
device=''
await "$folder/broker.log" 'Received DISCONNECT from minimal'
echo 'run_example: connected, delivered, received a command, left in order'
