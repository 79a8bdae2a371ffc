/**
 * Bundles for tests of runtimes: a root filesystem that holds a static busybox, and a configuration like the ones container engines
 * write. Everything stands in a folder of its own under the system's temporary folder and goes with it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Path of a program; undefined when it is not on the PATH. */
export function findProgram(name: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

export interface Bundle extends Disposable {
  readonly folder: string;
  readonly rootfs: string;
  /** Writes the configuration (values as `config.json` has them). */
  configure(config: unknown): void;
}

/** What the bundle's busybox is linked to by. */
export const busyboxApplets: readonly string[] =
  'sh ls cat echo true false sleep id mount umount ps env stty wc head seq mkdir touch hostname kill grep tr dd'.split(
    ' ',
  );

/** Path of a static busybox. Throws when there is none. */
export function requireBusybox(): string {
  const busybox = findProgram('busybox');
  if (busybox === undefined) throw new Error('a static busybox is needed on the PATH (Debian: busybox-static)');
  return busybox;
}

/** Throws when there is no static busybox to make it from. */
export function makeBundle(): Bundle {
  const busybox = requireBusybox();
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  // Containers of user namespaces are nobody to the machine and must still get in.
  chmodSync(folder, 0o755);
  const rootfs = join(folder, 'rootfs');
  for (const name of ['bin', 'proc', 'sys', 'dev', 'etc', 'tmp', 'root'])
    mkdirSync(join(rootfs, name), { recursive: true });
  cpSync(busybox, join(rootfs, 'bin/busybox'), { dereference: true });
  for (const name of busyboxApplets) symlinkSync('busybox', join(rootfs, 'bin', name));
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n');
  return {
    folder,
    rootfs,
    configure: (config) => writeFileSync(join(folder, 'config.json'), JSON.stringify(config)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const capabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
];

/** `config.json` of an ordinary container that runs a shell script. Callers change what they test. */
export function ordinaryConfig(script: string, cgroupsPath: string) {
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 } as { uid: number; gid: number; additionalGids?: number[]; umask?: number },
      args: ['sh', '-c', script],
      env: ['PATH=/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities } as Record<
        string,
        string[]
      >,
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    } as Record<string, unknown>,
    root: { path: 'rootfs', readonly: false },
    hostname: 'box',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    ] as { destination: string; type?: string; source?: string; options?: string[] }[],
    linux: {
      cgroupsPath,
      resources: { devices: [{ allow: false, access: 'rwm' }] } as Record<string, unknown>,
      namespaces: [{ type: 'pid' }, { type: 'network' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }] as {
        type: string;
        path?: string;
      }[],
      maskedPaths: ['/proc/keys', '/proc/timer_list', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/sys', '/proc/sysrq-trigger'],
    } as Record<string, unknown>,
  };
}
