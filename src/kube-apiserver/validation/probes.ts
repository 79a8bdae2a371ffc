/** Probes and lifecycle hooks: one handler, and sane numbers. Source: pkg/apis/core/validation. */
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { portNameProblems, portNumberProblems } from '#kube-machinery/names.ts';
import { type Fields, list, nonNegative, one, record, text, words } from './fields.ts';

const httpHeaderMessage =
  "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

export function validatePort(errors: FieldError[], at: string, port: unknown): void {
  const problems = typeof port === 'string' ? portNameProblems(port) : portNumberProblems((port ?? 0) as number);
  for (const problem of problems) errors.push(invalid(at, port ?? 0, problem));
}

/** @param graceSeconds of the pod: what a sleep may last; undefined when that is wrong itself */
export function validateHandler(
  handler: Fields,
  at: string,
  graceSeconds: number | undefined,
  errors: FieldError[],
): void {
  one(
    errors,
    at,
    handler,
    {
      exec: (exec, here) => {
        if (words(exec['command']).length === 0) errors.push(required(`${here}.command`));
      },
      httpGet: (http, here) => {
        if (text(http['path']) === '') errors.push(required(`${here}.path`));
        validatePort(errors, `${here}.port`, http['port']);
        const scheme = http['scheme'];
        if (scheme !== 'HTTP' && scheme !== 'HTTPS')
          errors.push(notSupported(`${here}.scheme`, text(scheme), ['HTTP', 'HTTPS']));
        for (const header of list(http['httpHeaders']))
          if (!/^[-A-Za-z0-9]+$/.test(text(header['name'])))
            errors.push(invalid(`${here}.httpHeaders`, text(header['name']), httpHeaderMessage));
      },
      tcpSocket: (socket, here) => validatePort(errors, `${here}.port`, socket['port']),
      grpc: (grpc, here) => validatePort(errors, `${here}.port`, grpc['port']),
      sleep: (sleep, here) => {
        const seconds = (sleep['seconds'] ?? 0) as number;
        if (graceSeconds !== undefined && (seconds < 0 || seconds > graceSeconds))
          errors.push(
            invalid(
              here,
              seconds,
              `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`,
            ),
          );
      },
    },
    'handler type',
  );
}

export const probeNames = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

export function validateProbes(
  container: Fields,
  at: string,
  graceSeconds: number | undefined,
  errors: FieldError[],
): void {
  for (const name of probeNames) {
    const probe = record(container[name]);
    if (probe === undefined) continue;
    const here = `${at}.${name}`;
    validateHandler(probe, here, graceSeconds, errors);
    for (const field of [
      'initialDelaySeconds',
      'timeoutSeconds',
      'periodSeconds',
      'successThreshold',
      'failureThreshold',
    ])
      nonNegative(errors, `${here}.${field}`, probe[field]);
    const grace = probe['terminationGracePeriodSeconds'] as number | undefined;
    if (grace !== undefined && grace <= 0)
      errors.push(invalid(`${here}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
    if (name === 'readinessProbe') {
      if (grace !== undefined)
        errors.push(invalid(`${here}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
    } else if (probe['successThreshold'] !== 1)
      errors.push(invalid(`${here}.successThreshold`, probe['successThreshold'] ?? 0, 'must be 1'));
  }
}

export function validateLifecycle(
  lifecycle: Fields,
  at: string,
  graceSeconds: number | undefined,
  errors: FieldError[],
): void {
  for (const name of ['postStart', 'preStop']) {
    const handler = record(lifecycle[name]);
    if (handler !== undefined) validateHandler(handler, `${at}.${name}`, graceSeconds, errors);
  }
}
