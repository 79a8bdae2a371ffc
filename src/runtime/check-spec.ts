/** What a configuration must hold together, beyond its shape; messages as upstream gives them. Looks at nothing but the value. */
import type { Spec } from '#api-oci/runtime-spec.ts';
import { RuntimeError } from './error.ts';

function invalid(message: string): never {
  throw new RuntimeError('InvalidArgument', message);
}

/** Throws RuntimeError. */
export function checkSpec(spec: Spec): void {
  if (!/^1\.\d+\.\d+([-+].*)?$/.test(spec.ociVersion))
    invalid(`unsupported ociVersion ${JSON.stringify(spec.ociVersion)}`);
  if (spec.root === undefined) invalid('root property must not be empty');
  checkProcess(spec);
  const types = new Set<string>();
  for (const { type, path } of spec.linux?.namespaces ?? []) {
    if (types.has(type))
      invalid(`malformed spec file: duplicated ns {${JSON.stringify(type)} ${JSON.stringify(path ?? '')}}`);
    types.add(type);
    if (path !== undefined && path !== '' && !path.startsWith('/'))
      invalid(`namespace path ${JSON.stringify(path)} is not absolute`);
  }
  if (spec.hostname && !types.has('uts')) invalid('unable to set hostname without a private UTS namespace');
  if (spec.domainname && !types.has('uts')) invalid('unable to set domainname without a private UTS namespace');
  if (types.has('user')) {
    const joins = spec.linux?.namespaces?.find(({ type }) => type === 'user')?.path;
    if (!joins && ((spec.linux?.uidMappings ?? []).length === 0 || (spec.linux?.gidMappings ?? []).length === 0))
      invalid('user namespaces enabled, but no uid/gid mappings found');
  } else if ((spec.linux?.uidMappings ?? []).length > 0 || (spec.linux?.gidMappings ?? []).length > 0)
    invalid("user namespace mappings specified, but user namespace isn't enabled in the config");
  if (Object.keys(spec.linux?.timeOffsets ?? {}).length > 0 && !types.has('time'))
    invalid("time namespace offsets specified, but time namespace isn't enabled in the config");
  for (const path of [...(spec.linux?.maskedPaths ?? []), ...(spec.linux?.readonlyPaths ?? [])])
    if (!path.startsWith('/')) invalid(`path ${JSON.stringify(path)} is not absolute`);
  for (const key of Object.keys(spec.linux?.sysctl ?? {})) checkSysctl(key, types, spec);
  for (const hook of Object.values(spec.hooks ?? {}).flat())
    if (hook !== undefined && !hook.path.startsWith('/'))
      invalid(`hook path ${JSON.stringify(hook.path)} is not absolute`);
  if (spec.mounts?.some(({ destination }) => destination === '')) invalid('a mount has no destination');
}

function checkProcess({ process }: Spec): void {
  if (process === undefined) invalid('process property must not be empty');
  if (process.cwd === '') invalid('Cwd property must not be empty');
  if (!process.cwd.startsWith('/')) invalid('Cwd must be an absolute path');
  if ((process.args ?? []).length === 0) invalid('args must not be empty');
}

const ipcSysctls = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

/** Only what belongs to a namespace of the container's own: anything else would change the machine. */
function checkSysctl(key: string, types: ReadonlySet<string>, spec: Spec): void {
  const slash = key.indexOf('/');
  const dot = key.indexOf('.');
  const name = slash >= 0 && (dot < 0 || slash < dot) ? key.replace(/[./]/g, (c) => (c === '/' ? '.' : '/')) : key;
  if (name.includes('..')) invalid(`sysctl ${JSON.stringify(key)} is not a valid name`);
  if (ipcSysctls.has(name) || name.startsWith('fs.mqueue.')) {
    if (types.has('ipc')) return;
    invalid(`sysctl ${JSON.stringify(key)} is not allowed in the hosts ipc namespace`);
  }
  if (name.startsWith('net.')) {
    if (types.has('network')) return;
    invalid(`sysctl ${JSON.stringify(key)} not allowed in host network namespace`);
  }
  if (name === 'kernel.domainname' && types.has('uts')) return;
  if (name === 'kernel.hostname' && types.has('uts'))
    invalid(
      `sysctl ${JSON.stringify(key)} is not allowed as it conflicts with the OCI ${JSON.stringify('hostname')} field`,
    );
  if (name.startsWith('user.') && types.has('user') && spec.linux?.uidMappings !== undefined) return;
  invalid(`sysctl ${JSON.stringify(key)} is not in a separate kernel namespace`);
}
