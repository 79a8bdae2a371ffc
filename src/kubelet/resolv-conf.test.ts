/** What a pod's resolver is told, by policy and within what resolvers can take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodSpec } from './pod.ts';
import { parseResolvConf, podDns, withinDnsLimits } from './resolv-conf.ts';

const host = parseResolvConf(
  '# comment\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.org.\noptions edns0\n',
);
const dnsOf = (spec: Partial<PodSpec>) =>
  podDns(
    { metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { containers: [], ...spec } },
    { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', host },
  );

test('by default the cluster answers, with the namespace first and the node last among the searches', () => {
  assert.deepEqual(dnsOf({}), {
    servers: ['10.96.0.10'],
    searches: ['n.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.org'],
    options: ['ndots:5'],
  });
});

test('a pod on the node network asks as the node does, unless it says otherwise', () => {
  assert.deepEqual(dnsOf({ hostNetwork: true }), host);
  assert.deepEqual(dnsOf({ dnsPolicy: 'Default' }), host);
  assert.deepEqual(dnsOf({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }).servers, ['10.96.0.10']);
});

test('None leaves what the pod says itself, once each; its options win', () => {
  const dnsConfig = {
    nameservers: ['192.0.2.9', '192.0.2.9'],
    searches: ['a.test'],
    options: [{ name: 'ndots', value: '2' }, { name: 'rotate' }],
  };
  assert.deepEqual(dnsOf({ dnsPolicy: 'None', dnsConfig }), {
    servers: ['192.0.2.9'],
    searches: ['a.test'],
    options: ['ndots:2', 'rotate'],
  });
  assert.deepEqual(dnsOf({ dnsConfig }).options, ['ndots:2', 'rotate']);
});

test('three servers and 32 searches; what is left out is told', () => {
  const many = (count: number, name: (i: number) => string) => Array.from({ length: count }, (_, i) => name(i));
  const fits = { servers: many(3, (i) => `192.0.2.${i}`), searches: many(32, (i) => `s${i}.test`), options: [] };
  assert.deepEqual(withinDnsLimits(fits), { dns: fits, warnings: [] });
  const { dns, warnings } = withinDnsLimits({
    servers: many(4, (i) => `192.0.2.${i}`),
    searches: many(33, (i) => `s${i}.test`),
    options: [],
  });
  assert.deepEqual(dns, fits);
  assert.deepEqual(warnings, [
    'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 192.0.2.0 192.0.2.1 192.0.2.2',
    `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${fits.searches.join(' ')}`,
  ]);
});

test('a search path that resolvers abort at, and a line beyond 2048 characters', () => {
  const long = (length: number) => 'x'.repeat(length);
  assert.deepEqual(withinDnsLimits({ servers: [], searches: [long(254), 'ok'], options: [] }).dns.searches, ['ok']);
  const { dns, warnings } = withinDnsLimits({ servers: [], searches: Array(10).fill(long(253)), options: [] });
  assert.equal(dns.searches.length, 8);
  assert.equal(warnings.length, 1);
});
