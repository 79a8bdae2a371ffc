/** Runs Debian's docker-registry on loopback and puts images into it, for suites that pull. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Descriptor, MediaType, type Platform } from '#api-oci/image-spec.ts';
import { tarEntry } from '#wire/tar/entry.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from '#wire/tar/writer.ts';
import { freePort } from './free-port.ts';
import { referenceBinary } from './reference.ts';

export interface RegistryProcess extends AsyncDisposable {
  /** `127.0.0.1:PORT`: what names of its images begin with. */
  readonly address: string;
  readonly child: ChildProcess;
  /** What it logged so far. */
  readonly log: () => string;
}

const startTimeoutMs = 10_000;

/** Starts one that keeps everything in a folder of its own, which goes with it. */
export async function startRegistry(): Promise<RegistryProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'));
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: ${folder}/data}\n  delete: {enabled: true}\nhttp: {addr: ${address}}\n`,
  );
  const child = spawn(referenceBinary('docker-registry', 'docker-registry'), ['serve', join(folder, 'config.yml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-200_000);
    });
  const exited = once(child, 'exit');
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let waited = 0; ; waited += 20) {
    const up = await call(address, 'GET', '/v2/').then(
      ({ status }) => status === 200,
      () => false,
    );
    if (up) return { address, child, log: () => log, [Symbol.asyncDispose]: dispose };
    if (waited > startTimeoutMs || child.exitCode !== null) {
      await dispose();
      throw new Error(`docker-registry does not serve:\n${log}`);
    }
    await sleep(20);
  }
}

export interface PushedImage {
  readonly manifest: Descriptor;
  readonly configDigest: string;
}

/** A file of a layer: its bytes, or where a symbolic link leads. */
export type LayerFile = { readonly bytes: Buffer | string; readonly mode?: number } | { readonly link: string };

/** An uncompressed layer; folders are made as they come. */
export function makeLayer(files: Readonly<Record<string, LayerFile>>): Buffer {
  const chunks: Buffer[] = [];
  const folders = new Set<string>();
  for (const [name, file] of Object.entries(files)) {
    const parts = name.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = `${parts.slice(0, depth).join('/')}/`;
      if (!folders.has(folder))
        chunks.push(Buffer.from(encodeTarHeader(tarEntry({ name: folder, type: 'directory', mode: 0o755 }))));
      folders.add(folder);
    }
    if ('link' in file) {
      const entry = tarEntry({ name, type: 'symlink', mode: 0o777, linkName: file.link });
      chunks.push(Buffer.from(encodeTarHeader(entry)));
      continue;
    }
    const bytes = Buffer.from(file.bytes);
    chunks.push(
      Buffer.from(encodeTarHeader(tarEntry({ name, mode: file.mode ?? 0o644, size: bytes.length }))),
      bytes,
      Buffer.alloc(tarPadding(bytes.length)),
    );
  }
  return Buffer.concat([...chunks, Buffer.alloc(tarTrailerBytes)]);
}

/** Pushes an image under `NAME:TAG`. Each layer is given as the registry keeps it and as it is unpacked. */
export async function pushImage(
  address: string,
  name: string,
  image: {
    readonly layers: readonly { readonly mediaType: string; readonly blob: Buffer; readonly tar: Buffer }[];
    readonly platform: Platform;
    readonly config: object;
  },
): Promise<PushedImage> {
  const [repository, tag] = splitName(name);
  const layers = [];
  for (const { mediaType, blob } of image.layers)
    layers.push({ mediaType, digest: await pushBlob(address, repository, blob), size: blob.length });
  const config = Buffer.from(
    JSON.stringify({
      architecture: image.platform.architecture,
      os: image.platform.os,
      config: image.config,
      rootfs: { type: 'layers', diff_ids: image.layers.map(({ tar }) => digest(tar)) },
    }),
  );
  const configDigest = await pushBlob(address, repository, config);
  const manifest = {
    schemaVersion: 2 as const,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, digest: configDigest, size: config.length },
    layers,
  };
  const descriptor = await pushManifest(address, repository, tag, manifest);
  return { manifest: { ...descriptor, platform: image.platform }, configDigest };
}

/** Pushes an index of images that are there. */
export function pushIndex(address: string, name: string, manifests: readonly Descriptor[]): Promise<Descriptor> {
  const [repository, tag] = splitName(name);
  return pushManifest(address, repository, tag, { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests });
}

async function pushManifest(
  address: string,
  repository: string,
  tag: string,
  manifest: { readonly schemaVersion: 2; readonly mediaType: string; readonly [field: string]: unknown },
): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(manifest));
  const { mediaType } = manifest;
  const answer = await call(address, 'PUT', `/v2/${repository}/manifests/${tag}`, bytes, mediaType);
  if (answer.status !== 201) throw new Error(`pushing ${repository}:${tag}: ${answer.status} ${answer.body}`);
  return { mediaType, digest: digest(bytes) as Descriptor['digest'], size: bytes.length };
}

async function pushBlob(address: string, repository: string, bytes: Buffer): Promise<string> {
  const name = digest(bytes);
  const begun = await call(address, 'POST', `/v2/${repository}/blobs/uploads/`);
  const location = new URL(String(begun.headers['location']), `http://${address}`);
  location.searchParams.set('digest', name);
  const answer = await call(
    address,
    'PUT',
    `${location.pathname}${location.search}`,
    bytes,
    'application/octet-stream',
  );
  if (answer.status !== 201) throw new Error(`pushing ${name}: ${answer.status} ${answer.body}`);
  return name;
}

function call(address: string, method: string, path: string, body?: Buffer, type?: string) {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const outgoing = request(
      `http://${address}${path}`,
      {
        method,
        headers: { 'content-length': body?.length ?? 0, ...(type === undefined ? {} : { 'content-type': type }) },
      },
      async (response) => {
        const text = (await response.toArray()).join('');
        resolve({ status: response.statusCode!, headers: response.headers, body: text });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function splitName(name: string): [repository: string, tag: string] {
  const [repository, tag = 'latest'] = name.split(':') as [string, string?];
  return [repository, tag];
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
