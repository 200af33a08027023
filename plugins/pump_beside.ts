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
my @owed;                   # those for which there was no room
my $LASTING = 10;           # seconds after which it was not up in vain
my $PATIENCE = 8;           # seconds that connecting waits for them
my $ANSWER = 60;            # seconds in which its server has to answer
my $LONGEST = 300;          # seconds between two tries

# How the owner says where the server is, and how it ends this.
sub listen_to_owner {
  if (!sysread $owner, my $line, 4096) { kill TERM => $ssh; finish() }
  elsif ($line =~ /^server (\S*)$/m) { $server = $1; start_beside() }
}

sub wait_for_pumps {
  ($expected, $joined, $until) = ($parallel - 1, 0, now() + $PATIENCE);
  start_beside();
}

sub start_beside {
  return unless $greeted && defined $server && !$lifeline;
  pipe my $their_end, $lifeline or fail("pipe: $!");
  add_pump($their_end, 0, $expected ? 1 : 0) for 2 .. $parallel;
}

sub add_pump {
  my ($lifeline_end, $tries, $first) = @_;
  my $pid = pipe(my $said, my $say) ? fork : undef;
  if (!defined $pid) {
    fail("fork: $!") if $first;
    push @owed, [$lifeline_end, $tries, 0];
    $until = now() + $ANSWER;
    return;
  }
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
  ($in, $out, $tun, $lifeline, $until, $fresh, %pumps) = ();
  (@asked, @owed) = ();
  ($got, $send, $hold, $greeted) = ("", "", "", 0);
  ($window, $sent, $there) = (256 << 10, 0, 0);
  ($limited, $judged, $base, $worse) = (0, 0, 1e9, 0);
  open $uptime, "<", "/proc/uptime" or fail("/proc/uptime: $!");
  # Not all at once: sshd drops what comes in crowds.
  my $delay = $tries ? 2 ** ($tries - 1) : 0;
  $delay = $LONGEST if $delay > $LONGEST;
  my $ended = only($owner);
  exit 1 if select $ended, undef, undef, $delay * (0.5 + rand);
  start_ssh(to_server($tries));
  $until = now() + $ANSWER;
  pump();
}

# To the address of the first: another one of the same name would be another
# machine, or lead through the tunnel. Its key is looked up as that of the
# first was; in turn without the port, as a host certificate has it.
sub to_server {
  my ($tries) = @_;
  my @argv = @beside;
  my ($at) = grep { $argv[$_] eq "-oHostName=<server>" } 0 .. $#argv;
  return @argv unless defined $at;
  $argv[$at] = "-oHostName=$server";
  $argv[$at + 1] =~ s/=\[(.*)\]:\d+$/=$1/ if $tries % 2;
  splice @argv, $at, 2 if $server eq "";
  return @argv;
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
    $joined++;
  } else {
    delete $pumps{$one->{pid}};
    waitpid $one->{pid}, 0;
    my $lasted = $one->{up} && now() - $one->{up} > $LASTING;
    add_pump($one->{end}, $lasted ? 0 : $one->{tries} + 1, 0);
  }
  return unless $one->{first};
  $one->{first} = 0;
  is_ready() if --$expected == 0;
}

# Connecting does not wait any longer.
sub too_late {
  fail("the server did not answer") if $told;
  $until = undef;
  add_pump(@$_) for splice @owed;
  return unless $expected;
  $_->{first} = 0 for values %pumps;
  $expected = 0;
  is_ready();
}

sub is_ready {
  $until = undef unless @owed;
  report("only", $joined + 1) if $joined + 1 < $parallel;
  report("ready");
}
`;
