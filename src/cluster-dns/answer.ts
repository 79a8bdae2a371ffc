/**
 * Answers DNS questions from a cluster's zone. Pure: what is outside the zone is for the upstream servers (`undefined`).
 * RFC 1035, RFC 2308 for names that do not exist.
 */
import type { Answer, Packet, Question } from 'dns-packet';
import type { Zone, ZoneRecord } from './zone.ts';

const authoritative = 1 << 10;
const recursionAvailable = 1 << 7;
export const ResponseCode = { noError: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4 } as const;
const ttlSeconds = 5;
/** CNAMEs that one answer follows inside the zone. */
const chainLengthMax = 8;

/** @returns undefined when the question is not about the cluster */
export function answerFromZone(
  query: Packet,
  question: Question,
  zone: Zone,
  domain: string,
  order: (count: number) => number,
): Packet | undefined {
  const name = question.name.toLowerCase().replace(/\.$/, '');
  const inDomain = name === domain || name.endsWith(`.${domain}`);
  const known = zone.get(name);
  if (!inDomain && known === undefined) return undefined;
  if (known === undefined) return reply(query, ResponseCode.nameError, [], [startOfAuthority(domain)]);
  const answers: Answer[] = [];
  const additionals: Answer[] = [];
  collect(question.name, name, question.type, zone, order, answers, additionals);
  return reply(
    query,
    ResponseCode.noError,
    answers,
    answers.length === 0 ? [startOfAuthority(domain)] : [],
    additionals,
  );
}

/** An answer without records. */
export function emptyReply(query: Packet, code: number): Packet {
  return reply(query, code, [], []);
}

function collect(
  asked: string,
  name: string,
  type: string,
  zone: Zone,
  order: (count: number) => number,
  answers: Answer[],
  additionals: Answer[],
): void {
  let current = name;
  let shown = asked;
  for (let step = 0; step < chainLengthMax; step++) {
    const records = zone.get(current) ?? [];
    const alias = records.find((record) => record.type === 'CNAME');
    if (alias !== undefined) {
      answers.push({ name: shown, type: 'CNAME', ttl: ttlSeconds, data: alias.target });
      if (type === 'CNAME') return;
      shown = alias.target;
      current = alias.target.toLowerCase().replace(/\.$/, '');
      continue;
    }
    const matching = records.filter((record) => record.type === type || (type === 'ANY' && record.type !== 'CNAME'));
    // Clients take the first address: begin at another one each time.
    const first = matching.length > 1 ? order(matching.length) : 0;
    for (let i = 0; i < matching.length; i++) {
      const record = matching[(first + i) % matching.length]!;
      answers.push(wireRecord(shown, record));
      if (record.type === 'SRV')
        for (const address of zone.get(record.target) ?? [])
          if (address.type === 'A' || address.type === 'AAAA') additionals.push(wireRecord(record.target, address));
    }
    return;
  }
}

function wireRecord(name: string, record: ZoneRecord): Answer {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return { name, type: record.type, ttl: ttlSeconds, data: record.address };
    case 'CNAME':
    case 'PTR':
      return { name, type: record.type, ttl: ttlSeconds, data: record.target };
    case 'SRV':
      return {
        name,
        type: 'SRV',
        ttl: ttlSeconds,
        data: { priority: 0, weight: 100, port: record.port, target: record.target },
      };
    case 'TXT':
      return { name, type: 'TXT', ttl: ttlSeconds, data: record.text };
  }
}

function startOfAuthority(domain: string): Answer {
  return {
    name: domain,
    type: 'SOA',
    ttl: ttlSeconds,
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: ttlSeconds,
    },
  };
}

function reply(
  query: Packet,
  code: number,
  answers: Answer[],
  authorities: Answer[],
  additionals: Answer[] = [],
): Packet {
  const desired = (query.flags ?? 0) & (1 << 8);
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: authoritative | recursionAvailable | desired | code,
    questions: query.questions ?? [],
    answers,
    authorities,
    additionals,
  };
}
