/** The zones that a cron job may have: those that Go knows, by the very names by which it does. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { formatFieldErrors } from '#kube-machinery/field-error.ts';
import type { KubeObject } from '../object.ts';
import { validateCronJob, validateCronJobUpdate } from './batch.ts';
import { timeZoneProblem } from './time-zones.ts';

const known = ['UTC', 'Europe/Berlin', 'US/Pacific', 'Asia/Calcutta', 'Europe/Kyiv', 'EST5EDT', 'Etc/GMT+3', 'GMT0'];

const cronJob = (timeZone?: string) =>
  ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'a' },
    spec: {
      schedule: '* * * * *',
      concurrencyPolicy: 'Allow',
      ...(timeZone !== undefined && { timeZone }),
      jobTemplate: {},
    },
  }) as unknown as KubeObject;
const zoneErrors = (errors: ReturnType<typeof validateCronJob>) =>
  errors.filter(({ field }) => field === 'spec.timeZone');

test('zones and their older names are known, in their own case only', () => {
  for (const zone of known) assert.equal(timeZoneProblem(zone), undefined, zone);
  // The runtime takes all of these.
  for (const zone of ['utc', 'europe/berlin', 'US/PACIFIC', '+01:00', 'PST', 'IST', 'SystemV/AST4', 'US/Pacific-New'])
    assert.equal(timeZoneProblem(zone), `unknown time zone ${zone}`);
  for (const zone of ['Mars/Phobos', 'Europe', 'Europe/', 'posixrules'])
    assert.equal(timeZoneProblem(zone), `unknown time zone ${zone}`);
});

test('a name that leads out of the table is none', () => {
  for (const zone of ['../x', 'Europe/../Berlin', 'a..b', '/etc/localtime', '\\x'])
    assert.equal(timeZoneProblem(zone), 'time: invalid location name');
});

test('a cron job has a zone of its own, or none', () => {
  const explicit = 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
  for (const [zone, why] of [
    ['', 'spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'],
    ['Local', `spec.timeZone: Invalid value: "Local": ${explicit}`],
    [
      'local',
      `[spec.timeZone: Invalid value: "local": ${explicit}, spec.timeZone: Invalid value: "local": unknown time zone local]`,
    ],
    ['../x', 'spec.timeZone: Invalid value: "../x": time: invalid location name'],
    ['Mars/Phobos', 'spec.timeZone: Invalid value: "Mars/Phobos": unknown time zone Mars/Phobos'],
  ] as const)
    assert.equal(formatFieldErrors(zoneErrors(validateCronJob(cronJob(zone)))), why);
  for (const zone of [undefined, ...known]) assert.deepEqual(zoneErrors(validateCronJob(cronJob(zone))), []);
});

test('a zone that is there already is looked at only when it changes', () => {
  assert.deepEqual(zoneErrors(validateCronJobUpdate(cronJob('utc'), cronJob('utc'))), []);
  assert.equal(zoneErrors(validateCronJobUpdate(cronJob('utc'), cronJob('UTC'))).length, 1);
});
