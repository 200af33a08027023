/**
 * The part of the pump that has others beside it: `--parallel`.
 *
 * @module
 */

// A TUN device can have several queues (IFF_MULTI_QUEUE, Linux 3.8), one for
// each process that attaches to it. The kernel keeps a flow in one of them, and
// answers in the one that it came by (tun_automq_select_queue() in tun.c); when
// one goes, its flows go by the others. So there is one device, with one pair
// of addresses, however many ssh processes carry it.

/** Perl, for the end of the pump. */
export const BESIDE: string = String.raw`
# --- The pumps beside this one, each with a queue and an ssh of its own. ---

# What is known of each: "said", a pipe by which it says that it has joined, and
# which closes with it; "end", by which it sees that this one ends; how often
# it was tried; since when it is up; and whether its first word is waited for.
my ($server, $expected, $joined, $lifeline);
my $LASTING = 10;           # seconds after which it was not up in vain

# How the owner says where the server is, and how it ends this.
sub listen_to_owner {
  if (!sysread $owner, my $line, 4096) { kill TERM => $ssh; finish() }
  elsif ($line =~ /^server (\S*)$/m) { $server = $1; start_beside() }
}

sub start_beside {
  return unless $greeted && defined $server && !defined $expected;
  ($expected, $joined) = ($parallel - 1, 0);
  pipe my $their_end, $lifeline or fail("pipe: $!");
  add_pump($their_end, 0, 1) for 1 .. $expected;
}

sub add_pump {
  my ($lifeline_end, $tries, $first) = @_;
  pipe my $said, my $say or fail("pipe: $!");
  my $pid = fork;
  fail("fork: $!") unless defined $pid;
  be_pump($lifeline_end, $say, $tries) unless $pid;
  $pumps{$pid} = {
    pid => $pid, said => $said, end => $lifeline_end,
    tries => $tries, first => $first, up => 0,
  };
  watch();
}

# The copy of the first pump becomes one beside it. Files it shares with that
# would have one position.
sub be_pump {
  my ($lifeline_end, $say, $tries) = @_;
  ($told, $owner, $ssh) = ($say, $lifeline_end);
  ($in, $out, $tun, $lifeline, %pumps, @asked) = ();
  ($got, $send, $hold, $greeted) = ("", "", "", 0);
  ($window, $sent, $there) = (256 << 10, 0, 0);
  ($limited, $judged, $base, $worse) = (0, 0, 1e9, 0);
  my $delay = $tries ? 2 ** ($tries - 1) : 0;
  open $uptime, "<", "/proc/uptime" or fail("/proc/uptime: $!");
  my $ended = only($owner);
  exit 1 if select $ended, undef, undef, $delay < 60 ? $delay : 60;
  start_ssh(map { s/^-oHostName=\K<server>$/$server/r } @beside);
  pump();
}

# There is a connection: from now on the kernel may give it flows.
sub join_in {
  $tun = attach();
  watch();
  syswrite $told, "up";
}

sub look_after {
  my ($one) = @_;
  if (sysread $one->{said}, my $up, 2) {
    $one->{up} = now();
    $joined += $one->{first};
  } else {
    delete $pumps{$one->{pid}};
    waitpid $one->{pid}, 0;
    my $lasted = $one->{up} && now() - $one->{up} > $LASTING;
    add_pump($one->{end}, $lasted ? 0 : $one->{tries} + 1, 0);
  }
  return unless $one->{first};
  $one->{first} = 0;
  return if --$expected;
  report("only", $joined + 1) if $joined + 1 < $parallel;
  report("ready");
}
`;
