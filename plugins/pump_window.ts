/**
 * The part of the pump that rules how much may be under way to the other end.
 *
 * @module
 */

/** Perl, for the middle of the pump. */
export const WINDOW: string = String.raw`
# --- How much may be under way. ---

# ssh, its window and its socket take megabytes: seconds, where a line is slow.
# So each end asks now and then how far the other is, and lets no more be under
# way than keeps the line busy for a moment longer than an answer takes.
my ($LEAST, $MOST) = (16 << 10, 8 << 20);
my $DELAY = 0.05;           # of that moment, in seconds; the clock has 0.01
my ($window, $sent, $there) = (256 << 10, 0, 0);
my ($hold, $limited, $judged, $base, $worse) = ("", 0, 0, 1e9, 0);
my $SMALL = 300;            # bytes of a frame
my @asked;                  # [how much was sent, when]

open my $uptime, "<", "/proc/uptime" or fail("/proc/uptime: $!");
sub now {
  sysseek $uptime, 0, 0;
  sysread $uptime, my $text, 32;
  return (split " ", $text)[0];
}

sub ask {
  $send .= pack "N", $ASK;
  push @asked, [$sent, now()];
}

sub answered {
  my $asked = shift @asked or fail("the other end answers what nobody asked");
  $there = $asked->[0];
  my $time = now() - $asked->[1];
  $base = $time if $time < $base;
  return if $there < $judged;             # sent before the last change
  if ($time > $base + $DELAY + $base / 4) {
    # Less under way takes less time, or it is others that fill the line.
    if ($worse && $time > 0.8 * $worse) { ($base, $worse) = ($time, 0) }
    else {
      my $part = ($base + $DELAY / 2) / $time;
      $window *= $part < 0.5 ? 0.5 : $part;
      $window = $LEAST if $window < $LEAST;
      $worse = $time;
    }
  } else {
    $worse = 0;
    return unless $limited;
    $window *= $time > $base + $DELAY / 2 ? 1.25 : 2;
    $window = $MOST if $window > $MOST;
  }
  ($judged, $limited) = ($sent, 0);
}

sub has_room { length $send < $QUEUE && $sent - $there < $window }

sub admitted {              # a frame of so many bytes
  $sent += $_[0];
  ask() if $sent - (@asked ? $asked[-1][0] : $there) >= $window / 4;
}

sub admit_held {
  while (length $hold && has_room()) {
    my $size = 4 + unpack "N", $hold;
    $send .= substr $hold, 0, $size, "";
    admitted($size);
  }
}
`;
