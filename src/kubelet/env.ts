/**
 * A container's environment: literal values with `$(NAME)` references, the pod's own fields, resource amounts, and whole
 * ConfigMaps and Secrets. Pure: objects it needs are handed in. Service variables: `service-env.ts`.
 */

import { fieldValue } from './field-ref.ts';
import type { Container, EnvVar, Pod } from './pod.ts';
import { resourceValue } from './resource-field-ref.ts';

/** What variables may refer to. A missing object or key is undefined; the caller has fetched what the pod names. */
export interface EnvSources {
  configMap(name: string): Readonly<Record<string, string>> | undefined;
  /** Decoded bytes as text. */
  secret(name: string): Readonly<Record<string, string>> | undefined;
  /** Variables that point at services, by name. */
  readonly services: ReadonlyMap<string, string>;
  readonly hostIp: string;
  readonly podIps: readonly string[];
  /** What a limit defaults to: the node's allocatable amounts. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** A variable that cannot be resolved: the container waits with reason CreateContainerConfigError and this message. */
export class EnvError extends Error {
  override readonly name = 'EnvError';
}

/** Variables in the order the container sees them; a later one wins over an earlier one of its name. */
export function containerEnv(pod: Pod, container: Container, sources: EnvSources): { key: string; value: string }[] {
  const result = new Map<string, string>();
  for (const from of container.envFrom ?? []) {
    const [kind, reference] =
      from.configMapRef !== undefined
        ? (['configmap', from.configMapRef] as const)
        : (['secret', from.secretRef] as const);
    if (reference === undefined) continue;
    const name = reference.name ?? '';
    const data = kind === 'configmap' ? sources.configMap(name) : sources.secret(name);
    if (data === undefined) {
      if (reference.optional) continue;
      throw new EnvError(`${kind} "${name}" not found`);
    }
    for (const [key, value] of Object.entries(data)) result.set(`${from.prefix ?? ''}${key}`, value);
  }
  const own = new Map<string, string>();
  for (const variable of container.env ?? []) {
    const value = variableValue(
      pod,
      container,
      variable,
      sources,
      (name) => own.get(name) ?? result.get(name) ?? sources.services.get(name),
    );
    if (value === undefined) continue;
    own.set(variable.name, value);
  }
  for (const [name, value] of own) result.set(name, value);
  // What the pod itself says wins over what is said about services.
  for (const [name, value] of sources.services) if (!result.has(name)) result.set(name, value);
  return [...result].map(([key, value]) => ({ key, value }));
}

function variableValue(
  pod: Pod,
  container: Container,
  variable: EnvVar,
  sources: EnvSources,
  lookup: (name: string) => string | undefined,
): string | undefined {
  const from = variable.valueFrom;
  if (from === undefined) return expandReferences(variable.value ?? '', lookup);
  if (from.fieldRef !== undefined) {
    const value = fieldValue(pod, from.fieldRef.fieldPath, sources);
    if (value === undefined) throw new EnvError(`unsupported fieldPath: ${from.fieldRef.fieldPath}`);
    return value;
  }
  if (from.resourceFieldRef !== undefined) {
    const value = resourceValue(pod, from.resourceFieldRef, container, sources.allocatable);
    if (value === undefined) throw new EnvError(`unsupported container resource : ${from.resourceFieldRef.resource}`);
    return value;
  }
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const data = sources.configMap(name);
    if (data === undefined && !optional) throw new EnvError(`configmap "${name}" not found`);
    const value = data?.[key];
    if (value === undefined && !optional)
      throw new EnvError(`couldn't find key ${key} in ConfigMap ${pod.metadata.namespace}/${name}`);
    return value;
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef;
    const data = sources.secret(name);
    if (data === undefined && !optional) throw new EnvError(`secret "${name}" not found`);
    const value = data?.[key];
    if (value === undefined && !optional)
      throw new EnvError(`couldn't find key ${key} in Secret ${pod.metadata.namespace}/${name}`);
    return value;
  }
  return '';
}

/** Replaces `$(NAME)`; `$$(NAME)` is the text `$(NAME)`, and an unknown name stays as it is written. */
export function expandReferences(text: string, lookup: (name: string) => string | undefined): string {
  let result = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char !== '$' || at + 1 >= text.length) {
      result += char;
      continue;
    }
    const next = text[at + 1]!;
    if (next === '$') {
      result += '$';
      at++;
    } else if (next === '(') {
      const end = text.indexOf(')', at + 2);
      if (end < 0) {
        result += '$(';
        at++;
        continue;
      }
      const name = text.slice(at + 2, end);
      result += lookup(name) ?? `$(${name})`;
      at = end;
    } else {
      result += char + next;
      at++;
    }
  }
  return result;
}

/** Names of the ConfigMaps and Secrets that a container's environment reads. */
export function envReferences(container: Container): { configMaps: Set<string>; secrets: Set<string> } {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const from of container.envFrom ?? []) {
    if (from.configMapRef?.name !== undefined) configMaps.add(from.configMapRef.name);
    if (from.secretRef?.name !== undefined) secrets.add(from.secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name !== undefined) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef?.name !== undefined) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps, secrets };
}
