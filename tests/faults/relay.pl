# Runs ssh, and passes its standard error on line by line. What the server's
# script says, and that the login is done, are steps. See gate.ts.
use strict;
use warnings;

my ($gate, @argv) = @ARGV;

# Whether to go on with the line: at the chosen step, somebody else knows.
sub ask {
    my ($step, $line) = @_;
    open my $armed, '<', "$gate/armed" or return 'run';
    chomp(my $chosen = readline($armed) // '');
    my $n = 1;
    # O_WRONLY | O_CREAT | O_EXCL
    $n++ until sysopen my $file, "$gate/steps/line $step $n", 0301;
    open my $text, '>', "$gate/steps/line $step $n" or die;
    print $text $line;
    close $text;
    return 'run' if $chosen ne "line $step $n";
    open my $fired, '>', "$gate/fired" or die;
    print $fired "\n";
    close $fired;
    open my $word, '<', "$gate/word" or die;
    chomp(my $what = readline $word);
    return $what;
}

pipe my $read, my $write or die;
my $ssh = fork // die;
if ($ssh == 0) {
    open STDERR, '>&', $write or die;
    exec @argv or die;
}
close $write;
$SIG{PIPE} = 'IGNORE'; # as ssh does
# ssh alone has these now: who waits for their end waits for ssh's.
open STDIN, '<', '/dev/null';
open STDOUT, '>', '/dev/null';
$| = 1;
select STDERR;
$| = 1;
while (my $line = <$read>) {
    my $step = $line =~ /^pvpn-[0-9a-f]{32} ([a-z0-9]+)/ ? $1
        : $line =~ /^Authenticated to / ? 'authenticated' : undef;
    my $what = defined $step ? ask($step, $line) : 'run';
    $line =~ s/ .*/ no\\such "key" \$(reboot)/ if $what eq 'garbage';
    print STDERR $line;
}
waitpid $ssh, 0;
my $status = $?;
kill $status & 127, $$ if $status & 127;
exit $status >> 8;
