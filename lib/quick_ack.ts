/**
 * Takes two waits out of a login. Until its session is open, ssh lets the
 * kernel gather what is small, on both ends (RFC 896): twice, something then
 * waits for an acknowledgement that the other end holds back for 40 ms
 * (RFC 1122, 4.2.3.2). ssh has no options for that, but its socket has.
 *
 * @module
 */
import type { Runner, RunningCommand } from "./command.ts";

// Arguments: the keeper, and the port of the server.
// Of the processes below the keeper, the one with a connection to that port is
// ssh. pidfd_getfd(2), of Linux 5.6, gives a descriptor of its socket; the
// numbers are those of all machines that Deno is there for. Options of tcp(7):
// TCP_NODELAY, which ssh itself sets later; and TCP_QUICKACK, which sends what
// is held back, and lasts for a few packets. What cannot be done is left: it
// is slower then, and that is all. Nothing of it is there to be undone.
const SCRIPT = `
my ($keeper, $port) = @ARGV;
my ($pidfd_open, $pidfd_getfd) = (434, 438);
my ($tcp, $nodelay, $quickack, $yes) = (6, 1, 12, pack "i", 1);
sub numbers { opendir my $dir, $_[0] or return; grep /^\\d+$/, readdir $dir }
sub below {
  my ($pid) = @_;
  map {
    open my $file, "<", "/proc/$pid/task/$_/children";
    map { ($_, below($_)) } split " ", $file && <$file> || "";
  } numbers("/proc/$pid/task");
}
sub connection {
  for my $pid (below($keeper)) {
    my $process = syscall $pidfd_open, $pid + 0, 0;
    next if $process < 0;
    for my $number (numbers("/proc/$pid/fd")) {
      my $what = readlink "/proc/$pid/fd/$number";
      next unless ($what || "") =~ /^socket:/;
      my $copy = syscall $pidfd_getfd, $process, $number + 0, 0;
      next if $copy < 0;
      open my $socket, "+<&=", $copy or next;
      my $peer = getpeername $socket or next;
      my ($family, $to) = unpack "S n", $peer;
      return $socket if ($family == 2 || $family == 10) && $to == $port;
    }
  }
}
my $socket = connection() or exit;
setsockopt $socket, $tcp, $nodelay, $yes;
do { setsockopt $socket, $tcp, $quickack, $yes } while sysread STDIN, my $any, 512;
`.trim();

/** A process that has ssh's connection send, and acknowledge, at once. */
export class QuickAck implements AsyncDisposable {
  readonly #runner: Runner;
  #process: RunningCommand | undefined;

  /** @param runner Runs Perl; where there is none, nothing is done. */
  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /**
   * Starts it, if it has not been.
   *
   * @param keeper The process ID of the keeper below which ssh runs.
   * @param port The server's TCP port.
   */
  start(keeper: number, port: number): void {
    const argv = ["perl", "-e", SCRIPT, String(keeper), String(port)];
    try {
      this.#process ??= this.#runner.start(argv);
    } catch {
      // Not there, or no room for it: it is slower then, and that is all.
    }
  }

  /** To be called when something has come from the server. */
  async received(): Promise<void> {
    await this.#process?.write("\n");
  }

  /** Ends it, and waits until it has gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    await process.release();
    for (const lines of [process.stdout, process.stderr]) {
      for await (const _ of lines); // it says nothing
    }
  }
}
