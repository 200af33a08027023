/**
 * Reads what the script of `--check` says, and what ssh says of the login.
 *
 * @module
 */
import { formatAddress } from "./address.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { printable } from "./log.ts";
import { type Login, readLogin } from "./login.ts";
import { parseTold } from "./resolv_conf.ts";

/** What one check of a tunnel type found. */
export interface Finding {
  /** 0: it is there. 2: that cannot be told. Else it is not. */
  readonly status: number;
  /** What it printed. */
  readonly text: string;
}

/** What there is on one end. */
export interface Facts {
  /** The values of the lines that the script says, by their keys. */
  readonly values: ReadonlyMap<string, string>;
  /** The resolvers that it uses. */
  readonly resolvers: readonly string[];
  /** What the checks of tunnel types found, by their numbers. */
  readonly findings: ReadonlyMap<number, Finding>;
  /** How the login was. */
  readonly login: Login;
}

const KEYS = [
  ...["uid", "user", "kernel", "forward4", "forward6", "congestion"],
  ...[
    "manager",
    "ip",
    "ssh",
    "programs",
    "firewall",
    "stub",
    "clock",
    "connection",
  ],
];
const LISTS = ["resolver", "domain"];
/** Lines of the script's that are taken: it says far less. */
const LIMIT = 200;

/** Reads the lines of one end. */
export class ProbeReader {
  readonly #mark: string;
  readonly #values = new Map<string, string>();
  readonly #lists = new Map<string, string[]>();
  readonly #findings = new Map<number, Finding>();
  #login: Login = {};
  #count = 0;

  /** @param token What marks the script's own lines. */
  constructor(token: string) {
    this.#mark = token + " ";
  }

  /**
   * Takes one line.
   *
   * @returns The facts when it was the last, `true` when it was another of the
   * script's own, `false` when it was somebody else's.
   * @throws {PvpnError} Where it makes no sense.
   */
  read(said: string): Facts | boolean {
    const line = printable(said); // some of it is shown, and be it as JSON
    if (!line.startsWith(this.#mark)) {
      this.#login = readLogin(this.#login, line);
      return false;
    }
    const text = line.slice(this.#mark.length);
    if (text === "ready") return this.facts();
    const [, key = "", value = ""] = /^(\w+)=(.{0,512})/.exec(text) ?? [];
    if (++this.#count > LIMIT || !this.#keep(key, value)) {
      throw new PvpnError(
        ExitCode.server,
        `the server answered the check with the line "${text.slice(0, 64)}"`,
        ["something changes the server's output on its way: see it with -d"],
      );
    }
    return true;
  }

  #keep(key: string, value: string): boolean {
    if (key === "check") {
      const [, number, status, text = ""] = /^(\d+) (\d+) ?(.*)$/.exec(value) ??
        [];
      const finding = { status: Number(status), text: text.trim() };
      this.#findings.set(Number(number), finding);
      return number !== undefined;
    }
    if (LISTS.includes(key)) {
      this.#lists.set(key, [...this.#lists.get(key) ?? [], value]);
      return true;
    }
    this.#values.set(key, value.trim());
    return KEYS.includes(key);
  }

  /** What was read so far. */
  facts(): Facts {
    const list = (key: string) => this.#lists.get(key) ?? [];
    const told = parseTold({ resolver: list("resolver"), domain: [] });
    return {
      values: this.#values,
      resolvers: told.addresses.map(formatAddress),
      findings: this.#findings,
      login: this.#login,
    };
  }
}
