#!/bin/sh
# Runs a command as root in a virtual machine with Debian's own kernel, which
# has what this machine's may lack: ppp, netem, WireGuard.
#     vm.sh COMMAND [ARGUMENT]...
# The machine has this one's files, environment and working folder, but what is
# written there vanishes with it. It has no network, and its input is empty. The
# exit status is the command's: 124 when it took longer than VM_TIMEOUT seconds
# (600), 125 when the machine does not start. VM_MEMORY is its memory (4G).
# It is emulated, so ten to a hundred times slower: PVPN_TEST_SLOW tells tests.
# With VM_CLOCK=instructions its clock counts these, one a nanosecond, whatever
# they take here: what runs for the first time, as most of a program's start
# does, is no slower in it than the rest.
#
# Needs what `tools/deps vm` installs. The kernel is fetched by apt-get, once,
# into VM_CACHE (~/.cache/pvpn-vm).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
limit=${VM_TIMEOUT:-600}
cache=${VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pvpn-vm}
kernel=$cache/kernel-1 # another number for another choice of files

die() {
  printf 'vm: %s\n' "$*" >&2
  exit 125
}

# For single quotes of the shell.
quoted() {
  printf '%s\n' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}

# Downloads the kernel into the current folder. apt-get checks its signature.
download() {
  package=$(apt-cache depends linux-image-amd64 |
    sed -n '/Depends: linux-image-/ { s/.*: //p; q; }')
  [ -n "$package" ] && timeout 300 apt-get download "$package"
}

# Unpacks those parts of it that tests can use: all of it would be 400 MB.
fetch_kernel() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # another one may be at it
  [ ! -e "$kernel" ] || return 0
  rm -rf "$cache"/new.*
  new=$(mktemp -d "$cache/new.XXXXXX")
  cd "$new"
  command -v apt-get >/dev/null ||
    die "the kernel is Debian's, and there is no apt-get to fetch it"
  # The lists may be missing, or too old to have what the server has.
  download >log 2>&1 || { apt-get update && download; } >>log 2>&1 ||
    die "cannot fetch the kernel of Debian: $(tail -n 1 log)"
  mkdir root
  # shellcheck disable=SC2046 # one word for each of them
  dpkg-deb --fsys-tarfile linux-image-*.deb |
    tar -x -C root --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.*' \
      $(printf './lib/modules/*/kernel/%s ' arch crypto lib net drivers/virtio \
        drivers/char/virtio_console.ko 'drivers/net/*.ko' drivers/net/ppp \
        drivers/net/slip drivers/net/wireguard fs/9p fs/fscache fs/netfs \
        fs/overlayfs)
  depmod -b root "$(ls root/lib/modules)"
  mv root "$kernel"
  rm -rf "$new"
}

# Makes the machine's first file system in $work.
initramfs() {
  mkdir "$work/root" "$work/root/bin" "$work/root/modules" "$work/root/vm"
  cp /bin/busybox "$work/root/bin/"
  cp "$here/vm/init" "$work/root/init"
  chmod +x "$work/root/init"
  for module in virtio_pci virtio_console 9p 9pnet_virtio overlay; do
    modprobe -d "$kernel" -S "$release" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
    while read -r file; do
      cp "$file" "$work/root/modules/"
      basename "$file" >>"$work/root/modules/order"
    done
  cp "$here/vm/guest" "$work/root/vm/"
  echo "$kernel/lib/modules/$release" >"$work/root/vm/modules"
  # Only root can read all of it.
  tar -c -f "$work/root/vm/etc.tar" -C / etc 2>/dev/null || :
  {
    export -p
    printf 'cd %s || exit 125\numask %s\nexec setsid --wait' \
      "$(quoted "$PWD")" "$(umask)"
    for argument; do
      printf ' %s' "$(quoted "$argument")"
    done
  } >"$work/root/vm/command"
  (cd "$work/root" && find . | cpio --quiet -o -H newc) >"$work/initramfs"
}

# A port of the machine, and where it leads to.
port() {
  echo "-chardev file,id=port$1,path=$work/$2" \
    "-device virtserialport,chardev=port$1,nr=$1"
}

# However this script ends, the machine does too.
# One processor: what more of them share costs more than they bring. The last
# options of the kernel make it start programs three times as fast.
machine() {
  # shellcheck disable=SC2046,SC2086 # several words for the ports and the clock
  exec setpriv --pdeathsig TERM timeout --kill-after=5 "$limit" \
    setpriv --pdeathsig KILL qemu-system-x86_64 $clock -cpu max \
    -m "${VM_MEMORY:-4G}" -nodefaults -no-user-config -display none -no-reboot \
    -serial file:"$work/console" -device virtio-rng-pci \
    -device virtio-serial-pci $(port 1 out) $(port 2 err) $(port 3 status) \
    -virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,\
multidevs=remap" \
    -kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initramfs" \
    -append "console=ttyS0 quiet loglevel=3 panic=-1 tsc=reliable \
mitigations=off norandmaps init_on_alloc=0 apparmor=0" \
    </dev/null >"$work/qemu" 2>&1
}

[ $# -gt 0 ] || die 'usage: vm.sh COMMAND [ARGUMENT]...'
case ${VM_CLOCK-} in
  '') clock='-accel tcg' ;;
  instructions) clock='-accel tcg,thread=single -icount shift=0,sleep=on' ;;
  *) die "VM_CLOCK is $VM_CLOCK: it may be unset, or instructions" ;;
esac
for command in qemu-system-x86_64 busybox cpio modprobe flock setpriv; do
  command -v $command >/dev/null || die "no $command here: run tools/deps vm"
done
[ -e "$kernel" ] || (fetch_kernel) || exit 125
release=$(ls "$kernel/lib/modules")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
export PVPN_TEST_SLOW="${PVPN_TEST_SLOW:-10}"
initramfs "$@"
mkfifo "$work/out" "$work/err"
cat "$work/out" &
cat "$work/err" >&2 &
machine &
ended=0
wait $! || ended=$?
: <>"$work/out" <>"$work/err" # ends their readers, if qemu never opened them
wait

last_words() {
  cat "$work/qemu" "$work/console" 2>/dev/null | tail -n 20 >&2
}
if [ ! -s "$work/status" ]; then
  last_words
  die 'the machine does not start'
fi
status=$(sed -n 2p "$work/status")
if [ -z "$status" ] && [ $ended -eq 124 ]; then
  echo "vm: ended after $limit s" >&2
  status=124
elif [ -z "$status" ]; then
  last_words
  echo 'vm: the machine went down' >&2
  status=1
fi
exit "$status"
