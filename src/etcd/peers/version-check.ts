/**
 * Which versions of members may talk to each other: each names its own version and the oldest cluster version it works with, and only
 * major and minor count (upstream: rafthttp's checkVersionCompatibility).
 */
import { type HeaderList, header } from '#transport/http.ts';
import { serverVersion } from '../version.ts';

/** The oldest cluster version that this member works with, as every etcd 3. */
export const minClusterVersion = '3.0.0';
/** What a member says that does not say: 2.0 had no header for it. */
const unnamedVersion = '2.0.0';
/** The first version with both streams. */
const streamsVersion = '2.1.0';

/** Major and minor as one number that compares; undefined for what is no version. */
function majorMinor(version: string): number | undefined {
  const match = /^(\d{1,6})\.(\d{1,6})\.\d+(?:[-+].*)?$/.exec(version);
  return match === null ? undefined : Number(match[1]) * 1e6 + Number(match[2]);
}

const localServer = majorMinor(serverVersion)!;
const localMin = majorMinor(minClusterVersion)!;

/** Whether the member that sent these headers and this one can be in one cluster. */
export function isCompatible(headers: HeaderList): boolean {
  const server = majorMinor(header(headers, 'x-server-version') ?? unnamedVersion);
  const min = majorMinor(header(headers, 'x-min-cluster-version') ?? unnamedVersion);
  return server !== undefined && min !== undefined && server >= localMin && min <= localServer;
}

/** Whether the member that answered with these headers knows both streams. */
export function knowsStreams(headers: HeaderList): boolean {
  const server = majorMinor(header(headers, 'x-server-version') ?? unnamedVersion);
  return server !== undefined && (server >= localServer || server >= majorMinor(streamsVersion)!);
}
