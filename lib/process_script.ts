/**
 * The shell script that looks at processes and ends them.
 *
 * @module
 */

// Arguments: what to do, PID START pairs in one word, and a command.
//   alive  prints the pid of each that is running
//   tree   prints PID START of each and of all below it, parents first
//   end    ends each and all below it, and returns when they have gone
//   stop   the same, but asks only each itself: it ends what is below it
// The command is run beside that, when all have been asked to end. The last line
// of both is "ended" or, where one is still there, "stays", and the command's
// status: without it, nobody knows what was done.
// What is to end is stopped while it is looked at: it may be about to start
// another process, which nobody would find when its parent has gone. It goes on
// where this fails: for a further process there may be no room.
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
  for child in $list; do (tree "$child") || return; done
}
nl='
'
find() {
  ids=$nl
  while [ $# -ge 2 ]; do
    case $ids in
      *"$nl$1 $2$nl"*) ;; # it is below one before
      *)
        if ! alive "$1" "$2"; then :
        elif [ $what = stop ]; then ids="$ids$1 $2$nl"
        else
          ids="$ids$1 $2$nl" # may be frozen before it is told
          found=$(tree "$1") && all=yes || all=
          ids="$ids$found$nl"
          [ -n "$all" ] || return
        fi ;;
    esac
    shift 2
  done
}
signal() {
  signal=$1
  shift
  while [ $# -ge 2 ]; do
    ! alive "$1" "$2" || kill "-$signal" "$1" 2>/dev/null
    shift 2
  done
}
wait_for() {
  tries=0
  while [ $# -ge 2 ]; do
    if ! alive "$1" "$2"; then shift 2; continue; fi
    [ $tries -lt 200 ] || tree "$1" | while read -r pid _; do kill -KILL "$pid"; done 2>/dev/null
    [ $tries -lt 400 ] || return
    tries=$((tries + 1))
    [ $tries -gt 5 ] && sleep 0.01 || sleep 0.002
  done
}
show() {
  while [ $# -ge 2 ]; do
    if ! alive "$1" "$2"; then :
    elif [ $what = tree ]; then tree "$1"
    else echo "$1"
    fi
    shift 2
  done
}
what=$1 ids=$2 frozen= command= status=0
shift 2
case $what in
  end | stop)
    trap '' HUP INT QUIT TERM
    [ $what = stop ] || trap 'signal CONT $ids' EXIT
    find $ids || exit
    frozen=yes
    signal TERM $ids
    [ $what = stop ] || signal CONT $ids
    if [ $# -gt 0 ]; then
      exec 3<&0 # or it would read nothing
      "$@" <&3 3<&- &
      command=$!
    fi
    wait_for $ids && said=ended || said=stays
    [ -z "$command" ] || wait "$command" || status=$?
    echo "$said $status"
    [ $said = ended ] ;;
  *)
    show $ids
    exit 0 ;;
esac
`.trim();
