/** How the doctor tells what it found: a line for each check, a table, JSON or fields. */
import { fields, goJson, table } from '../print.ts';
import { notSupported } from '../print-answer.ts';
import type { Session } from '../session.ts';
import type { Diagnosis } from './diagnose.ts';
import type { Facts } from './facts.ts';
import { type Finding, type Next, results } from './finding.ts';
import { hexId, subjectsOf } from './subjects.ts';

/** @throws EtcdctlError for a format that it does not have */
export function refuseFormat(format: Session['format']): void {
  if (format === 'protobuf') throw notSupported(format);
}

export function textOf(format: Session['format'], diagnosis: Diagnosis, facts: Facts): string {
  const { findings } = diagnosis;
  if (format === 'json') return `${goJson(jsonOf(diagnosis, facts))}\n`;
  if (format === 'fields')
    return findings.map(fieldsOf).join('\n') + fields([['Summary', JSON.stringify(summaryOf(diagnosis))]]);
  if (format === 'table') {
    const rows = findings.map(({ name, result, seen, next }) => [name, result, seen, nextText(next)]);
    return table(['CHECK', 'RESULT', 'SEEN', 'NEXT'], rows);
  }
  return `${findings.map(lineOf).join('')}${summaryOf(diagnosis)}\n`;
}

function lineOf({ name, result, seen, next }: Finding): string {
  const command = next.length === 0 ? '' : `; next: ${nextText(next)}`;
  return `${result.padEnd(4)}  ${name.padEnd(13)}  ${seen}${command}\n`;
}

function nextText(next: readonly Next[]): string {
  return next.map(({ command, when }) => (when === undefined ? command : `(${when}) ${command}`)).join('; ');
}

/** `FAIL: 1 FAIL, 2 WARN, 14 OK, 3 SKIP`. */
function summaryOf({ result, counts }: Diagnosis): string {
  const each = results.toReversed().map((name) => `${counts[name]} ${name}`);
  return `${result}: ${each.join(', ')}`;
}

function fieldsOf({ name, result, seen, figures, next }: Finding): string {
  return fields([
    ['Check', JSON.stringify(name)],
    ['Result', JSON.stringify(result)],
    ['Seen', JSON.stringify(seen)],
    ...figures.map(
      ({ name: figure, of, value }) => [`${figure}${of === undefined ? '' : ` of ${of}`}`, value] as const,
    ),
    ...next.map(({ command }) => ['Next', JSON.stringify(command)] as const),
  ]);
}

/** The shape is documented in `docs/etcd-clusters.md`. */
function jsonOf({ result, counts, findings }: Diagnosis, facts: Facts) {
  const clusterId = subjectsOf(facts)[0]?.status.clusterId;
  return {
    result,
    time: new Date(facts.nowMs).toISOString(),
    cluster_id: clusterId === undefined ? undefined : hexId(clusterId),
    counts,
    checks: findings.map(({ name, result: its, seen, figures, next }) => ({ name, result: its, seen, figures, next })),
  };
}
