/** All checks together, and how they are told. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { answered, healthyFacts, idOf, withSilent } from '#testkit/etcd-doctor-facts.ts';
import { checkNames, diagnose } from './diagnose.ts';
import { textOf } from './print.ts';
import { defaultThresholds as thresholds } from './thresholds.ts';
import { humanMs } from './words.ts';

const well = diagnose(healthyFacts(), thresholds);

test('a cluster that is well: what could not be known is no fault', () => {
  assert.equal(well.result, 'OK');
  assert.deepEqual(
    well.findings.filter(({ result }) => result !== 'OK').map(({ name, result }) => `${name} ${result}`),
    ['disk SKIP', 'peer-latency SKIP', 'backup SKIP', 'certificates SKIP'],
  );
});

test('one line for each check, then a summary', () => {
  const lines = textOf('simple', well, healthyFacts()).split('\n');
  assert.equal(lines.length, checkNames.length + 2);
  assert.equal(lines[0], 'OK    members        3 of 3 members answer');
  assert.equal(lines.at(-2), 'OK: 0 FAIL, 0 WARN, 4 SKIP, 16 OK');
});

test('what fails says what to type, in every format', () => {
  const facts = withSilent(healthyFacts(), 2);
  const diagnosis = diagnose(facts, thresholds);
  assert.equal(diagnosis.result, 'FAIL');
  assert.match(
    textOf('simple', diagnosis, facts),
    /^FAIL {2}members .*; next: \(on its machine\) wherry etcdctl .*; \(it will/m,
  );
  assert.match(
    textOf('table', diagnosis, facts),
    /^\| members +\| FAIL +\| m3 does not answer .*member remove 1a3 \|$/m,
  );
  assert.match(textOf('fields', diagnosis, facts), /^"Check" : "members"\n"Result" : "FAIL"\n"Seen" : "m3 does/m);
  const json = JSON.parse(textOf('json', diagnosis, facts));
  assert.deepEqual(Object.keys(json), ['result', 'time', 'cluster_id', 'counts', 'checks']);
  assert.deepEqual([json.result, json.time, json.cluster_id], ['FAIL', '2026-01-31T00:00:00.000Z', 'c1']);
  assert.deepEqual(Object.keys(json.checks[0]), ['name', 'result', 'seen', 'figures', 'next']);
});

test('a check that is not wanted is skipped, and does not fail', () => {
  const facts = withSilent(healthyFacts(), 2);
  const { result, findings } = diagnose(facts, thresholds, new Set(['members', 'quorum']));
  assert.equal(result, 'OK');
  assert.equal(findings[0]!.seen, 'by --skip');
});

test('what a member says of itself breaks neither the line nor the shell', () => {
  const facts = healthyFacts();
  if (facts.members.kind !== 'answered') throw new Error('no members');
  const named = facts.members.value.map((member, i) => (i === 2 ? { ...member, name: "x\n'; rm" } : member));
  const odd = { ...facts, members: answered(named), alarms: answered([{ memberId: idOf(2), alarm: 'CORRUPT' }]) };
  const text = textOf('simple', diagnose(odd, thresholds), odd);
  assert.match(text, /^FAIL {2}alarms +CORRUPT at x '; rm \(/m);
  assert.match(text, /^FAIL.* member add 'x\?'\\''; rm' --learner /m);
});

test('times as people read them', () => {
  assert.deepEqual([0, 0.25, 9.96, 12.4, 999.6, 1500, 59_999, 61_000, 3_600_000, 90_061_000, -2000].map(humanMs), [
    '0ms',
    '0.3ms',
    '10ms',
    '12ms',
    '1s',
    '1.5s',
    '1m',
    '1m 1s',
    '1h',
    '1d 1h',
    '-2s',
  ]);
});
