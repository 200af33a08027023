/**
 * The shell script that looks at processes and ends them.
 *
 * @module
 */

/** The exit status of `end` where a process stays; none that `ip` has. */
export const STAYS = 125;

// Arguments: what to do, PID START pairs in one word, and a command.
//   alive  prints the pid of each that is running
//   tree   prints PID START of each and of all below it, parents first
//   end    ends each and all below it, and returns when they have gone
//   stop   the same, but asks only each itself: it ends what is below it
// The command is run when all have been asked to end.
// What is to end is stopped while it is looked at: it may be about to start
// another process, which nobody would find when its parent has gone.
// There is no event for the end of a process that is not one's own child, so
// `end` looks again, soon at first; after 2 s it no longer asks.
/** For `sh -c`. */
export const PROCESS_SCRIPT = `
alive() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return
  start=$2
  set -- \${stat##*") "}
  [ "$1" != Z ] && [ "\${20}" = "$start" ]
}
start_of() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return
  set -- \${stat##*") "}
  start=\${20}
}
children() {
  list=
  for task in "/proc/$1/task"/*/children; do
    line=
    read -r line 2>/dev/null <"$task"
    list="$list $line"
  done
}
freeze() {
  kill -STOP "$1" 2>/dev/null || return
  looks=0
  while read -r stat 2>/dev/null <"/proc/$1/stat"; do
    case \${stat##*") "} in [TtZXx]*) break ;; esac
    looks=$((looks + 1))
    [ $looks -lt 500 ] || break # in a call that nothing interrupts
    [ $looks -lt 20 ] || sleep 0.002
  done
}
tree() {
  [ "$what$frozen" != end ] || freeze "$1"
  start_of "$1" && echo "$1 $start"
  children "$1"
  for child in $list; do (tree "$child"); done
}
nl='
'
find() {
  ids=$nl
  while [ $# -ge 2 ]; do
    case $ids in
      *"$nl$1 $2$nl"*) ;; # it is below one before
      *)
        if alive "$1" "$2"; then
          [ $what = stop ] && ids="$ids$1 $2$nl" || ids="$ids$(tree "$1")$nl"
        fi ;;
    esac
    shift 2
  done
}
ask() {
  while [ $# -ge 2 ]; do
    ! alive "$1" "$2" || kill -TERM "$1"
    [ $what = stop ] || kill -CONT "$1" 2>/dev/null
    shift 2
  done
}
wait_for() {
  tries=0
  while [ $# -ge 2 ]; do
    if ! alive "$1" "$2"; then shift 2; continue; fi
    [ $tries -lt 200 ] || tree "$1" | while read -r pid _; do kill -KILL "$pid"; done
    [ $tries -lt 400 ] || exit ${STAYS}
    tries=$((tries + 1))
    [ $tries -gt 5 ] && sleep 0.01 || sleep 0.002
  done
}
show() {
  while [ $# -ge 2 ]; do
    if alive "$1" "$2"; then
      [ $what = tree ] && tree "$1" || echo "$1"
    fi
    shift 2
  done
}
what=$1 ids=$2 frozen= status=0
shift 2
case $what in
  end | stop)
    # What is stopped here would stay so.
    trap '' HUP INT TERM
    find $ids
    frozen=yes
    ask $ids
    "$@" || status=$?
    wait_for $ids ;;
  *) show $ids ;;
esac
exit $status
`.trim();
