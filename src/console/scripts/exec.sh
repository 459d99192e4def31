# Runs C in folder W for at most T seconds. Both outputs become numbered lines of base64.
P= K=
D=$(mktemp -d) || { say unwritable; exit; }
over() {
  trap '' HUP INT TERM
  [ -z "$P" ] || kill -KILL "-$P" || kill -KILL "$P"
  [ -z "$K" ] || kill -KILL "-$K" || kill -KILL "$K"
  rm -rf "$D"
}
trap 'over; exit' HUP INT TERM
cd "$R" || { say absent; over; exit; }
mkfifo "$D/o" "$D/e" || { say unwritable; over; exit; }
# Each line is written in one piece, for it is shorter than what a pipe takes in one piece.
send() {
  i=0
  while x=$(dd bs=49152 count=1 | base64 -w 3900) && [ -n "$x" ]; do
    for l in $x; do
      printf '%s %s %s %s\n' "$N" "$1" "$i" "$l"
      i=$((i + 1))
    done
  done
  printf '%s %s. %s\n' "$N" "$1" "$i"
}
{
  send o <"$D/o" &
  send e <"$D/e" &
  wait
} | cat &
E=$!
# Groups of their own, so that they can be ended as a whole.
set -m
sh -c "$C" </dev/null >"$D/o" 2>"$D/e" &
P=$!
{
  sleep "$T"
  : >"$D/t"
  kill -TERM "-$P" || kill -TERM "$P"
  sleep 1
  kill -KILL "-$P" || kill -KILL "$P"
} &
K=$!
set +m
wait "$P"
X=$?
if [ -e "$D/t" ]; then
  wait "$K"
  K=
  wait "$E"
  say timeout
else
  wait "$E"
  say exit "$X"
fi
# What it left running may go on.
P=
over
