/**
 * What the built-in tunnel types need on either end, for `--check`.
 *
 * @module
 */
import { type Check, REMEDIES, type RemoteCheck } from "../plugin.ts";

// Nothing is loaded by being looked for: a device is opened only where its
// driver is there already.
const PPP_TEST = `
[ -c /dev/ppp ] || { echo "no /dev/ppp"; exit 1; }
while read -r name _; do
  [ "$name" != ppp ] || exit 0
done </proc/tty/ldiscs
command -v modprobe >/dev/null || exit 2
modprobe -n -q ppp_async || { echo "the kernel has none"; exit 1; }`;

/** PPP in this machine's kernel; pppd says so itself when it connects. */
export const pppHere: Check = {
  name: "PPP in the kernel",
  hint: REMEDIES.loadPpp,
  late: true,
  async passes(query) {
    const path = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin";
    const argv = ["sh", "-c", path + PPP_TEST];
    const { status } = await query(argv, { anyStatus: true });
    return status === 0 || status === 2;
  },
};

/** What `ppp` needs there. */
export const PPP_THERE: readonly RemoteCheck[] = [
  {
    name: "pppd",
    hint: REMEDIES.installPpp,
    test: "command -v pppd >/dev/null || exit 1\npppd --version 2>&1",
  },
  { name: "PPP in the kernel", hint: REMEDIES.loadPpp, test: PPP_TEST },
];

// The sshd of this session may have another configuration than the usual one:
// its title, which starts with its command line, says which.
const ASK_SSHD = `
[ "$(id -u)" = 0 ] || { echo "only root can ask sshd for it"; exit 2; }
command -v sshd >/dev/null || exit 2
config= pid=$PPID
while [ "\${pid:-0}" -gt 1 ]; do
  title=$(tr '\\0' ' ' <"/proc/$pid/cmdline") || break
  case $title in
    *"[listener]"*)
      flag=
      for word in $title; do
        [ "$flag" != -f ] || config=$word
        flag=$word
      done
      break ;;
  esac
  while read -r key value; do
    case $key in PPid:) pid=$value; break ;; esac
  done <"/proc/$pid/status"
done
set -- $SSH_CONNECTION
said=$(sshd -T \${config:+-f "$config"} \\
  -C "user=$(id -un),host=$1,addr=$1,laddr=$3,lport=$4" 2>/dev/null) || exit 2
value() {
  while read -r key value; do
    if [ "$key" = "$1" ]; then echo "$value"; break; fi
  done <<END
$said
END
}`;

const PERMIT_TEST = `
[ -z "\${SSH_TUNNEL-}" ] || exit 0 # this session has one${ASK_SSHD}
permit=$(value permittunnel)
echo "$permit"
case $permit in yes | point-to-point) exit 0 ;; esac
exit 1`;

// The sshd of 9.2 minds it for ports only, that of 10.5 for tunnels, too
// (serverloop.c, server_request_tun).
const FORWARDING_TEST = `${ASK_SSHD}
[ "$(value disableforwarding)" = yes ] || { echo no; exit 0; }
echo "yes, which newer sshds take for tunnels, too"
exit 2`;

/** What makes TUN devices there. */
const tunThere: RemoteCheck = {
  name: "/dev/net/tun",
  hint: REMEDIES.loadTun,
  test: `
[ -c /dev/net/tun ] || exit 1
if [ -e /sys/class/misc/tun ]; then : <>/dev/net/tun || exit 1
else
  command -v modprobe >/dev/null || exit 2
  modprobe -n -q tun || exit 1
fi`,
};

/** What `ssh-gso` needs there. */
export const SSH_GSO_THERE: readonly RemoteCheck[] = [
  tunThere,
  {
    name: "perl",
    hint: "apt install perl-base",
    test: "command -v perl >/dev/null || exit 1\n" +
      "perl -e 'printf \"%vd\", $^V'",
  },
];

/** What `ssh-3` needs there. */
export const SSH_3_THERE: readonly RemoteCheck[] = [
  {
    name: "PermitTunnel",
    hint: REMEDIES.permitTunnel,
    test: PERMIT_TEST,
  },
  {
    name: "DisableForwarding",
    hint: REMEDIES.allowForwarding,
    test: FORWARDING_TEST,
  },
  tunThere,
];
