/**
 * Fills `vendor/` with `@std` from pinned npm tarballs, for machines which
 * reach the npm registry but not JSR. Versions come from `deno.lock`.
 * Run by `setup.sh`, with `--no-lock --no-config`: no module is there yet.
 */

type Source = "windmill" | "denoStd";

interface Tarball {
  readonly spec: string;
  readonly integrity: string;
  readonly members: readonly string[];
}

const TARBALLS: Readonly<Record<Source, Tarball>> = {
  windmill: {
    spec: "windmill-cli@1.596.0",
    integrity:
      "sha512-5aFVNTOEaGyTKyQlyjFI1FAZ8fTIQ2vGSmnqL3FfZuKpKWdqGXh8p9Azdp8N2MkIwyP1vYtOK9nfQk6jr6tRTw==",
    members: ["esm/deps", "types/deps"],
  },
  denoStd: {
    spec: "deno-std@1.3.3",
    integrity:
      "sha512-rqIHcQRbxvcCpU98ftr39oo8oDV+j/lXj+QwTr4T5xMqMIhKCRg+JrEtl4/xRCuoEpwFMyXksfK22cWIdDI/bg==",
    members: ["assert", "cli", "internal"],
  },
};

/** Where each package's modules come from; `types/` has denoStd's types. */
const PACKAGES: Readonly<
  Record<string, { readonly from: Source; readonly only?: RegExp }>
> = {
  assert: { from: "denoStd" },
  cli: { from: "denoStd", only: /^parse_args\.js$/ },
  fmt: { from: "windmill" },
  fs: { from: "windmill" },
  internal: { from: "denoStd" },
  io: { from: "windmill", only: /^(write_all|types)\./ },
  log: { from: "windmill" },
  path: { from: "windmill" },
};

/** What is read of `deno.lock`. */
interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly jsr: Readonly<Record<string, { readonly dependencies?: string[] }>>;
}

const root = `${import.meta.dirname}/../..`;
const types = `${import.meta.dirname}/types`;
const lock: Lock = JSON.parse(await Deno.readTextFile(`${root}/deno.lock`));

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, code } = await new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${command} ${args[0]}: exit status ${code}`);
}

/** The one entry of a directory. */
async function onlyEntry(dir: string): Promise<string> {
  const names = await Array.fromAsync(Deno.readDir(dir), (entry) => entry.name);
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new Error(`${dir} has ${names.length} entries instead of one`);
  }
  return name;
}

/** Downloads a tarball and, if it is the pinned one, unpacks it to `dir`. */
async function unpack(tarball: Tarball, dir: string): Promise<void> {
  await Deno.mkdir(`${dir}.pack`);
  await run(
    "npm",
    "pack",
    "--silent",
    `--pack-destination=${dir}.pack`,
    tarball.spec,
  );
  const file = `${dir}.pack/${await onlyEntry(`${dir}.pack`)}`;
  const bytes = await Deno.readFile(file);
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-512", bytes));
  const integrity = `sha512-${btoa(String.fromCharCode(...sum))}`;
  if (integrity !== tarball.integrity) {
    throw new Error(`${tarball.spec} has ${integrity}`);
  }
  await Deno.mkdir(dir);
  const members = tarball.members.map((member) => `package/${member}`);
  await run("tar", "-xzf", file, "-C", dir, "--strip-components=1", ...members);
}

/** The modules and types below `dir`, relative to it and in order. */
async function list(dir: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${dir}/${below}`)) {
    const path = below + name;
    if (isDirectory) files.push(...await list(dir, `${path}/`));
    else if (/\.(js|d\.ts)$/.test(name)) files.push(path);
  }
  return files.sort();
}

/** The `jsr:` specifier by which the lock file lets `self` import `name`. */
function specifier(self: string, name: string): string | undefined {
  const prefix = `jsr:@std/${name}`;
  const dependency = lock.jsr[self]?.dependencies
    ?.find((d) => d === prefix || d.startsWith(`${prefix}@`));
  return dependency === prefix
    ? Object.keys(lock.specifiers).find((s) => s.startsWith(`${prefix}@`))
    : dependency;
}

const kebab = (path: string) => path.replaceAll("_", "-");

