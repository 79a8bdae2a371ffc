/** How long certificates are good for: before, within, near the end, past it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { answered, healthyFacts, hourMs, nowMs, withEndpoint } from '#testkit/etcd-doctor-facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { certificates } from './certificates.ts';

const valid = (hours: number, fromHours = -24) => ({
  subject: 'CN=m1',
  notBeforeMs: nowMs + fromHours * hourMs,
  notAfterMs: nowMs + hours * hourMs,
});
const shown = (hours: number, fromHours?: number) =>
  certificates(
    withEndpoint(healthyFacts(1), 0, { url: 'https://10.0.0.1:2379', certificate: answered(valid(hours, fromHours)) }),
    thresholds,
  );

test('no TLS, or nobody to show one', () => {
  assert.equal(certificates(healthyFacts(), thresholds).seen, 'no TLS');
  const silent = withEndpoint(healthyFacts(1), 0, { certificate: { kind: 'silent', why: 'x' } });
  assert.equal(certificates(silent, thresholds).result, 'SKIP');
});

test('of a server: good, near its end, past it, not yet', () => {
  assert.equal(shown(8760).seen, '1 certificate, the first to end in 365d: m1 https://10.0.0.1:2379');
  const near = shown(700);
  assert.equal(near.result, 'WARN');
  assert.equal(near.seen, 'm1 https://10.0.0.1:2379 (CN=m1) ends in 29d 4h');
  assert.equal(
    near.next?.[0]?.command,
    'openssl s_client -connect 10.0.0.1:2379 </dev/null | openssl x509 -noout -dates',
  );
  assert.equal(shown(-5).result, 'FAIL');
  assert.match(shown(-5).seen, /has ended 5h ago$/);
  assert.match(shown(8760, 2).seen, /is not valid for another 2h$/);
});

test('of a file that was named', () => {
  const facts = { ...healthyFacts(1), certificateFiles: [{ flag: 'cert', path: '/c.pem', ...valid(-1) }] } as const;
  const { result, seen, next } = certificates(facts, thresholds);
  assert.equal(result, 'FAIL');
  assert.equal(seen, '--cert /c.pem (CN=m1) has ended 1h ago');
  assert.equal(next?.[0]?.command, 'openssl x509 -noout -dates -in /c.pem');
});
