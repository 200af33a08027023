/**
 * The pump of `ssh-gso`, in Perl: what Debian's perl-base has is on every
 * Debian server. One text for both ends, sent with ssh's remote command.
 *
 * @module
 */
import { BESIDE } from "./pump_beside.ts";
import { PACKETS } from "./pump_packets.ts";
import { WINDOW } from "./pump_window.ts";

// A TUN device whose packets have a virtio_net_hdr in front and may be TCP
// segments of up to 64 KiB in one (tun.c, IFF_VNET_HDR; virtio 1.2, 5.1.6.2).
// They go through the pipes of one ssh, each behind 4 bytes of its length: so
// the kernels of both ends segment, and sum, once for 40 packets of ssh -w.
//
// No single quote: the server gets this in a shell script.
const SOURCE = String.raw`
# Arguments: the device (tun%d makes one); the addresses of the end of the
# client, with commas; how many pumps share the device; and on the client
# whether it is new, and the ssh that leads to the other pump, of so many words,
# and the one that leads further pumps to theirs.
use strict;

my ($device, $addresses, $parallel, $state, $words, @ssh);
my ($is_client, $makes, $fresh, @beside);
my $told;                   # by a further pump, how it goes
my ($in, $out, $ssh);       # pipes to the other pump
my $tun;                    # the device, or a queue of it
my $report;                 # to whom it is said how it goes

# The client starts ssh before perl has read the rest, which takes it 8 ms.
BEGIN {
  ($device, $addresses, $parallel, $state, $words, @ssh) = @ARGV;
  $is_client = @ssh;
  @beside = splice @ssh, $words || 0;
  $makes = $device =~ /%d/;
  $fresh = $makes || $is_client && $state eq "new";
  ($in, $out, $report) = (\*STDIN, \*STDOUT, \*STDERR);
}

# --- What there is to say: on the server, to the script that runs this. ---

# ssh writes to the same pipe, and not in whole lines.
sub report { syswrite $report, ($is_client ? "\npump: " : "") . "@_\n" }

# Waits for ssh, which is asked to end, and made to. Nobody reads the queue now,
# so that the kernel must not give it any more.
sub wait_for_ssh {
  undef $tun;
  my @signals = ("TERM", ("KILL") x 9);
  local $SIG{ALRM} = sub { kill shift @signals, $ssh; alarm 5 };
  alarm 5;
  waitpid $ssh, 0;
}

sub fail {
  report($told ? "lost" : "error", @_);
  if ($ssh) { kill TERM => $ssh; wait_for_ssh() }
  exit 1;
}

# Ends as ssh does: it has lost its connection, or the other pump.
sub finish {
  exit 0 unless $ssh;
  close $out;
  wait_for_ssh();
  exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
}

# --- The other pump: pipes of ssh, or what sshd gave. ---

sub start_ssh {
  my @argv = @_;
  ($in, $out) = ();
  pipe $in, my $theirs or fail("pipe: $!");
  pipe my $ours, $out or fail("pipe: $!");
  $ssh = fork;
  fail("fork: $!") unless defined $ssh;
  return if $ssh;
  open STDIN, "<&", $ours and open STDOUT, ">&", $theirs and exec @argv;
  fail("cannot run $argv[0]: $!");
}

BEGIN {
  $SIG{PIPE} = "IGNORE";
  start_ssh(@ssh) if $is_client;
}
my $read;                   # whether perl could read it all
END { local $?; wait_for_ssh() if $ssh && !$read && kill TERM => $ssh }

use Config;
use Fcntl;

my $PIPE = 1 << 20;         # with less, ssh is woken too often
my $F_SETPIPE_SZ = 1031;

sub prepare {
  my ($pipe) = @_;
  binmode $pipe;
  fcntl $pipe, $F_SETPIPE_SZ, $PIPE;    # a wish; it may be a socket
  # Two ends that wait to write would wait for ever.
  fcntl $pipe, F_SETFL, O_NONBLOCK | fcntl $pipe, F_GETFL, 0
    or fail("fcntl: $!");
}

sub only { my $bits = ""; vec($bits, fileno $_, 1) = 1 for @_; return $bits }

# --- The device: linux/if_tun.h. ---

sub attach {
  # The bits of "write" in the number of an ioctl.
  my $write = $Config{archname} =~ /^(?:alpha|mips|p(?:ower)?pc|sparc)/
    ? 0x80000000 : 0x40000000;
  my ($tunsetiff, $tunsetowner, $tunsetoffload, $tunsetvnetle) =
    map { $write | 0x45400 | $_ } 0xca, 0xcc, 0xd0, 0xdc;
  my $flags = 0x0001 | 0x1000 | 0x4000;   # IFF_TUN IFF_NO_PI IFF_VNET_HDR
  $flags |= 0x0100 if $parallel > 1;      # IFF_MULTI_QUEUE
  my $offload = 0x01 | 0x02 | 0x04;       # TUN_F_CSUM TUN_F_TSO4 TUN_F_TSO6
  my $yes = pack "i", 1;
  # One that is not there would be made, and go with this process.
  open my $devices, "<", "/proc/net/dev" or fail("/proc/net/dev: $!");
  fail("there is no device $device")
    unless $makes || grep { /^\s*\Q$device\E:/ } <$devices>;
  sysopen my $queue, "/dev/net/tun", O_RDWR | O_NONBLOCK
    or fail("cannot open /dev/net/tun: $!");
  my $request = pack "a16 S x22", $device, $flags;
  ioctl $queue, $tunsetiff, $request or fail("cannot attach to $device: $!");
  ioctl $queue, $tunsetvnetle, $yes or fail("the kernel is too old: $!");
  ioctl $queue, $tunsetoffload, $offload or fail("no offloads: $!");
  $device = unpack "Z16", $request;
  return $queue unless $fresh && $parallel > 1;
  # Without an owner, anyone could take a queue (tun_not_capable()), and somebody
  # may have: before it had one. A queue can also be put aside for later.
  !$makes || ioctl $queue, $tunsetowner, $> + 0 or fail("no owner: $!");
  open my $ip, "-|", qw(ip -d -o link show dev), $device or fail("ip: $!");
  my $shown = join "", <$ip>;
  fail("somebody else has attached to $device")
    unless $shown =~ / numqueues 1 numdisabled 0 /;
  return $queue;
}

${PACKETS}
# --- Frames: 4 bytes of length, then the header and the packet. ---

my $QUEUE = 256 << 10;      # of what waits for room in the pipe, in bytes
my $READ = 256 << 10;
# Told before the first frame; what a login shell prints may come before it.
my $HELLO = "pvpn-gso 1\n";
# Lengths that are none: "how far are you", and "here".
my ($ASK, $HERE) = (0, 1);

my ($got, $send) = ("", $is_client ? "" : $HELLO);
my $greeted = !$is_client;
my $until;                  # when what is waited for is too late
my %pumps;                  # those beside this one, by process

${WINDOW}
sub greet {
  my $at = index $got, $HELLO;
  if ($at < 0) {
    fail("the server prints without end") if length $got > 1 << 16;
    return;
  }
  substr $got, 0, $at + length $HELLO, "";
  if ($told) { join_in() }
  else { 1 while sysread($tun, my $old, $LARGEST) }   # what waited for this
  ask();
  $greeted = 1;
  if ($told) { $until = undef }
  elsif ($parallel > 1) { wait_for_pumps() }
  else { report("ready") }
  return 1;
}

sub receive {
  my $n = sysread $in, $got, $READ, length $got;
  if (!$n) {
    return if !defined $n && $!{EAGAIN};
    finish();
  }
  return unless $greeted || greet();
  my $at = 0;
  while (length($got) - $at >= 4) {
    my $length = unpack "N", substr $got, $at, 4;
    if ($length <= $HERE) {
      $at += 4;
      if ($length == $HERE) { answered() } else { $send .= pack "N", $HERE }
      next;
    }
    fail("the other end sent a frame of $length bytes")
      if $length <= $HEADER || $length > $LARGEST;
    last if length($got) - $at < 4 + $length;
    # A packet that the kernel does not take is a lost one.
    syswrite $tun, $got, $length, $at + 4 if from_peer($got, $at + 4, $length);
    $at += 4 + $length;
  }
  substr $got, 0, $at, "";
  fail("the other end asks without end") if length $send > 4 * $QUEUE;
}

# Reads a frame to the end of a buffer; its size, nothing where there is none.
sub read_frame {
  my $at = length $_[0];
  my $n = sysread $tun, $_[0], $LARGEST, $at + 4;
  if (!$n) {
    substr $_[0], $at, 4, "" if length $_[0] > $at;
    fail("$device: $!") unless $!{EAGAIN};
    return;
  }
  if (from_device($_[0], $at + 4)) { substr $_[0], $at, 4, pack "N", $n }
  else { substr $_[0], $at, 4 + $n, "" }
  return 4 + $n;
}

sub take {
  for (1 .. 256) {          # or what comes in would have to wait
    if (!length $hold && has_room()) {
      my $before = length $send;
      read_frame($send) or return;
      admitted(length($send) - $before) if length $send > $before;
    } elsif ($sent - $there >= $window) {
      $limited = 1;
      # What has no room is dropped, as by any line that is full; what is
      # small, such as a question, has more room than what there is much of.
      my $before = length $hold;
      read_frame($hold) or return;
      my $small = length($hold) - $before <= $SMALL;
      substr $hold, $before, length $hold, ""
        if $before > ($small ? $window : $window / 2);
    } else { return }
  }
}

sub pass_on {
  my $n = syswrite $out, $send;
  if (defined $n) { substr $send, 0, $n, "" }
  elsif (!$!{EAGAIN}) { finish() }
}

# Who keeps this pump, and ends it by closing this: on the server, that is the
# client, by the pipe that brings its packets.
my $owner = $is_client ? \*STDIN : undef;

# Runs until the end; what is watched changes with the pumps beside this one.
my ($always, $with_tun);
sub watch {
  $always = only($in, grep { $_ } $owner, map { $_->{said} } values %pumps);
  $with_tun = $tun ? $always | only($tun) : $always;
}

${BESIDE}
sub pump {
  prepare($_) for $in, $out;
  watch();
  my $writable = only($out);
  while (1) {
    # Where the pipe is full, what comes waits in the queue of the device.
    my $reading = $greeted && length $send < $QUEUE ? $with_tun : $always;
    my $writing = length $send ? $writable : undef;
    my $left = $until && $until > now() ? $until - now() : $until && 0;
    my $found = select $reading, $writing, undef, $left;
    next if $found < 0;
    too_late() if $until && now() >= $until;
    next unless $found;
    listen_to_owner() if $owner && vec $reading, fileno $owner, 1;
    look_after($_)
      for grep { vec $reading, fileno $_->{said}, 1 } values %pumps;
    receive() if vec $reading, fileno $in, 1;
    admit_held() if length $hold;
    take() if $tun && vec $reading, fileno $tun, 1;
    pass_on() if length $send;
  }
}

$read = 1;
$is_client || open $report, ">&=", 3 or die "descriptor 3: $!\n";
$tun = attach();
report("device", $device) if $makes;
ask() unless $is_client;
$0 = "pvpn-pump $device";
pump();
`;

/** The program, without what is only for its readers. */
export const PUMP: string = SOURCE.split("\n")
  .filter((line) => !/^\s*(?:#.*)?$/.test(line)).join("\n");
