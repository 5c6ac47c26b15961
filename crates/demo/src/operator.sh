# Runs the operator for a parent that may be killed at any time, even by SIGKILL, which no process can catch.
#
#     sh -c "$(cat operator.sh)" operator LOG PROGRAM [ARGUMENT...]
#
# Stdin is a pipe whose other end only the parent holds, and never writes to: when it ends, the parent is gone or wants
# an end. PROGRAM then gets SIGTERM, and SIGKILL where it takes too long. Where it ends by itself, its status is ours.
log=$1
shift
exec 3<&0

end() {
  trap '' TERM
  kill -TERM "$program"
  (sleep 5; kill -KILL "$program") &
  killer=$!
  wait "$program"
  # It has inherited that SIGTERM is ignored.
  kill -KILL "$killer"
  exit 0
} >/dev/null 2>&1
trap end TERM

# Its standard output is the audit record, which goes to a file of its own.
"$@" </dev/null >/dev/null 2>>"$log" 3<&- &
program=$!

# The guard asks us rather than kill by itself: only we, the parent of PROGRAM, know that its id is still its own.
(
  read -r _
  while kill -TERM $$; do sleep 1; done
) <&3 3<&- >/dev/null 2>&1 &
guard=$!

wait "$program"
status=$?
kill "$guard"
exit "$status"
