/**
 * The part of the pump that knows packets: which of them belong to the tunnel.
 *
 * @module
 */

/** Perl, for the middle of the pump. */
export const PACKETS: string = String.raw`
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
`;