/** Undoes what packing for npm did: bare `Deno`, `jsr:` specifiers. */
function restore(self: string, text: string): string {
  return text
    .replace(/^import \* as dntShim from .*\n/m, "")
    .replaceAll("dntShim.dntGlobalThis", "globalThis")
    .replaceAll("dntShim.", "")
    .replace(/^\/\/# sourceMappingURL=.*\n?/m, "")
    .replace(
      /(from|import) "(?:\.\.\/)+([a-z]+)\/(?:[\d.]+\/)?([a-z][\w/]*)\.js"/g,
      (all, word, name, path) => {
        const jsr = PACKAGES[name] && specifier(self, name);
        return jsr ? `${word} "${jsr}/${kebab(path)}"` : all;
      },
    );
}

/** Writes `id`, as `@std/path@1.1.3`, to `dest` in the layout of `vendor/`. */
async function vendor(id: string, sources: string[], dest: string) {
  const [, name = "", version = ""] = /^@std\/(.+)@(.+)$/.exec(id) ?? [];
  const only = PACKAGES[name]?.only;
  const dir = `${dest}/${name}/${version}`;
  const texts = new Map<string, string>();
  for (const source of sources) {
    for (const file of await list(source)) {
      if (file.endsWith(".js") && only?.test(file) === false) continue;
      const text = await Deno.readTextFile(`${source}/${file}`);
      texts.set(file, restore(id, text));
    }
  }
  const exports: Record<string, string> = {};
  for (const [file, text] of texts) {
    const declared = file.replace(/\.js$/, ".d.ts");
    const head = declared !== file && texts.has(declared)
      ? `/* @ts-self-types="./${declared.replace(/.*\//, "")}" */\n`
      : "";
    await Deno.mkdir(`${dir}/${file}`.replace(/\/[^/]*$/, ""), {
      recursive: true,
    });
    await Deno.writeTextFile(`${dir}/${file}`, head + text);
    if (declared === file || /(^|\/)_/.test(file)) continue;
    const path = kebab(file.replace(/(^|\/)mod\.js$|\.js$/, ""));
    exports[path ? `./${path}` : "."] = `./${file}`;
  }
  const [first] = Object.values(exports);
  if (first === undefined) throw new Error(`${id} is not in ${sources}`);
  exports["."] ??= first;
  const json = (file: string, value: unknown) =>
    Deno.writeTextFile(`${dest}/${name}/${file}`, JSON.stringify(value));
  await json("meta.json", {
    scope: "std",
    name,
    latest: version,
    versions: { [version]: {} },
  });
  await json(`${version}_meta.json`, { manifest: {}, exports });
}

await Deno.mkdir(`${root}/vendor`, { recursive: true });
const tmp = await Deno.makeTempDir({ dir: `${root}/vendor`, prefix: ".new-" });
try {
  for (const [name, tarball] of Object.entries(TARBALLS)) {
    await unpack(tarball, `${tmp}/${name}`);
  }
  // Modules are kept below the name of their registry, in the tarball as well
  // as in vendor/.
  const registry = await onlyEntry(`${tmp}/windmill/esm/deps`);
  for (const id of Object.keys(lock.jsr)) {
    const [, name = "", version] = /^@std\/(.+)@(.+)$/.exec(id) ?? [];
    const from = PACKAGES[name]?.from;
    if (!from) throw new Error(`no npm source for ${id}`);
    const sources = from === "denoStd"
      ? [`${tmp}/${from}/${name}`]
      : ["esm", "types"].map((part) =>
        `${tmp}/${from}/${part}/deps/${registry}/@std/${name}/${version}`
      );
    // Only modules import `internal`, so it needs no types.
    if (from === "denoStd" && name !== "internal") {
      sources.push(`${types}/${name}`);
    }
    await vendor(id, sources, `${tmp}/std`);
  }
  // All or nothing: a setup that was interrupted leaves no half of @std.
  const dest = `${root}/vendor/${registry}`;
  await Deno.mkdir(dest, { recursive: true });
  try {
    await Deno.rename(`${dest}/@std`, `${tmp}/old`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.rename(`${tmp}/std`, `${dest}/@std`);
} finally {
  await Deno.remove(tmp, { recursive: true });
}
