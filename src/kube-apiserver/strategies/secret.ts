/** Secrets: `stringData` is for writing only, and becomes data. Source: pkg/apis/core/v1/conversion.go. */
import type { KubeObject } from '../object.ts';
import type { Strategy } from '../strategy.ts';

export function secretStrategy(generic: Strategy): Strategy {
  return { ...generic, defaults: (object) => generic.defaults(withData(object)) };
}

function withData(secret: KubeObject): KubeObject {
  const { stringData, ...rest } = secret as KubeObject & { readonly stringData?: Readonly<Record<string, string>> };
  if (stringData === undefined) return secret;
  const data = { ...(secret['data'] as Readonly<Record<string, string>> | undefined) };
  for (const [key, text] of Object.entries(stringData)) data[key] = Buffer.from(text).toString('base64');
  return { ...rest, data } as KubeObject;
}
