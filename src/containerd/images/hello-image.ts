/**
 * The image that is always there: `wherry/hello:1`, a web page and a small shell, so that a first pod needs no registry. It is packed from the one
 * program in the repository when the store does not have it yet, or has that of another version.
 */
import type { ImageConfig } from '#api-oci/image-spec.ts';
import { readIfThere } from '#host/files.ts';
import { digestOf } from '#image/content-store.ts';
import type { PackEntry } from '#image/pack.ts';
import { formatReference, parseReference } from '#image/reference.ts';
import { tarEntry } from '#wire/tar/entry.ts';
import type { ImageService } from './image-service.ts';

export const helloImageName = 'docker.io/wherry/hello:1';

/** Says which program the image was packed from. Without it the image is somebody's own, and stays. */
const programLabel = 'io.wherry.hello-program';

/** What the program is called by, besides `hello` (native/hello/main.c). */
export const helloApplets: readonly string[] = [
  ...[
    '[',
    'cat',
    'chmod',
    'date',
    'echo',
    'env',
    'false',
    'grep',
    'head',
    'hostname',
    'id',
    'kill',
    'ls',
    'mkdir',
    'mv',
  ],
  ...['nslookup', 'pause', 'ps', 'pwd', 'rm', 'sh', 'sleep', 'stat', 'tail', 'test', 'touch', 'true', 'wc', 'wget'],
];

const config: ImageConfig = {
  Entrypoint: ['/bin/hello'],
  Env: ['PATH=/bin'],
  WorkingDir: '/',
  ExposedPorts: { '80/tcp': {} },
};

const files: Readonly<Record<string, string>> = {
  'etc/group': 'root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n',
  'etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/bin/sh\n',
};

/** `program` is the path of the binary. A store that has the image is left alone. */
export async function ensureHelloImage(images: ImageService, program: string): Promise<void> {
  const bytes = await readIfThere(program);
  if (bytes === undefined) throw new Error(`${program}: no such file`);
  const digest = digestOf(bytes);
  const record = images.deps.images.get(formatReference(parseReference(helloImageName)));
  const packedFrom = record?.labels[programLabel];
  if (record !== undefined && (packedFrom === undefined || packedFrom === digest)) return;
  await images.pack(helloImageName, {
    config,
    entries: helloEntries(bytes),
    pinned: true,
    labels: { [programLabel]: digest },
  });
}

function* helloEntries(program: Buffer): Generator<PackEntry> {
  yield { entry: tarEntry({ name: 'bin/', type: 'directory', mode: 0o755 }) };
  yield { entry: tarEntry({ name: 'bin/hello', mode: 0o755, size: program.length }), data: () => once(program) };
  for (const name of helloApplets)
    yield { entry: tarEntry({ name: `bin/${name}`, type: 'symlink', mode: 0o777, linkName: 'hello' }) };
  yield { entry: tarEntry({ name: 'etc/', type: 'directory', mode: 0o755 }) };
  for (const [name, text] of Object.entries(files)) {
    const bytes = Buffer.from(text);
    yield { entry: tarEntry({ name, mode: 0o644, size: bytes.length }), data: () => once(bytes) };
  }
  yield { entry: tarEntry({ name: 'root/', type: 'directory', mode: 0o700 }) };
  yield { entry: tarEntry({ name: 'tmp/', type: 'directory', mode: 0o1777 }) };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
