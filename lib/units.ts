/**
 * Quantities in a form for people.
 *
 * @module
 */

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Bytes, in powers of 1000: `999 B`, `1.2 kB`, `34 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What would be rounded to 1000 is 1.0 of the next.
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

const SPANS = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const;

/** Seconds, by the two largest units: `3 d 4 h`, `2 min 5 s`, `7 s`. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const first = SPANS.findIndex(([, size]) => rest >= size);
  const parts = SPANS.slice(first < 0 ? -1 : first).slice(0, 2).map((span) => {
    const [name, size] = span;
    const count = Math.floor(rest / size);
    rest -= count * size;
    return { name, count };
  });
  return parts.filter(({ count }, index) => count > 0 || index === 0)
    .map(({ name, count }) => `${count} ${name}`).join(" ");
}

/** Milliseconds: `0.31 ms`, `8.3 ms`, `140 ms`. */
export function formatMilliseconds(value: number): string {
  const digits = value < 1 ? 2 : value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ms`;
}

/** A date and time as this machine's clock shows it: `2026-11-23 09:17`. */
export function formatTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  const time = [date.getHours(), date.getMinutes()];
  return `${day.map(two).join("-")} ${time.map(two).join(":")}`;
}
