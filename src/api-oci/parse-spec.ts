/**
 * `config.json` from bytes to a {@link Spec}: shapes and ranges, by field; an error names the field. What depends on other fields or
 * on the machine is the runtime's to judge. Unknown fields are ignored, as the specification demands ("Extensibility").
 */
import type { Process, Resources, Spec } from './runtime-spec.ts';

/** `field` is its path, as in `linux.resources.memory.limit`. */
export class SpecError extends Error {
  override readonly name = 'SpecError';
  readonly field: string;

  constructor(field: string, problem: string) {
    super(field === '' ? problem : `${field}: ${problem}`);
    this.field = field;
  }
}

type Check = (value: unknown, field: string) => unknown;
const bytesMax = 8 << 20;

/** Throws SpecError. */
export function parseSpec(text: string): Spec {
  return spec(parseJson(text), '') as Spec;
}

/** The body of `exec --process`. */
export function parseProcess(text: string): Process {
  return process(parseJson(text), '') as Process;
}

/** The body of `update --resources`. */
export function parseResources(text: string): Resources {
  return resources(parseJson(text), '') as Resources;
}

/** A spec that is a value already. */
export function checkSpec(value: unknown): Spec {
  return spec(value, '') as Spec;
}

/** Integers that a double does not hold become bigint, so that limits near 2^64 keep their value. */
function parseJson(text: string): unknown {
  if (text.length > bytesMax) throw new SpecError('', `longer than ${bytesMax} characters`);
  const exact = (_key: string, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? BigInt(context!.source!)
      : value;
  try {
    return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw new SpecError('', (error as Error).message);
  }
}

/** JSON text of a spec; the inverse of {@link parseSpec}. */
export function specToJson(value: unknown): string {
  const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? raw(String(item)) : item));
}

