/** Version: containerd's name and API version, since clients branch on them; the runtime's version says who really answers. */
import type { VersionResponse } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';

export function version(context: CriContext): VersionResponse {
  return { version: '0.1.0', runtimeName: 'containerd', runtimeVersion: context.version, runtimeApiVersion: 'v1' };
}
