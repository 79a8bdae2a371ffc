/**
 * `wherry image`: the images of a daemon on this machine. `ls`, `rm`, `import FILE`, and `pack DIR`, which makes an image of a folder. It asks the daemon over its
 * socket, in the Docker Engine API's words, and knows nothing else of it.
 */
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ImageConfig } from '#api-oci/image-spec.ts';
import { clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import { writeArchive } from '#image/archive.ts';
import { ContentStore } from '#image/content-store.ts';
import { ContentError } from '#image/error.ts';
import { openMetadataStore } from '#image/metadata-store.ts';
import { folderEntries, packImage } from '#image/pack.ts';
import { hostPlatform } from '#image/platform.ts';
import { formatReference, parseReference } from '#image/reference.ts';
import { emptyBytes } from '#std/bytes.ts';
import { createFetch } from '#transport/fetch.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { pathEnvironment } from './environment.ts';

const usage = `Usage: wherry image COMMAND

Commands:
  ls                      list images
  rm IMAGE...             remove images by name or id
  import FILE             load images from an archive (OCI layout, docker save); - is standard input
  pack DIR --name REF     make an image of a folder

Flags:
  --address PATH          the daemon's socket (default: $CONTAINERD_ADDRESS, or that of the cluster "default")
  -q, --quiet             ls: ids only
  --name REF              import: the name of an image that the archive does not name; pack: the image's name
  --entrypoint P          pack: the program and its first arguments; may be repeated
  --cmd A                 pack: default arguments; may be repeated
  --env K=V               pack: environment; may be repeated
  --user U                pack: user[:group] by name or number
  --workdir D             pack: working folder
  --expose PORT[/PROTO]   pack: a port the image listens on; may be repeated
  --output FILE           pack: write an archive (OCI layout) instead of asking a daemon; - is standard output
`;

const valueFlags = new Set(['address', 'name', 'entrypoint', 'cmd', 'env', 'user', 'workdir', 'expose', 'output']);
const answerBytesMax = 16 << 20;

export const image: Command = async (args, { env, stdin, stdout }) => {
  const { operands, values, flags } = parse(args);
  const [command, ...rest] = operands;
  if (command === undefined || flags.has('help')) {
    stdout.write(usage);
    return command === undefined && !flags.has('help') ? ExitCode.usage : ExitCode.ok;
  }
  const address =
    one(values, 'address') ??
    env['CONTAINERD_ADDRESS'] ??
    clusterPaths(defaultClusterName, pathEnvironment(env)).containerdSocket;
  await using daemon = new Daemon(address.replace(/^unix:\/\//, ''));
  switch (command) {
    case 'ls':
    case 'list':
      stdout.write(table(await daemon.list(), flags.has('quiet')));
      return ExitCode.ok;
    case 'rm':
    case 'remove':
      if (rest.length === 0) throw new CommandError(ExitCode.usage, 'image rm needs the name or id of an image');
      for (const name of rest) for (const line of await daemon.remove(name)) stdout.write(`${line}\n`);
      return ExitCode.ok;
    case 'import':
    case 'load': {
      const path = operand(rest, 'image import needs the path of an archive');
      const archive = path === '-' ? stdin : createReadStream(readable(path, 'file'));
      for (const line of await daemon.load(archive, one(values, 'name'))) stdout.write(line);
      return ExitCode.ok;
    }
    case 'pack': {
      const folder = readable(operand(rest, 'image pack needs the path of a folder'), 'folder');
      const output = one(values, 'output');
      await pack(folder, values, async (archive) => {
        if (output === '-') await pipeline(archive, stdout, { end: false });
        else if (output !== undefined) await pipeline(archive, createWriteStream(output));
        else for (const line of await daemon.load(archive, undefined)) stdout.write(line);
      });
      return ExitCode.ok;
    }
    default:
      throw new CommandError(ExitCode.usage, `unknown command "${command}" for "wherry image"`);
  }
};

type Values = ReadonlyMap<string, readonly string[]>;

function parse(args: readonly string[]) {
  const operands: string[] = [];
  const values = new Map<string, string[]>();
  const flags = new Set<string>();
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === '--') {
      operands.push(...args.slice(i + 1));
      break;
    }
    if (argument === '-' || !argument.startsWith('-')) operands.push(argument);
    else if (['-q', '--quiet'].includes(argument)) flags.add('quiet');
    else if (['-h', '--help'].includes(argument)) flags.add('help');
    else {
      const [, name = '', inline] = /^--([a-z]+)(?:=([\s\S]*))?$/.exec(argument) ?? [];
      if (!valueFlags.has(name)) throw new CommandError(ExitCode.usage, `unknown flag: ${argument}`);
      const value = inline ?? args[++i];
      if (value === undefined) throw new CommandError(ExitCode.usage, `flag needs an argument: ${argument}`);
      const list = values.get(name);
      if (list === undefined) values.set(name, [value]);
      else list.push(value);
    }
  }
  return { operands, values: values as Values, flags: flags as ReadonlySet<string> };
}

function one(values: Values, name: string): string | undefined {
  return values.get(name)?.at(-1);
}

function operand(rest: readonly string[], problem: string): string {
  if (rest.length !== 1) throw new CommandError(ExitCode.usage, problem);
  return rest[0]!;
}

function readable(path: string, kind: 'file' | 'folder'): string {
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (error) {
    throw new CommandError(ExitCode.notFound, `${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  if (kind === 'folder' && !stat.isDirectory()) throw new CommandError(ExitCode.usage, `${path} is no folder`);
  if (kind === 'file' && stat.isDirectory())
    throw new CommandError(ExitCode.usage, `${path} is a folder, not an archive`);
  return path;
}

/** Makes the image in a folder of its own, then sends it as any other archive. @throws CommandError */
async function pack(
  folder: string,
  values: Values,
  send: (archive: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  const name = one(values, 'name');
  if (name === undefined) throw new CommandError(ExitCode.usage, 'image pack needs --name REF');
  const work = mkdtempSync(join(tmpdir(), 'wherry-pack-'));
  try {
    const reference = formatReference(parseReference(name));
    await using metadata = await openMetadataStore(join(work, 'meta'));
    const content = await ContentStore.open(join(work, 'content'), metadata, systemClock);
    const { target } = await packImage(content, {
      name: 'pack',
      platform: hostPlatform(process.arch),
      config: packConfig(values),
      entries: folderEntries(folder),
    });
    await send(writeArchive(content, target, reference));
  } catch (error) {
    if (error instanceof ContentError) throw new CommandError(ExitCode.failed, error.message, { cause: error });
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function packConfig(values: Values): ImageConfig {
  const [entrypoint, cmd, env, expose] = [
    values.get('entrypoint'),
    values.get('cmd'),
    values.get('env'),
    values.get('expose'),
  ];
  const [user, workdir] = [one(values, 'user'), one(values, 'workdir')];
  for (const pair of env ?? [])
    if (!/^[^=]+=/.test(pair)) throw new CommandError(ExitCode.usage, `--env ${pair}: must be K=V`);
  return {
    ...(user === undefined ? {} : { User: user }),
    ...(expose === undefined
      ? {}
      : { ExposedPorts: Object.fromEntries(expose.map((port) => [port.includes('/') ? port : `${port}/tcp`, {}])) }),
    ...(env === undefined ? {} : { Env: env }),
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined ? {} : { Cmd: cmd }),
    ...(workdir === undefined ? {} : { WorkingDir: workdir }),
  };
}

interface ListedImage {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Size: number;
}

class Daemon implements AsyncDisposable {
  readonly #path: string;
  readonly #fetch: ReturnType<typeof createFetch>;

  constructor(path: string) {
    this.#path = path;
    this.#fetch = createFetch({ address: `unix://${path}` });
  }

  async list(): Promise<ListedImage[]> {
    return JSON.parse(await this.#ask('GET', '/images/json'));
  }

  async remove(name: string): Promise<string[]> {
    const answer: Record<string, string>[] = JSON.parse(
      await this.#ask('DELETE', `/images/${encodeURIComponent(name)}`),
    );
    return answer.flatMap((entry) => Object.entries(entry).map(([what, which]) => `${what}: ${which}`));
  }

  async load(archive: AsyncIterable<Uint8Array>, name: string | undefined): Promise<string[]> {
    const query = name === undefined ? '' : `?name=${encodeURIComponent(name)}`;
    const answer = await this.#ask('POST', `/images/load${query}`, archive);
    return answer
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { stream: string }).stream);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#fetch[Symbol.asyncDispose]() as Promise<void>;
  }

  async #ask(method: string, target: string, body?: AsyncIterable<Uint8Array>): Promise<string> {
    let status: number;
    let text: string;
    try {
      const answer = await this.#fetch({
        method,
        target,
        headers: body === undefined ? [] : [['content-type', 'application/x-tar']],
        authority: 'localhost',
        protocol: 'HTTP/1.1',
        body: body ?? nothing(),
        peer: { address: '' },
        signal: new AbortController().signal,
      });
      ({ status } = answer);
      text = await readAll(answer.body);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'EACCES') throw error;
      const why = code === 'EACCES' ? 'permission denied' : 'nothing listens there; is the cluster up?';
      throw new CommandError(ExitCode.environment, `cannot reach the daemon at ${this.#path}: ${why}`, {
        cause: error,
      });
    }
    if (status < 300) return text;
    const { message } = JSON.parse(text) as { message: string };
    throw new CommandError(status === 404 ? ExitCode.notFound : ExitCode.failed, message);
  }
}

async function readAll(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<string> {
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > answerBytesMax) throw new CommandError(ExitCode.failed, 'the daemon answers too much');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [emptyBytes].filter(({ length }) => length > 0);
}

/** As crictl prints images. */
function table(images: readonly ListedImage[], quiet: boolean): string {
  if (quiet) return images.map(({ Id }) => `${Id}\n`).join('');
  const rows = images.flatMap(({ Id, RepoTags, RepoDigests, Size }) => {
    const names = RepoTags.length > 0 ? RepoTags : RepoDigests.map((digest) => `${digest.split('@')[0]}:<none>`);
    return names.map((name) => {
      const colon = name.lastIndexOf(':');
      return [name.slice(0, colon), name.slice(colon + 1), Id.slice(7, 20), humanSize(Size)];
    });
  });
  const all = [['IMAGE', 'TAG', 'IMAGE ID', 'SIZE'], ...rows.sort((a, b) => (a.join() < b.join() ? -1 : 1))];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]!.length)) + 4);
  return all.map((row) => `${row.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell)).join('')}\n`).join('');
}

function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}
