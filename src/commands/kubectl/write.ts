/** `kubectl create`, `apply` and `delete`. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { kinds as builtIn } from '#api-kube/facts.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { patchSchemaOf } from '#kube-machinery/built-in-schemas.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type CommandContext, CommandError, ExitCode } from '../command.ts';
import { durationMs, type Parsed } from '../flags.ts';
import { lastApplied, withLastApplied } from './last-applied.ts';
import { type Manifest, readManifests } from './manifests.ts';
import { qualifiedKind, targetsOf } from './operands.ts';
import type { Kind, Session } from './session.ts';
import { threeWayPatch } from './three-way-patch.ts';

const stdinText = () => readFileSync(0, 'utf8');

export async function create(session: Session, parsed: Parsed, { stdout }: CommandContext): Promise<number> {
  const file = parsed.string('filename');
  const manifests = file === undefined ? [generated(parsed)] : readManifests(file, stdinText);
  for (const manifest of manifests) {
    const { kind, resource } = await resourceFor(session, manifest, parsed);
    await resource.create(manifest, { fieldManager: 'kubectl-create' });
    stdout.write(`${qualifiedKind(kind)}/${manifest.metadata.name} created\n`);
  }
  return ExitCode.ok;
}

/** `create deployment NAME --image=I`, `create namespace NAME`. @throws CommandError */
function generated(parsed: Parsed): Manifest {
  const [type, name] = parsed.operands;
  if (type === undefined) throw new CommandError(ExitCode.failed, 'error: must specify one of -f and -k');
  if (name === undefined) throw new CommandError(ExitCode.failed, 'error: exactly one NAME is required, got 0');
  switch (type) {
    case 'deployment':
    case 'deploy': {
      const image = parsed.string('image');
      if (image === undefined) throw new CommandError(ExitCode.failed, 'error: required flag(s) "image" not set');
      const container = image.slice(image.lastIndexOf('/') + 1).replace(/[:@].*$/, '');
      const labels = { app: name };
      return {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name, labels },
        spec: {
          replicas: Number(parsed.string('replicas') ?? 1),
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: container, image }] } },
        },
      };
    }
    case 'namespace':
    case 'ns':
      return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    default:
      throw new CommandError(
        ExitCode.failed,
        `error: wherry's kubectl creates deployments, namespaces and files, not ${JSON.stringify(type)}: use -f`,
      );
  }
}

export async function apply(session: Session, parsed: Parsed, { stdout, stderr }: CommandContext): Promise<number> {
  const file = parsed.string('filename');
  if (file === undefined) throw new CommandError(ExitCode.failed, 'error: must specify one of -f and -k');
  for (const manifest of readManifests(file, stdinText)) {
    const { kind, namespace, resource } = await resourceFor(session, manifest, parsed);
    const { name } = manifest.metadata;
    const label = `${qualifiedKind(kind)}/${name}`;
    const wanted = withLastApplied(manifest, namespace);
    let live: Manifest;
    try {
      live = (await resource.get(name)) as Manifest;
    } catch (error) {
      if (!(error instanceof StatusError && error.code === 404)) throw error;
      await resource.create(wanted, { fieldManager: 'kubectl-client-side-apply' });
      stdout.write(`${label} created\n`);
      continue;
    }
    const said = live.metadata.annotations?.[lastApplied];
    if (said === undefined)
      stderr.write(
        `Warning: resource ${kind.resource}/${name} is missing the ${lastApplied} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n`,
      );
    const last = JSON.parse(said ?? '{}') as Manifest;
    const known = builtIn[`${kind.group}/${kind.version}/${kind.kind}`] !== undefined;
    const patch = threeWayPatch({ last, wanted, live }, known ? patchSchemaOf(kind) : undefined);
    const changes = Object.keys(patch).length > 0;
    if (changes)
      await resource.patch(name, known ? 'strategic' : 'merge', patch, { fieldManager: 'kubectl-client-side-apply' });
    stdout.write(`${label} ${changes ? 'configured' : 'unchanged'}\n`);
  }
  return ExitCode.ok;
}

async function resourceFor(session: Session, manifest: Manifest, parsed: Parsed) {
  const slash = manifest.apiVersion.indexOf('/');
  const group = manifest.apiVersion.slice(0, Math.max(slash, 0));
  const kind = (await session.kinds()).find((entry) => entry.kind === manifest.kind && entry.group === group);
  if (kind === undefined)
    throw new CommandError(
      ExitCode.failed,
      `error: resource mapping not found for name: "${manifest.metadata?.name}" namespace: "${manifest.metadata?.namespace ?? ''}": no matches for kind "${manifest.kind}" in version "${manifest.apiVersion}"`,
    );
  const namespace = kind.namespaced
    ? (manifest.metadata.namespace ?? parsed.string('namespace') ?? session.credentials.namespace)
    : '';
  return { kind, namespace, resource: session.client.resource<ApiObject>(kind, namespace) };
}

const pollMs = 100;

export async function remove(session: Session, parsed: Parsed, { stdout, stderr }: CommandContext): Promise<number> {
  const namespace = parsed.string('namespace') ?? session.credentials.namespace;
  const file = parsed.string('filename');
  const doomed: { readonly kind: Kind; readonly namespace: string; readonly name: string }[] = [];
  if (file !== undefined)
    for (const manifest of readManifests(file, stdinText)) {
      const { kind } = await resourceFor(session, manifest, parsed);
      doomed.push({
        kind,
        namespace: kind.namespaced ? (manifest.metadata.namespace ?? namespace) : '',
        name: manifest.metadata.name,
      });
    }
  else {
    const selector = parsed.string('selector');
    for (const { kind, name } of await targetsOf(session, parsed.operands)) {
      const scope = kind.namespaced ? namespace : '';
      if (name !== undefined) doomed.push({ kind, namespace: scope, name });
      else if (selector !== undefined || parsed.bool('all'))
        for (const { metadata } of (
          await session.client.resource<ApiObject>(kind, scope).list({ ...(selector && { labelSelector: selector }) })
        ).items)
          doomed.push({ kind, namespace: scope, name: metadata.name });
      else throw new CommandError(ExitCode.failed, 'error: resource(s) were provided, but no name was specified');
    }
  }
  let failed = false;
  const grace = parsed.string('grace-period');
  for (const { kind, namespace: scope, name } of doomed) {
    try {
      await session.client.resource<ApiObject>(kind, scope).delete(name, {
        propagationPolicy: 'Background',
        ...(grace !== undefined && { gracePeriodSeconds: Number(grace) }),
      });
      stdout.write(`${qualifiedKind(kind)} "${name}" deleted${kind.namespaced ? ` from ${scope} namespace` : ''}\n`);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      stderr.write(`Error from server (${error.reason}): ${error.message}\n`);
      failed = true;
    }
  }
  const until = performance.now() + durationMs(parsed.string('timeout') ?? '10m', 'timeout');
  if (parsed.string('wait') !== 'false')
    for (const { kind, namespace: scope, name } of doomed)
      while (await isThere(session, kind, scope, name)) {
        if (performance.now() > until)
          throw new CommandError(
            ExitCode.failed,
            `error: timed out waiting for the condition on ${kind.resource}/${name}`,
          );
        await sleep(pollMs);
      }
  return failed ? ExitCode.failed : ExitCode.ok;
}

async function isThere(session: Session, kind: Kind, namespace: string, name: string): Promise<boolean> {
  try {
    await session.client.resource<ApiObject>(kind, namespace).get(name);
    return true;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return false;
    throw error;
  }
}
