/** `/healthz`, `/livez`, `/readyz`, each with its checks by name and `?verbose`. Source: k8s.io/apiserver server/healthz. */
import type { HttpResponse } from '#transport/http.ts';
import { plain, type RequestContext } from './pipeline.ts';

/** Undefined: fine. Otherwise why not; shown to nobody, logged. */
export type Check = () => string | undefined;

export function answerHealth(
  { info }: RequestContext,
  checks: Readonly<Record<string, Check>>,
  warn: (message: string) => void,
): HttpResponse | undefined {
  const match = /^\/(healthz|livez|readyz)(?:\/([^/]+))?\/?$/.exec(info.path);
  if (match === null) return undefined;
  const [, endpoint = '', single] = match;
  if (single !== undefined && !Object.hasOwn(checks, single)) return plain(404, '404 page not found\n');
  const excluded = new Set(info.query.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const [name, check] of Object.entries(checks)) {
    if (single !== undefined && name !== single) continue;
    if (excluded.has(name)) {
      lines.push(`[+]${name} excluded: ok`);
      continue;
    }
    const problem = check();
    if (problem === undefined) lines.push(`[+]${name} ok`);
    else {
      failed = true;
      warn(`${endpoint}: ${name}: ${problem}`);
      lines.push(`[-]${name} failed: reason withheld`);
    }
  }
  if (failed) return plain(500, `${lines.join('\n')}\n${endpoint} check failed\n`);
  if (!info.query.has('verbose') || single !== undefined) return plain(200, 'ok');
  return plain(200, `${lines.join('\n')}\n${endpoint} check passed\n`);
}
