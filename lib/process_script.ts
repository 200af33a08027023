/**
 * The shell script that looks at processes and ends them.
 *
 * @module
 */

// Arguments: what to do, PID START pairs in one word; for the last two also what
// a command is to read, and that command.
//   alive  prints the pid of each that is running
//   tree   prints PID START of each and of all below it, parents first
//   end    ends each and all below it, and returns when they have gone
//   stop   the same, but asks only each itself: it ends what is below it
// These two print "ended" or, where one is still there, "stays", with the status
// of giving the command its input; and last, the command's status. Without both
// lines, nobody knows what was done.
// What is to end is stopped while it is looked at: it may be about to start
// another process, which nobody would find when its parent has gone. Where the
// search fails (there may be no room for a further process), all go on again.
// The command is started before the search, so that it is there when its turn
// comes; it gets its input as soon as nobody can do anything any more.
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
look() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return
  set -- \${stat##*") "}
  state=$1 start=\${20}
}
children() {
  list=
  for task in "/proc/$1/task"/*/children; do
    line=
    read -r line 2>/dev/null <"$task"
    list="$list $line"
  done
}
stopped() {
  looks=0
  while case $state in [TtZXx]) false ;; esac; do
    looks=$((looks + 1))
    [ $looks -lt 500 ] || return # in a call that nothing interrupts
    [ $looks -lt 20 ] || sleep 0.002
    look "$1" || return
  done
}
tree() {
  sent=
  [ "$what$frozen" != end ] || ! kill -STOP "$1" 2>/dev/null || sent=yes
  if look "$1"; then
    echo "$1 $start" # at once: for a sleep there may be no room
    [ -z "$sent" ] || stopped "$1"
  fi
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
          ids="$ids$1 $2$nl" # may be stopped before it is told
          found=$(tree "$1") && all=yes || all=
          ids="$ids\${found#"$1 $2"}$nl"
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
end_all() {
  [ $what = stop ] || trap 'signal CONT $ids' EXIT
  find $ids || exit
  frozen=yes
  printf %s "$input" 2>/dev/null
  given=$?
  exec >&2 # the end of the input
  signal TERM $ids
  [ $what = stop ] || signal CONT $ids
  wait_for $ids && said=ended || said=stays
  echo "$said $given" >&3
}
what=$1 ids=$2 frozen=
shift 2
case $what in
  end | stop)
    input=$1
    shift
    trap '' HUP INT QUIT TERM PIPE
    exec 3>&1
    if [ $# -gt 0 ]; then end_all | "$@" 3>&-; else (end_all); fi
    echo $? ;;
  *)
    show $ids
    exit 0 ;;
esac
`.trim();
