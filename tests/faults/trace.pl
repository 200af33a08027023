# Runs a program under ptrace(2), and all that it starts. What processes called
# pvpn change in files below /run, and what they write to others, are steps; at
# the chosen one, it asks what is to become of it. See gate.ts. For x86-64.
use strict;
use warnings;
use POSIX ();

use constant {
    POKEUSER => 6, CONT => 7, SYSCALL => 24, GETEVENTMSG => 0x4201,
    SEIZE => 0x4206, LISTEN => 0x4208, GET_SYSCALL_INFO => 0x420e,
    # Tell of system calls, fork, vfork, clone and exec.
    OPTIONS => 1 | 2 | 4 | 8 | 16,
    CLONE_EVENT => 3, EXEC_EVENT => 4, STOP_EVENT => 128,
    WALL => 0x40000000, TRAP => 5, KILL => 9,
    ORIG_RAX => 15 * 8, RAX => 10 * 8,
};

# By their numbers: name, and where the path is (-1: of descriptor 0).
my %CALLS = (
    1 => ['write', -1], 18 => ['pwrite', -1], 20 => ['writev', -1],
    77 => ['ftruncate', -1], 82 => ['rename', 0], 83 => ['mkdir', 0],
    84 => ['rmdir', 0], 86 => ['link', 0], 87 => ['unlink', 0],
    91 => ['fchmod', -1], 73 => ['flock', -1],
    257 => ['openat', 1], 258 => ['mkdirat', 1], 263 => ['unlinkat', 1],
    264 => ['renameat', 1], 265 => ['linkat', 1], 316 => ['renameat2', 1],
);

# How they fail: a full or read-only file system, no locks, nobody who reads.
my %ERRORS = (
    'write:pipe' => 32, flock => 37, unlink => 30, rmdir => 30, any => 28,
);

my ($gate, @argv) = @ARGV;
$^F = 1000; # the pipe below stays open in the tracer only

sub ptrace {
    return syscall 101, $_[0], $_[1], $_[2], $_[3]; # which may be written to
}

# The tracer outlives the program: what that leaves behind is traced as well.
pipe my $ended, my $end or die;
if (fork // die) {
    close $end;
    my $status = <$ended> // 256;
    kill $status & 127, $$ if $status & 127;
    exit $status >> 8;
}
close $ended;
pipe my $seized, my $seize or die;
my $main = fork // die;
if ($main == 0) {
    close $_ for $end, $seize;
    readline $seized;
    close $seized;
    exec @argv or POSIX::_exit(127);
}
# With PTRACE_TRACEME nothing could be left stopped that pvpn stops.
ptrace(SEIZE, $main, 0, OPTIONS) == 0 or die "PTRACE_SEIZE: $!";
close $_ for $seized, $seize;
open STDIN, '<', '/dev/null';
open STDOUT, '>', '/dev/null';
open STDERR, '>', "$gate/trace.log";

my (%ours, %left, %count);

sub is_pvpn {
    my ($pid) = @_;
    return (readlink("/proc/$pid/exe") // '') =~ m{/pvpn$};
}

sub text_at {
    my ($pid, $address) = @_;
    sysopen my $memory, "/proc/$pid/mem", 0 or return '';
    sysseek $memory, $address, 0;
    sysread $memory, my $text, 256;
    return ($text // '') =~ /^([^\0]*)/ ? $1 : '';
}

# What a system call is as a step, if it is one.
sub step_of {
    my ($pid, $number, @args) = @_;
    my ($name, $where) = @{ $CALLS{$number} // return };
    my $path = $where < 0 ? readlink("/proc/$pid/fd/$args[0]") // ''
        : text_at($pid, $args[$where]);
    return if $name eq 'openat' && !($args[2] & (1 | 2 | 0100)); # only reads
    return "$name:$1" if $where < 0 && $path =~ /^(pipe):/;
    return $path =~ m{^/run/(.*)} ? "$name:" . ($1 =~ tr{/}{-}r) : undef;
}

sub ask {
    my ($step) = @_;
    open my $armed, '<', "$gate/armed" or return 'run';
    chomp(my $chosen = readline($armed) // '');
    my $key = "file $step " . ++$count{$step};
    open my $file, '>', "$gate/steps/$key" or die "$key: $!";
    close $file;
    return 'run' if $chosen ne $key;
    open my $fired, '>', "$gate/fired" or die;
    print $fired "\n";
    close $fired;
    open my $word, '<', "$gate/word" or die;
    chomp(my $what = readline $word);
    return $what;
}

sub at_syscall {
    my ($pid) = @_;
    my $info = "\0" x 88;
    return if ptrace(GET_SYSCALL_INFO, $pid, 88, $info) < 0;
    my ($op, @words) = unpack 'Cx23Q7', $info;
    if ($op == 2 && (my $what = delete $left{$pid})) {
        if ($what > 0) { ptrace(POKEUSER, $pid, RAX, -$what) }
        else { kill KILL, $pid }
    }
    return if $op != 1;
    my $step = step_of($pid, @words) // return;
    my $what = ask($step);
    if ($what eq 'kill') { kill KILL, $pid }
    elsif ($what eq 'late') { $left{$pid} = -1 }
    elsif ($what eq 'fail') {
        ptrace(POKEUSER, $pid, ORIG_RAX, -1);
        my ($name) = $step =~ /^(\w+)/;
        $left{$pid} = $ERRORS{$step} // $ERRORS{$name} // $ERRORS{any};
    }
}

# wait4(2) itself: Perl's does not tell how a process has stopped.
while ((my $pid = syscall 61, -1, my $word = "\0" x 4, WALL, 0) > 0) {
    my $status = unpack 'i', $word;
    if (($status & 0xff) != 0x7f) {
        delete $ours{$pid};
        if ($pid == $main) { print $end $status; close $end }
        next;
    }
    my ($signal, $event) = ($status >> 8 & 0xff, $status >> 16);
    my ($deliver, $stopped) = (0, 0);
    if ($event == STOP_EVENT) {
        $stopped = $signal != TRAP; # or it is new, or goes on
    } elsif ($event == EXEC_EVENT) {
        $ours{$pid} = is_pvpn($pid);
    } elsif ($event == CLONE_EVENT) {
        my $new = "\0" x 8;
        ptrace(GETEVENTMSG, $pid, 0, $new);
        $ours{ unpack 'Q', $new } = $ours{$pid}; # a thread
    } elsif ($signal == (TRAP | 0x80)) {
        at_syscall($pid);
    } elsif (!$event) {
        $deliver = $signal;
    }
    my $next = $stopped ? LISTEN : $ours{$pid} ? SYSCALL : CONT;
    ptrace($next, $pid, 0, $deliver);
}
