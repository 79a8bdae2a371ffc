/**
 * Who a container runs as: a user and group by name or number, looked up in the image's own passwd and group files. Texts are containerd's.
 * passwd(5), group(5)
 */
import { Code, RpcError } from '#wire/grpc/status.ts';

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, the primary one among them. */
  readonly groups: readonly number[];
}

/** Ids beyond this wrap around to root in places (CVE-2024-40635). */
const idMax = 2 ** 31 - 1;
const linesMax = 100_000;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** `USER[:GROUP]` in the files' terms; '' is root. `passwd` and `group` are the files' texts, '' when the image has none. */
export function resolveUser(user: string, passwd: string, group: string): ResolvedUser {
  const users = parsePasswd(passwd);
  const groups = parseGroup(group);
  const colon = user.indexOf(':');
  const userPart = colon < 0 ? user : user.slice(0, colon);
  const groupPart = colon < 0 ? undefined : user.slice(colon + 1);
  const number = parseId(userPart);
  const found =
    userPart === ''
      ? users.find(({ uid }) => uid === 0)
      : users.find(({ name, uid }) => (number === undefined ? name === userPart : uid === number));
  if (found === undefined && number === undefined && userPart !== '')
    throw new RpcError(Code.Unknown, `no users found for ${userPart}`);
  const uid = found?.uid ?? number ?? 0;
  const gid = groupPart === undefined ? (found?.gid ?? 0) : resolveGroup(groupPart, groups);
  const named = found === undefined ? [] : groups.filter(({ members }) => members.includes(found.name));
  return { uid, gid, groups: [...new Set([gid, ...named.map((entry) => entry.gid)])] };
}

function resolveGroup(text: string, groups: readonly GroupEntry[]): number {
  const number = parseId(text);
  if (number !== undefined) return number;
  const found = groups.find(({ name }) => name === text);
  if (found === undefined) throw new RpcError(Code.Unknown, `no groups found for ${text}`);
  return found.gid;
}

/** A number as an id; undefined for a name. */
function parseId(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const id = Number(text);
  if (id > idMax) throw new RpcError(Code.InvalidArgument, `uids and gids must be in range 0-${idMax}`);
  return id;
}

function parsePasswd(text: string): PasswdEntry[] {
  const entries: PasswdEntry[] = [];
  for (const fields of lines(text)) {
    const uid = Number(fields[2]);
    const gid = Number(fields[3]);
    if (fields.length >= 4 && validId(uid) && validId(gid)) entries.push({ name: fields[0]!, uid, gid });
  }
  return entries;
}

function parseGroup(text: string): GroupEntry[] {
  const entries: GroupEntry[] = [];
  for (const fields of lines(text)) {
    const gid = Number(fields[2]);
    if (fields.length >= 3 && validId(gid))
      entries.push({ name: fields[0]!, gid, members: (fields[3] ?? '').split(',').filter(Boolean) });
  }
  return entries;
}

function lines(text: string): string[][] {
  return text
    .split('\n', linesMax)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function validId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id <= idMax;
}
