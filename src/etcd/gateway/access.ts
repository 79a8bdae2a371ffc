/**
 * What stands before everything on the client port that is not gRPC: which hosts and origins may ask, and that nobody relies on a certificate's
 * name where it does not count. (upstream: server/embed/serve.go)
 */
import type { HttpHandler, HttpRequest, HttpResponse } from '#transport/http.ts';
import { header } from '#transport/http.ts';

export interface AccessOptions {
  /** `--host-whitelist`: names by which the server may be asked without TLS; `*` is any. */
  readonly hosts: ReadonlySet<string>;
  /** `--cors`: origins whose pages may ask; `*` is any. */
  readonly origins: ReadonlySet<string>;
  /** Users are told apart by their certificates' names now: a call by the gateway would not be. */
  readonly certificateNamesCount: () => boolean;
}

export function withAccessControl(handler: HttpHandler, options: AccessOptions): HttpHandler {
  const { hosts, origins, certificateNamesCount } = options;
  return async (request) => {
    const host = hostOf(request);
    const isSecure = request.peer.secure === true;
    if (!isSecure && !hosts.has('*') && !hosts.has(host)) return plain(421, hostRefused(host));
    const isGateway = request.target.startsWith('/v3/') || request.target.startsWith('/v3beta/');
    if (isSecure && isGateway && certificateNamesCount() && (request.peer.certificate?.commonName ?? '') !== '')
      return plain(
        400,
        'CommonName of client sending a request against gateway will be ignored and not used as expected\n',
      );
    const origin = origins.has('*') ? '*' : allowedOrigin(request, origins);
    const cors: HttpResponse['headers'] =
      origin === undefined
        ? []
        : [
            ['access-control-allow-methods', 'POST, GET, OPTIONS, PUT, DELETE'],
            ['access-control-allow-origin', origin],
            ['access-control-allow-headers', 'accept, content-type, authorization'],
          ];
    if (request.method === 'OPTIONS') return { status: 200, headers: cors, body: new Uint8Array(0) };
    const response = await handler(request);
    return { ...response, headers: [...cors, ...response.headers] };
  };
}

function allowedOrigin({ headers }: HttpRequest, origins: ReadonlySet<string>): string | undefined {
  const origin = header(headers, 'origin');
  return origin !== undefined && origins.has(origin) ? origin : undefined;
}

/** Without the port. */
function hostOf({ authority }: HttpRequest): string {
  return authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

function plain(status: number, text: string): HttpResponse {
  return {
    status,
    headers: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['x-content-type-options', 'nosniff'],
    ],
    body: Buffer.from(text),
  };
}

function hostRefused(host: string): string {
  return `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(host)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).

`;
}