const describe = (value: unknown) =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`;

const text: Check = (value, field) => {
  if (typeof value !== 'string') throw new SpecError(field, `must be a string, not ${describe(value)}`);
  if (value.includes('\0')) throw new SpecError(field, 'holds a NUL');
  return value;
};
const flag: Check = (value, field) => {
  if (typeof value !== 'boolean') throw new SpecError(field, `must be true or false, not ${describe(value)}`);
  return value;
};
const integer =
  (least: number, most: number): Check =>
  (value, field) => {
    if (typeof value !== 'number' && typeof value !== 'bigint')
      throw new SpecError(field, `must be a number, not ${describe(value)}`);
    if (typeof value === 'number' && !Number.isInteger(value)) throw new SpecError(field, 'must be an integer');
    if (value < least || value > most) throw new SpecError(field, `must be between ${least} and ${most}`);
    return Number(value);
  };
const anyInteger = integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
const u16 = integer(0, 0xffff);
/** Ids beyond 2^31-1 would wrap to others on the way (CVE-2024-40635). */
const id = integer(0, 0x7fff_ffff);
const u32 = integer(0, 0xffff_ffff);
/** Amounts: more than 2^53-1 is as good as no limit. */
const amount: Check = (value, field) => {
  if (typeof value === 'bigint') return value < 0n ? -1 : Number.MAX_SAFE_INTEGER;
  return anyInteger(value, field);
};
const u64: Check = (value, field) => {
  if (typeof value !== 'bigint' && !Number.isInteger(value))
    throw new SpecError(field, `must be an integer, not ${describe(value)}`);
  const whole = BigInt(value as number | bigint);
  if (whole < -(2n ** 63n) || whole >= 2n ** 64n) throw new SpecError(field, 'does not fit in 64 bits');
  return BigInt.asUintN(64, whole);
};
const list =
  (item: Check): Check =>
  (value, field) => {
    if (!Array.isArray(value)) throw new SpecError(field, `must be an array, not ${describe(value)}`);
    return value.map((entry, index) => item(entry, `${field}[${index}]`));
  };
const record =
  (item: Check): Check =>
  (value, field) => {
    const entries = Object.entries(plainObject(value, field));
    return Object.fromEntries(entries.map(([key, entry]) => [key, item(entry, `${field}.${key}`)]));
  };
const object =
  (shape: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  (value, field) => {
    const source = plainObject(value, field);
    const result: Record<string, unknown> = {};
    const prefix = field === '' ? '' : `${field}.`;
    for (const [name, check] of Object.entries(shape)) {
      const given = source[name];
      // Go encodes an empty slice or pointer as null: absent.
      if (given === undefined || given === null) {
        if (required.includes(name)) throw new SpecError(`${prefix}${name}`, 'is missing');
        continue;
      }
      result[name] = check(given, `${prefix}${name}`);
    }
    return result;
  };

function plainObject(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SpecError(field, `must be an object, not ${describe(value)}`);
  return value as Record<string, unknown>;
}

const texts = list(text);
const idMappings = list(object({ containerID: u32, hostID: u32, size: u32 }, ['containerID', 'hostID', 'size']));

const process = object(
  {
    terminal: flag,
    consoleSize: object({ height: u16, width: u16 }, ['height', 'width']),
    user: (value, field) => ({
      uid: 0,
      gid: 0,
      ...(object({ uid: id, gid: id, umask: u32, additionalGids: list(id) })(value, field) as object),
    }),
    args: texts,
    env: texts,
    cwd: text,
    capabilities: object({ bounding: texts, effective: texts, inheritable: texts, permitted: texts, ambient: texts }),
    rlimits: list(object({ type: text, soft: u64, hard: u64 }, ['type', 'soft', 'hard'])),
    noNewPrivileges: flag,
    apparmorProfile: text,
    oomScoreAdj: integer(-1000, 1000),
    selinuxLabel: text,
    scheduler: object(
      {
        policy: text,
        nice: anyInteger,
        priority: anyInteger,
        flags: texts,
        runtime: amount,
        deadline: amount,
        period: amount,
      },
      ['policy'],
    ),
    ioPriority: object({ class: text, priority: integer(0, 7) }, ['class', 'priority']),
    execCPUAffinity: object({ initial: text, final: text }),
  },
  ['cwd'],
);

const hooks = list(object({ path: text, args: texts, env: texts, timeout: anyInteger }, ['path']));
const throttles = list(object({ major: anyInteger, minor: anyInteger, rate: amount }, ['major', 'minor', 'rate']));

const resources = object({
  devices: list(object({ allow: flag, type: text, major: anyInteger, minor: anyInteger, access: text }, ['allow'])),
  memory: object({
    limit: amount,
    reservation: amount,
    swap: amount,
    swappiness: amount,
    disableOOMKiller: flag,
    useHierarchy: flag,
    checkBeforeUpdate: flag,
  }),
  cpu: object({
    shares: amount,
    quota: amount,
    burst: amount,
    period: amount,
    realtimeRuntime: amount,
    realtimePeriod: amount,
    cpus: text,
    mems: text,
    idle: integer(0, 1),
  }),
  pids: object({ limit: amount }, ['limit']),
  blockIO: object({
    weight: u16,
    leafWeight: u16,
    weightDevice: list(
      object({ major: anyInteger, minor: anyInteger, weight: u16, leafWeight: u16 }, ['major', 'minor']),
    ),
    throttleReadBpsDevice: throttles,
    throttleWriteBpsDevice: throttles,
    throttleReadIOPSDevice: throttles,
    throttleWriteIOPSDevice: throttles,
  }),
  hugepageLimits: list(object({ pageSize: text, limit: u64 }, ['pageSize', 'limit'])),
  network: object({ classID: u32, priorities: list(object({ name: text, priority: u32 }, ['name', 'priority'])) }),
  rdma: record(object({ hcaHandles: u32, hcaObjects: u32 })),
  unified: record(text),
});

const namespaceTypes = new Set(['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time']);
const namespaceType: Check = (value, field) => {
  if (!namespaceTypes.has(text(value, field) as string))
    throw new SpecError(field, `namespace ${JSON.stringify(value)} does not exist`);
  return value;
};

const linux = object({
  namespaces: list(object({ type: namespaceType, path: text }, ['type'])),
  uidMappings: idMappings,
  gidMappings: idMappings,
  timeOffsets: record(object({ secs: anyInteger, nanosecs: u32 })),
  devices: list(
    object({ path: text, type: text, major: anyInteger, minor: anyInteger, fileMode: u32, uid: id, gid: id }, [
      'path',
      'type',
    ]),
  ),
  cgroupsPath: text,
  resources,
  rootfsPropagation: text,
  seccomp: object(
    {
      defaultAction: text,
      defaultErrnoRet: u32,
      architectures: texts,
      flags: texts,
      listenerPath: text,
      listenerMetadata: text,
      syscalls: list(
        object(
          {
            names: texts,
            action: text,
            errnoRet: u32,
            args: list(object({ index: u32, value: u64, valueTwo: u64, op: text }, ['index', 'value', 'op'])),
          },
          ['names', 'action'],
        ),
      ),
    },
    ['defaultAction'],
  ),
  sysctl: record(text),
  maskedPaths: texts,
  readonlyPaths: texts,
  mountLabel: text,
  personality: object({ domain: text, flags: texts }, ['domain']),
});

const spec = object(
  {
    ociVersion: text,
    process,
    root: object({ path: text, readonly: flag }, ['path']),
    hostname: text,
    domainname: text,
    mounts: list(
      object(
        {
          destination: text,
          type: text,
          source: text,
          options: texts,
          uidMappings: idMappings,
          gidMappings: idMappings,
        },
        ['destination'],
      ),
    ),
    hooks: object({
      prestart: hooks,
      createRuntime: hooks,
      createContainer: hooks,
      startContainer: hooks,
      poststart: hooks,
      poststop: hooks,
    }),
    annotations: record(text),
    linux,
  },
  ['ociVersion'],
);
