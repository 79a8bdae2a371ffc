/** Field selectors and YAML: grammar, and what is refused. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { matchesFields, parseFieldSelector } from './field-selector.ts';
import { parseYaml } from './yaml.ts';

test('field selectors: equal, not equal, escaped', () => {
  const parsed = parseFieldSelector('metadata.name=a\\,b,status.phase!=Running,spec.x==');
  assert.deepEqual(parsed, [
    { field: 'metadata.name', operator: '=', value: 'a,b' },
    { field: 'status.phase', operator: '!=', value: 'Running' },
    { field: 'spec.x', operator: '=', value: '' },
  ]);
  assert.equal(matchesFields(parsed, { 'metadata.name': 'a,b', 'status.phase': 'Pending' }), true);
  assert.equal(matchesFields(parsed, { 'metadata.name': 'a,b', 'status.phase': 'Running' }), false);
  assert.throws(() => parseFieldSelector('nonsense'), /can't understand 'nonsense'/);
});

test('YAML 1.1 booleans, numbers, dates', () => {
  assert.deepEqual(parseYaml('a: yes\nb: 0o7\nc: 2001-01-01\nd: [1, 2.5, ~]\n').value, {
    a: true,
    b: '0o7',
    c: '2001-01-01T00:00:00Z',
    d: [1, 2.5, null],
  });
});

test('YAML that is none names its line', () => {
  assert.throws(() => parseYaml('a: 1\n b: [\n'), /error converting YAML to JSON: yaml: line \d+: /);
});

test('aliases that multiply are refused', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
  for (let i = 0; i < 8; i++) {
    const name = String.fromCharCode(98 + i);
    const previous = String.fromCharCode(97 + i);
    bomb.push(`${name}: &${name} [${Array(10).fill(`*${previous}`).join(',')}]`);
  }
  assert.throws(() => parseYaml(bomb.join('\n')), /error converting YAML to JSON/);
});
