/**
 * What runs in a guest around a program, for any POSIX shell. The agent itself tells what a program printed only once it
 * has ended, so it prints into files, which the agent reads meanwhile. Nothing is put into these texts: all that changes
 * from one program to the next are arguments.
 */

/** Arguments: a name. Prints the folder that it has made, which is root's alone. 3 where the guest lacks what it takes. */
export const PREPARE = `
for tool in dd mkfifo rm sleep; do command -v $tool >/dev/null 2>&1 || exit 3; done
umask 077
for place in /run /tmp /var/tmp; do
  mkdir "$place/$1" 2>/dev/null && { echo "$place/$1"; exit 0; }
done
exit 4`

/**
 * Arguments: the folder, then the program with its own. Ends as the program does. The program is in a session of its
 * own where the guest has \`setsid\`, so that all it starts can be ended with it. Its exit code is in the file \`code\`.
 *
 * What it prints goes through pipes into parts of at most 1 MiB, \`out.0\`, \`out.1\` … Whoever reads them empties each
 * when he is done with it; before that only one more is begun. So a program whose output nobody takes stands still, as it
 * would in a terminal, and does not fill the guest's disk.
 */
export const RUN = `
run='
d=$1; shift
umask 077
mkfifo "$d/o" "$d/e" || exit 125
relay() {
  part=0; before=none
  while :; do
    dd bs=16384 count=64 of="$d/$1.$part" 2>/dev/null
    [ -s "$d/$1.$part" ] || return 0
    while [ -s "$d/$1.$before" ]; do sleep 0.1 2>/dev/null || sleep 1; done
    rm -f "$d/$1.$before"
    before=$part
    part=$((part + 1))
  done
}
relay out <"$d/o" & out=$!
relay err <"$d/e" & err=$!
umask 022
(exec sh -c "d=\\$1; shift; echo \\$\\$ >\\"\\$d/pid\\"; exec \\"\\$@\\"" sh "$d" "$@") >"$d/o" 2>"$d/e" </dev/null
code=$?
wait $out; wait $err
echo $code >"$d/code"
exit $code'
d=$1
umask 077
echo $$ >"$d/shell"
if command -v setsid >/dev/null 2>&1; then
  echo $$ >"$d/session"
  exec setsid sh -c "$run" sh "$@"
fi
exec sh -c "$run" sh "$@"`

/**
 * Arguments: the folder. Ends the program and all that is in its session, and removes what is left of it. A number that
 * another process has by now is left alone: every shell of ours has the folder among its arguments.
 */
export const END = `
d=$1
is_ours() { tr '\\000' '\\n' <"/proc/$1/cmdline" 2>/dev/null | while read -r word; do [ "$word" = "$d" ] && echo yes; done; }
shell=$(cat "$d/shell" 2>/dev/null)
if [ -n "$shell" ] && [ -n "$(is_ours "$shell")" ]; then
  if [ -e "$d/session" ]; then kill -9 "-$shell"
  else kill -9 $(cat "$d/pid" 2>/dev/null) "$shell"
  fi
fi
rm -rf "$d"`
