/** Carries out one probe: a command in the container, an HTTP request, or a TCP connection to the pod. */
import type { RuntimeService } from '#cri-client/client.ts';
import type { Reach } from '#host/reachability.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Container, HttpGetAction } from './pod.ts';
import type { ProbeRunner } from './prober.ts';

const userAgent = 'kube-probe/1.36';
const defaultTimeoutSeconds = 1;

export function createProbeRunner(runtime: RuntimeService, reach: Reach): ProbeRunner {
  return async ({ container, containerId, podIp }, probe, signal) => {
    const timeoutMs = (probe.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
    if (probe.exec !== undefined) {
      try {
        const { exitCode, stdout, stderr } = await runtime.execSync({
          containerId,
          cmd: [...(probe.exec.command ?? [])],
          timeout: BigInt(Math.ceil(timeoutMs / 1000)),
        });
        const output = Buffer.concat([stdout, stderr])
          .toString('utf8')
          .slice(0, 10 << 10);
        return { outcome: exitCode === 0 ? 'success' : 'failure', message: output };
      } catch (error) {
        const { code, message } = RpcError.from(error);
        if (code === Code.DeadlineExceeded) return { outcome: 'failure', message: `command timed out: ${message}` };
        throw error;
      }
    }
    if (probe.httpGet !== undefined) return askPod(reach, container, probe.httpGet, podIp, timeoutMs, signal);
    if (probe.tcpSocket !== undefined) {
      const host = probe.tcpSocket.host || podIp;
      try {
        await reach.askTcp(host, portNumber(container, probe.tcpSocket.port), timeoutMs, signal);
        return { outcome: 'success', message: '' };
      } catch (error) {
        return { outcome: 'failure', message: (error as Error).message };
      }
    }
    throw new Error('the probe has no exec, httpGet or tcpSocket');
  };
}

/** An HTTP probe succeeds with 200 to 399. */
async function askPod(
  { askHttp }: Reach,
  container: Container,
  action: HttpGetAction,
  podIp: string,
  timeoutMs: number,
  signal: AbortSignal,
) {
  const scheme = action.scheme?.toLowerCase() === 'https' ? 'https' : 'http';
  const host = action.host || podIp;
  const port = portNumber(container, action.port);
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  try {
    const { status, body } = await askHttp({ scheme, host, port, path, headers: headersOf(action), timeoutMs, signal });
    if (status >= 200 && status < 400) return { outcome: 'success' as const, message: body };
    return { outcome: 'failure' as const, message: `HTTP probe failed with statuscode: ${status}` };
  } catch (error) {
    return {
      outcome: 'failure' as const,
      message: `Get "${scheme}://${host}:${port}${path}": ${(error as Error).message}`,
    };
  }
}

export function headersOf(action: HttpGetAction): [string, string][] {
  const own = (action.httpHeaders ?? []).map(({ name, value }): [string, string] => [name, value]);
  const has = (wanted: string) => own.some(([name]) => name.toLowerCase() === wanted);
  return [
    ...(has('user-agent') ? [] : [['User-Agent', userAgent] as [string, string]]),
    ...(has('accept') ? [] : [['Accept', '*/*'] as [string, string]]),
    ...own,
  ];
}

/** A port by number or by the name that the container gave it. */
export function portNumber(container: Container, port: number | string): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port);
  if (named !== undefined) return named.containerPort;
  const number = Number(port);
  if (Number.isInteger(number) && number > 0 && number < 65536) return number;
  throw new Error(`couldn't find port: ${JSON.stringify(port)}`);
}
