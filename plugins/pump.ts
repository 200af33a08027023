/**
 * The pump of `ssh-gso`, in Perl: what Debian's perl-base has is on every
 * Debian server. One text for both ends, sent with ssh's remote command.
 *
 * @module
 */

// A TUN device whose packets have a virtio_net_hdr in front and may be TCP
// segments of up to 64 KiB in one (tun.c, IFF_VNET_HDR; virtio 1.2, 5.1.6.2).
// They go through the pipes of one ssh, each behind 4 bytes of its length: so
// the kernels of both ends segment, and sum, once for 40 packets of ssh -w.
//
// No single quote: the server gets this in a shell script.
const SOURCE = String.raw`
# Arguments: the device (tun%d makes one), the addresses of the end of the
# client, with commas; and on the client the ssh that leads to the other pump.
use strict;
use warnings;
use Config;
use Fcntl;

my ($device, $addresses, @ssh) = @ARGV;
my $is_client = @ssh;

my ($in, $out, $ssh) = (\*STDIN, \*STDOUT);  # pipes to the other pump

# --- What there is to say: on the server, to the script that runs this. ---

my $report = \*STDERR;
unless ($is_client) { open $report, ">&=", 3 or die "descriptor 3: $!\n" }
sub report { syswrite $report, ($is_client ? "pump: " : "") . "@_\n" }

sub fail {
  report("error", @_);
  if ($ssh) { kill TERM => $ssh; waitpid $ssh, 0 }
  exit 1;
}

# Ends as ssh does: it has lost its connection, or the other pump.
sub finish {
  exit 0 unless $ssh;
  close $out;
  local $SIG{ALRM} = sub { kill TERM => $ssh };
  alarm 5;
  waitpid $ssh, 0;
  exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
}

# --- The device: linux/if_tun.h. ---

sub attach {
  # The bits of "write" in the number of an ioctl.
  my $write = $Config{archname} =~ /^(?:alpha|mips|p(?:ower)?pc|sparc)/
    ? 0x80000000 : 0x40000000;
  my ($tunsetiff, $tunsetoffload, $tunsetvnetle) =
    map { $write | 0x45400 | $_ } 0xca, 0xd0, 0xdc;
  my $flags = 0x0001 | 0x1000 | 0x4000;   # IFF_TUN IFF_NO_PI IFF_VNET_HDR
  my $offload = 0x01 | 0x02 | 0x04;       # TUN_F_CSUM TUN_F_TSO4 TUN_F_TSO6
  my $yes = pack "i", 1;
  # One that is not there would be made, and go with this process.
  open my $devices, "<", "/proc/net/dev" or fail("/proc/net/dev: $!");
  fail("there is no device $device")
    unless $device =~ /%d/ || grep { /^\s*\Q$device\E:/ } <$devices>;
  sysopen my $tun, "/dev/net/tun", O_RDWR | O_NONBLOCK
    or fail("cannot open /dev/net/tun: $!");
  my $request = pack "a16 S x22", $device, $flags;
  ioctl $tun, $tunsetiff, $request or fail("cannot attach to $device: $!");
  ioctl $tun, $tunsetvnetle, $yes or fail("the kernel is too old: $!");
  ioctl $tun, $tunsetoffload, $offload or fail("no offloads: $!");
  $device = unpack "Z16", $request;
  return $tun;
}

# --- The other pump: pipes of ssh, or what sshd gave. ---

my $PIPE = 1 << 20;         # with less, ssh is woken too often
my $F_SETPIPE_SZ = 1031;

sub start_ssh {
  ($in, $out) = ();
  pipe $in, my $theirs or fail("pipe: $!");
  pipe my $ours, $out or fail("pipe: $!");
  $ssh = fork;
  fail("fork: $!") unless defined $ssh;
  return if $ssh;
  open STDIN, "<&", $ours and open STDOUT, ">&", $theirs and exec @ssh;
  fail("cannot run $ssh[0]: $!");
}

sub prepare {
  my ($pipe) = @_;
  binmode $pipe;
  fcntl $pipe, $F_SETPIPE_SZ, $PIPE;    # a wish; it may be a socket
  # Two ends that wait to write would wait for ever.
  fcntl $pipe, F_SETFL, O_NONBLOCK | fcntl $pipe, F_GETFL, 0
    or fail("fcntl: $!");
}

# --- What belongs to the tunnel. ---

my $HEADER = 10;            # struct virtio_net_hdr: flags gso_type hdr_len
                            # gso_size csum_start csum_offset
my $LARGEST = $HEADER + 65540;
my $SEGMENTS = 2048;        # of one frame, at most

sub packed {                # an address, as packets have it
  my ($text) = @_;
  return pack "C4", split /\./, $text unless $text =~ /:/;
  my ($left, $right) = map { [map { hex } split /:/] } split /::/, $text, 2;
  $right ||= [];
  return pack "n8", @$left, (0) x (8 - @$left - @$right), @$right;
}
my %client = map { packed($_) => 1 } split /,/, $addresses;

# Where packets have the address of the client, in IPv4 and in IPv6, when they
# come from the device and when they come from the other end.
my ($out4, $out6, $in4, $in6) = $is_client ? (12, 8, 16, 24) : (16, 24, 12, 8);

# Of a frame that starts at an offset in a buffer; the buffer is not copied.
sub from_device {
  my $ip = $_[1] + $HEADER;
  my $version = vec($_[0], $ip, 8) >> 4;
  return $version == 4 ? $client{ substr $_[0], $ip + $out4, 4 }
    : $version == 6 && $client{ substr $_[0], $ip + $out6, 16 };
}

# What the other end sends may be anything. The kernel looks at the header too,
# but would write a checksum over a source that was looked at here.
sub from_peer {
  my (undef, $at, $length) = @_;
  return if $length < $HEADER + 20;
  my ($flags, $type, $size, $start, $offset, $first, $fragment, $protocol) =
    unpack "C2 x2 v3 C x5 n x C", substr $_[0], $at, $HEADER + 20;
  my $ip = $at + $HEADER;
  $length -= $HEADER;
  my ($version, $headers, $source) = ($first >> 4, 40);
  if ($version == 4) {
    $headers = 4 * ($first & 15);
    return unless $client{ substr $_[0], $ip + $in4, 4 };
    $source = substr $_[0], $ip + 12, 4 if $is_client;
    # This network, loopback, multicast, broadcast: RFC 6890.
    return if $is_client && $source =~ /^[\0\x7f\xe0-\xff]/s;
  } else {
    return unless $version == 6 && $length >= 40;
    return unless $client{ substr $_[0], $ip + $in6, 16 };
    $source = substr $_[0], $ip + 8, 16 if $is_client;
    # Loopback, IPv4 in IPv6, link-local, multicast: RFC 4291.
    return if $is_client && $source =~ /^(?:\0\0|\xfe[\x80-\xbf]|\xff)/s;
  }
  return if $is_client && $client{$source};
  if ($flags & 1) {         # VIRTIO_NET_HDR_F_NEEDS_CSUM
    return if $start < $headers || $start + $offset + 2 > $length;
  }
  return 1 if $type == 0;
  # VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6
  return unless $flags & 1 && $size && $length / $size <= $SEGMENTS;
  return $version == 4
    ? $type == 1 && $protocol == 6 && !($fragment & 0x3fff) : $type == 4;
}

# --- Frames: 4 bytes of length, then the header and the packet. ---

my $QUEUE = 256 << 10;      # of what waits for room in the pipe, in bytes
my $READ = 256 << 10;
# Told before the first frame; what a login shell prints may come before it.
my $HELLO = "pvpn-gso 1\n";

$SIG{PIPE} = "IGNORE";
my $tun = attach();
start_ssh() if $is_client;
prepare($_) for $in, $out;
my ($got, $send) = ("", $is_client ? "" : $HELLO);
my $greeted = !$is_client;

sub greet {
  my $at = index $got, $HELLO;
  if ($at < 0) {
    fail("the server prints without end") if length $got > 1 << 16;
    return;
  }
  substr $got, 0, $at + length $HELLO, "";
  1 while sysread($tun, my $old, $LARGEST);   # what waited for the connection
  report("ready");
  return $greeted = 1;
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
    fail("the other end sent a frame of $length bytes")
      if $length <= $HEADER || $length > $LARGEST;
    last if length($got) - $at < 4 + $length;
    # A packet that the kernel does not take is a lost one.
    syswrite $tun, $got, $length, $at + 4 if from_peer($got, $at + 4, $length);
    $at += 4 + $length;
  }
  substr $got, 0, $at, "";
}

sub take {
  while ((my $at = length $send) < $QUEUE) {
    my $n = sysread $tun, $send, $LARGEST, $at + 4;
    if (!$n) {
      substr $send, $at, 4, "" if length $send > $at;
      fail("$device: $!") unless $!{EAGAIN};
      return;
    }
    if (from_device($send, $at + 4)) { substr $send, $at, 4, pack "N", $n }
    else { substr $send, $at, 4 + $n, "" }
  }
}

sub pass_on {
  my $n = syswrite $out, $send;
  if (defined $n) { substr $send, 0, $n, "" }
  elsif (!$!{EAGAIN}) { finish() }
}

report("device", $device) unless $is_client;
$0 = "pvpn-pump $device";

sub only { my $bits = ""; vec($bits, fileno $_, 1) = 1 for @_; return $bits }
# Where the client has no connection to wait for, its keeper is gone.
my $always = $is_client ? only($in, \*STDIN) : only($in);
my $with_tun = $always | only($tun);
my $writable = only($out);
while (1) {
  my $reading = $greeted && length $send < $QUEUE ? $with_tun : $always;
  my $writing = length $send ? $writable : undef;
  next if select($reading, $writing, undef, undef) < 0;
  if ($is_client && vec $reading, 0, 1) { kill TERM => $ssh; finish() }
  receive() if vec $reading, fileno $in, 1;
  take() if vec $reading, fileno $tun, 1;
  pass_on() if length $send;
}
`;

/** The program, without what is only for its readers. */
export const PUMP: string = SOURCE.split("\n")
  .filter((line) => !/^\s*(?:#.*)?$/.test(line)).join("\n");
