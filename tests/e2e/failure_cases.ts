/**
 * What the server, or the way to it, does not give: the cause is named. Cases
 * for all tunnel types; files of tests say for which.
 */
import { assertEquals } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { makeKey } from "../lab/sshd.ts";
import { assertFails, type LabTest, type Typed } from "./helpers.ts";

/** The lab that the cases are for. */
export const LAB = { jump: false };

/** One reason, and what it becomes. */
export interface Failure {
  /** Makes it so; returns what takes it back. */
  readonly setUp: (lab: Lab) => Promise<() => Promise<unknown>>;
  readonly host?: string;
  /** `SSH_ARGS`. */
  readonly ssh?: string;
  readonly code: number;
  readonly error: RegExp;
  readonly hint: RegExp;
  /** Why sshd may let it pass all the same. */
  readonly mayPass?: string;
  /** How many logins there are; one unless ssh is at fault. */
  readonly logins?: number;
}

/** Failures by their names. */
export type Failures = Readonly<Record<string, Failure>>;

const nothing = () => Promise.resolve(() => Promise.resolve());

/** Starts sshd with other lines. */
export const sshd = (...lines: string[]) => async (lab: Lab) => {
  await lab.startSshd(lines);
  return () => lab.startSshd();
};

/** Changes a file of a node. */
export async function edit(
  node: Lab["client"],
  path: string,
  change: (text: string) => string,
): Promise<() => Promise<unknown>> {
  const copy = await node.ok(["sh", "-c", 'cp -p "$0" "$0~"; cat "$0"', path]);
  await node.writeFile(path, change(copy));
  return () => node.ok(["mv", `${path}~`, path]);
}

/** Puts options before the key that the server accepts. */
export const keyOptions = (options: string) => ({ server }: Lab) =>
  edit(server, `${server.home}/.ssh/authorized_keys`, (t) => `${options} ${t}`);

const knownHosts = (change: (text: string) => string) => ({ client }: Lab) =>
  edit(client, `${client.home}/.ssh/known_hosts`, change);

/** The shell that root has on the server. */
const shell = (path: string) => ({ server }: Lab) =>
  edit(
    server,
    "/etc/passwd",
    (text) => text.replace(/^(root:.*:)[^:]*$/m, `$1${path}`),
  );

/** A user of the server's who is not root, with the same key. */
export async function bob({ server }: Lab): Promise<() => Promise<unknown>> {
  const user = "bob:x:1000:1000::/tmp/bob:/bin/sh\n";
  const files = await Promise.all([
    edit(server, "/etc/passwd", (text) => text + user),
    edit(server, "/etc/shadow", (text) => `${text}bob:*:19000::::::\n`),
  ]);
  const script = 'mkdir -p /tmp/bob/.ssh; cp "$0" /tmp/bob/.ssh; ' +
    "chown -R 1000:1000 /tmp/bob";
  const keys = `${server.home}/.ssh/authorized_keys`;
  await server.ok(["sh", "-ec", script, keys]);
  return async () => {
    await server.remove("/tmp/bob");
    for (const restore of files) await restore();
  };
}

/** Puts what is no program in the place of one. */
export const without =
  (end: "client" | "server", program: string) => async (lab: Lab) => {
    const node = lab[end];
    const path = (await node.ok(["sh", "-c", `command -v ${program}`])).trim();
    await node.ok(["mount", "--bind", "/dev/null", path]);
    return () => node.ok(["umount", path]);
  };

async function wrongKey({ client, dir }: Lab) {
  await makeKey(`${dir}/other`, "other");
  const path = `${client.home}/.ssh/id_ed25519`;
  const other = await Deno.readTextFile(`${dir}/other`);
  for (const name of ["other", "other.pub"]) {
    await Deno.remove(`${dir}/${name}`);
  }
  return await edit(client, path, () => other);
}

const FORCED = /take command= away/;
const SHELL = /ForceCommand in sshd_config, and at the shell/;

/** What no type gets far without. */
export const FAILURES: Failures = {
  "a forced command of a tunnel's own": {
    setUp: keyOptions('tunnel="9",command="true"'),
    ...{ code: 6, error: /authorized_keys .*, not the set-up$/, hint: FORCED },
  },
  "a forced command": {
    setUp: keyOptions('command="echo forced >&2"'),
    ...{ code: 6, error: /for your key, not the set-up: forced/, hint: FORCED },
  },
  "a forced command that fails": {
    setUp: sshd("ForceCommand exit 7"),
    ...{ code: 6, error: /did not run the set-up/, hint: SHELL },
  },
  "a shell that lets nobody in": {
    setUp: shell("/usr/sbin/nologin"),
    ...{ code: 6, error: /did not run the set-up/, hint: SHELL },
  },
  "a wrong key": {
    setUp: wrongKey,
    ...{
      code: 5,
      error: /refused the login.*publickey/,
      hint: /ssh root@server/,
    },
  },
  "a host key that is not known": {
    setUp: knownHosts(() => ""),
    ...{
      code: 5,
      error: /host key of .* is not known/,
      hint: /ssh root@server/,
    },
  },
  "a host key that has changed": {
    setUp: async (lab) => {
      const other = await Deno.readTextFile(`${lab.dir}/id.pub`);
      return await knownHosts(() => `server,10.77.0.1 ${other}`)(lab);
    },
    ...{
      code: 5,
      error: /host key of .* has changed/,
      hint: /listening.*: ssh root@server true/,
    },
  },
  "a host name that is not known": {
    setUp: ({ client }) =>
      edit(client, "/etc/nsswitch.conf", () => "passwd: files\nhosts: files\n"),
    host: "root@nowhere",
    ...{ code: 5, error: /host "nowhere" is not known/, hint: /ssh_config/ },
  },
  "a port where nobody listens": {
    setUp: nothing,
    ssh: "-p 2299",
    ...{
      code: 5,
      error: /"server", port 2299: connection refused/,
      hint: /sshd/,
    },
  },
  "an address that nobody has": {
    setUp: nothing,
    host: "root@10.77.0.99",
    ssh: "-o ConnectTimeout=2",
    ...{ code: 5, error: /"10\.77\.0\.99", port 22/, hint: /sshd/ },
  },
  "no ip on the server": {
    setUp: without("server", "ip"),
    ...{ code: 6, error: /server has no "ip"/, hint: /iproute2/ },
  },
};

/** Runs cases with one tunnel type. */
export function failureTests(
  { connect }: Typed,
  test: LabTest,
  failures: Failures,
): void {
  for (const [name, failure] of Object.entries(failures)) {
    test(`${name} ends it, in words, and leaves nothing`, async (lab) => {
      const { setUp, host = "root@server", ssh, code, error, hint } = failure;
      const logins = await lab.logins();
      const restore = await setUp(lab);
      const options = ssh === undefined ? {} : { env: { SSH_ARGS: ssh } };
      const args = [host, "10.88.0.0/24", "default"];
      const result = await connect(lab, args, options);
      if (result.code === 0) await pvpn(lab, ["-S"]);
      await restore();
      if (result.code === 0 && failure.mayPass) return;
      assertFails(result, code, error, hint);
      const expected = failure.logins ?? (code === 6 ? 1 : 0);
      assertEquals(await lab.logins() - logins, expected);
    });
  }
}
