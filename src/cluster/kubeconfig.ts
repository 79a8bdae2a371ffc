/**
 * kubeconfig files: this cluster's entries are put in or taken out, everything else stays as it was, comments included. A file that cannot be
 * read as one is never written over. Source: client-go's clientcmd.
 */
import { dirname } from 'node:path';
import { isMap, isSeq, parseDocument, type YAMLMap } from 'yaml';
import { makeFolder, readIfThere, replaceFile } from '#host/files.ts';

export interface KubeconfigEntry {
  /** Of the context, the cluster and the user: `wherry-default`. */
  readonly name: string;
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Why a file was left alone. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError';
}

const sections = ['clusters', 'users', 'contexts'] as const;

/** A file of this entry alone. */
export function kubeconfigText(entry: KubeconfigEntry): string {
  return withEntry('', entry, '');
}

/** @throws KubeconfigError when the file is no kubeconfig, or cannot be read or written */
export async function mergeKubeconfig(path: string, entry: KubeconfigEntry): Promise<void> {
  const text = (await readFile(path)) ?? '';
  const merged = withEntry(text, entry, path);
  try {
    await makeFolder(dirname(path), 0o700);
    await replaceFile(path, merged, { mode: 0o600 });
  } catch (error) {
    throw new KubeconfigError(`${path} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** undefined when it is not there. */
async function readFile(path: string): Promise<string | undefined> {
  try {
    return (await readIfThere(path))?.toString('utf8');
  } catch (error) {
    throw new KubeconfigError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Takes the entries away; the current context goes with them. Nothing there is fine. */
export async function removeFromKubeconfig(path: string, name: string): Promise<void> {
  const text = await readFile(path);
  if (text === undefined) return;
  const document = read(text, path);
  let changed = false;
  for (const section of sections) {
    const list = document.get(section);
    if (!isSeq(list)) continue;
    const before = list.items.length;
    list.items = list.items.filter((item) => !(isMap(item) && item.get('name') === name));
    changed ||= list.items.length !== before;
  }
  if (document.get('current-context') === name) {
    document.set('current-context', '');
    changed = true;
  }
  if (changed) await replaceFile(path, document.toString({ lineWidth: 0 }), { mode: 0o600 });
}

function read(text: string, path: string) {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw new KubeconfigError(`${path} is not YAML: ${error.message.split('\n')[0]}`);
  if (document.contents !== null && !isMap(document.contents))
    throw new KubeconfigError(`${path} is not a kubeconfig file`);
  return document;
}

function withEntry(text: string, { name, server, ca, certificate, key }: KubeconfigEntry, path: string): string {
  const document = read(text, path);
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  const entries = {
    clusters: { name, cluster: { server, 'certificate-authority-data': base64(ca) } },
    users: {
      name,
      user: { 'client-certificate-data': base64(certificate), 'client-key-data': base64(key) },
    },
    contexts: { name, context: { cluster: name, user: name } },
  };
  if (document.contents === null)
    document.contents = document.createNode({ apiVersion: 'v1', kind: 'Config' }) as unknown as YAMLMap.Parsed;
  for (const section of sections) {
    let list = document.get(section);
    if (!isSeq(list)) {
      document.set(section, document.createNode([]));
      list = document.get(section);
    }
    if (!isSeq(list)) throw new KubeconfigError(`${path}: ${section} is not a list`);
    list.items = list.items.filter((item) => !(isMap(item) && item.get('name') === name));
    list.add(document.createNode(entries[section]));
  }
  document.set('current-context', name);
  return document.toString({ lineWidth: 0 });
}
