/**
 * Runs simulations and prints what they covered; the first seed that breaks a promise ends it, with the line that replays it.
 *   bin/node sim/main.ts [--seed=N [--trace]] [--seeds=COUNT] [--from=N] [--minutes=M] [--operations=N] [--checks]
 */
import { type RunResult, runSeed } from './run.ts';

const flag = (name: string): string | undefined =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);
const number = (name: string): number | undefined => (flag(name) === undefined ? undefined : Number(flag(name)));
const print = (line: string) => process.stdout.write(`${line}\n`);

const operations = number('operations') ?? 5000;
const checks = process.argv.includes('--checks');
const one = number('seed');
if (one !== undefined) {
  const trace = process.argv.includes('--trace') ? print : undefined;
  const result = await runSeed({ seed: one, operations, checks, ...(trace && { trace }) });
  print(JSON.stringify({ ...result, violations: result.violations.length }));
  for (const violation of result.violations) print(violation);
  process.exit(result.violations.length === 0 ? 0 : 1);
}

const minutes = number('minutes');
const from = number('from') ?? (minutes === undefined ? 1 : Date.now() % 2 ** 31);
const count = number('seeds') ?? (minutes === undefined ? 20 : Number.MAX_SAFE_INTEGER);
const startMs = performance.now();
const sums: Record<string, number> = {};
let seeds = 0;
let broken: RunResult | undefined;
/** Of one line to the next that says how far it is. */
const progressMs = 60_000;
let toldMs = startMs;
for (let seed = from; seed < from + count; seed++) {
  if (minutes !== undefined && performance.now() - startMs > minutes * 60_000) break;
  const result = await runSeed({ seed, operations, checks });
  seeds++;
  add(result);
  if (performance.now() - toldMs > progressMs) {
    toldMs = performance.now();
    process.stderr.write(`${seeds} seeds, ${Math.round(sums['operations'] ?? 0)} operations\n`);
  }
  if (result.violations.length > 0) {
    broken = result;
    break;
  }
}
const seconds = (performance.now() - startMs) / 1000;
print(
  `${seeds} seeds from ${from}, ${Math.round(seconds)} s, ${Math.round((sums['operations'] ?? 0) / seconds)} operations a second`,
);
for (const [name, value] of Object.entries(sums)) print(`${name.padEnd(24)} ${Math.round(value)}`);
if (broken !== undefined) {
  print(
    `seed ${broken.seed} broke a promise. Replay: bin/node sim/main.ts --seed=${broken.seed} --operations=${operations}${checks ? ' --checks' : ''} --trace`,
  );
  for (const violation of broken.violations) print(`  ${violation}`);
}
process.exit(broken === undefined ? 0 : 1);

function add({ seed: _, size: __, violations: ___, hash: ____, faults, watches, ...rest }: RunResult): void {
  for (const [name, value] of Object.entries({ ...rest, ...faults, ...watches }))
    sums[name] = (sums[name] ?? 0) + value;
}
