# Runs one program for a parent that may be killed at any time, even by SIGKILL, which no process can catch.
#
#     sh -c "$(cat watchdog.sh)" watchdog FOLDER LOG PROGRAM [ARGUMENT...]
#
# Stdin is a pipe whose other end only the parent holds, and never writes to: when it ends, the parent is gone
# or wants an end. PROGRAM is then killed (SIGKILL works on a stopped process too) and FOLDER removed. PROGRAM's
# id is the first line on stdout; its exit status is ours where it ends by itself, and then FOLDER stays.
folder=$1 log=$2
shift 2
exec 3<&0

end() {
  trap '' TERM
  for child in $program $guard; do
    kill -9 "$child"
    wait "$child"
  done
  rm -rf "$folder"
  exit 0
} 2>/dev/null
trap end TERM
guard=

"$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!

# We are PROGRAM's parent, so its id can't be given to another process before we wait for it; that is why the
# guard asks us instead of killing by itself. It asks until we are gone: some shells lose a signal that comes
# just before `wait`.
(
  read -r _
  while kill -TERM $$; do sleep 1; done
) <&3 3<&- >/dev/null 2>&1 &
guard=$!

# A parent that is gone by now hears nothing: the guard tells us, and a signal would end us before that.
trap '' PIPE
echo "$program" 2>/dev/null
exec >/dev/null
wait "$program"
status=$?
trap '' TERM
kill -9 "$guard"
wait "$guard" 2>/dev/null
exit "$status"
