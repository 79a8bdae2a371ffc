/** The DNS specification's examples, asked as questions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Packet, Question } from 'dns-packet';
import { answerFromZone } from './answer.ts';
import { buildZone, type EndpointSliceLike, reverseName, type ServiceLike } from './zone.ts';

const domain = 'cluster.local';
const services: ServiceLike[] = [
  {
    metadata: { namespace: 'default', name: 'hello' },
    spec: { clusterIP: '10.3.0.100', ports: [{ name: 'https', protocol: 'TCP', port: 443 }] },
  },
  {
    metadata: { namespace: 'default', name: 'headless' },
    spec: { clusterIP: 'None', ports: [{ name: 'https', port: 443 }] },
  },
  {
    metadata: { namespace: 'default', name: 'outside' },
    spec: { type: 'ExternalName', externalName: 'www.example.com' },
  },
];
const slices: EndpointSliceLike[] = [
  {
    metadata: { namespace: 'default', labels: { 'kubernetes.io/service-name': 'headless' } },
    ports: [{ name: 'https', protocol: 'TCP', port: 8443 }],
    endpoints: [
      { addresses: ['10.3.0.2'], hostname: 'my-pet' },
      { addresses: ['10.3.0.3'] },
      { addresses: ['10.3.0.9'], conditions: { ready: false } },
    ],
  },
];
const zone = buildZone(domain, services, slices);

function ask(name: string, type: Question['type']): { code: number; answers: string[] } | undefined {
  const query: Packet = { type: 'query', id: 7, flags: 0x100, questions: [{ name, type }] };
  const answer = answerFromZone(query, query.questions![0]!, zone, domain, () => 0);
  if (answer === undefined) return undefined;
  assert.equal(answer.id, 7);
  const answers = (answer.answers ?? []).map((record) =>
    'data' in record
      ? `${record.name} ${record.type} ${typeof record.data === 'string' ? record.data : JSON.stringify(record.data)}`
      : '',
  );
  return { code: (answer.flags ?? 0) & 15, answers };
}

test('a service has its address, its ports, and its way back; case does not matter', () => {
  assert.deepEqual(ask('Hello.Default.svc.cluster.local', 'A'), {
    code: 0,
    answers: ['Hello.Default.svc.cluster.local A 10.3.0.100'],
  });
  assert.deepEqual(ask('_https._tcp.hello.default.svc.cluster.local', 'SRV')?.answers, [
    '_https._tcp.hello.default.svc.cluster.local SRV {"priority":0,"weight":100,"port":443,"target":"hello.default.svc.cluster.local"}',
  ]);
  assert.deepEqual(ask('100.0.3.10.in-addr.arpa', 'PTR')?.answers, [
    '100.0.3.10.in-addr.arpa PTR hello.default.svc.cluster.local',
  ]);
  assert.deepEqual(ask('hello.default.svc.cluster.local', 'AAAA'), { code: 0, answers: [] });
});

test('a headless service is its ready endpoints', () => {
  assert.deepEqual(
    ask('headless.default.svc.cluster.local', 'A')?.answers.map((line) => line.split(' ')[2]),
    ['10.3.0.2', '10.3.0.3'],
  );
  assert.deepEqual(ask('my-pet.headless.default.svc.cluster.local', 'A')?.answers.length, 1);
  assert.deepEqual(ask('10-3-0-3.headless.default.svc.cluster.local', 'A')?.answers.length, 1);
  assert.equal(ask('_https._tcp.headless.default.svc.cluster.local', 'SRV')?.answers.length, 2);
});

test('an external name is an alias', () => {
  assert.deepEqual(ask('outside.default.svc.cluster.local', 'A')?.answers, [
    'outside.default.svc.cluster.local CNAME www.example.com',
  ]);
});

test('what is not there does not exist, what lies between does, and the rest of the world is for others', () => {
  assert.equal(ask('nope.default.svc.cluster.local', 'A')?.code, 3);
  assert.deepEqual(ask('default.svc.cluster.local', 'A'), { code: 0, answers: [] });
  assert.equal(ask('www.example.com', 'A'), undefined);
  assert.deepEqual(ask('dns-version.cluster.local', 'TXT')?.answers, ['dns-version.cluster.local TXT 1.1.0']);
});

test('reverse names of both families', () => {
  assert.equal(reverseName('10.3.0.100'), '100.0.3.10.in-addr.arpa');
  assert.equal(reverseName('2001:db8::1'), '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa');
});
