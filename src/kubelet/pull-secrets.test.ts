/** Credentials for registries, as pull secrets hold them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pullCredentials } from './pull-secrets.ts';

const config = (auths: object) => new Map([['.dockerconfigjson', Buffer.from(JSON.stringify({ auths }))]]);
const user = (username: string) => ({ username, password: 'p' });
const users = (repository: string, ...secrets: ReadonlyMap<string, Uint8Array>[]) =>
  pullCredentials(repository, secrets).map(({ username }) => username);

test('by registry and port; the most exact path comes first', () => {
  const secret = config({
    'registry.example:5000': user('all'),
    'registry.example:5000/team': user('team'),
    'registry.example:5000/team/app': user('app'),
    'registry.example:5001': user('other port'),
    'registry.example.org:5000': user('other host'),
  });
  assert.deepEqual(users('registry.example:5000/team/app', secret), ['app', 'team', 'all']);
  assert.deepEqual(users('registry.example:5000/else/app', secret), ['all']);
  assert.deepEqual(users('registry.example/team/app', secret), []);
});

test('a star is part of one part of the host', () => {
  const secret = config({ '*.example.com': user('star'), 'a?.example.com/x': user('mark') });
  assert.deepEqual(users('ab.example.com/x/y', secret), ['mark', 'star']);
  assert.deepEqual(users('a.b.example.com/x', secret), []);
});

test('Docker Hub, under the names it goes by', () => {
  for (const name of ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io'])
    assert.deepEqual(users('docker.io/library/nginx', config({ [name]: user('me') })), ['me'], name);
  assert.deepEqual(users('quay.io/x', config({ 'https://index.docker.io/v1/': user('me') })), []);
});

test('auth is base64 of both and wins; the older form of a secret is read, too', () => {
  const auth = Buffer.from('me:se:cret').toString('base64');
  const [found] = pullCredentials('r.test/x', [
    new Map([['.dockercfg', Buffer.from(JSON.stringify({ 'https://r.test/v2/': { auth, username: 'not me' } }))]]),
  ]);
  assert.deepEqual([found?.username, found?.password], ['me', 'se:cret']);
});

test('of several secrets each is tried, in their order', () => {
  assert.deepEqual(users('r.test/x', config({ 'r.test': user('one') }), config({ 'r.test': user('two') })), [
    'one',
    'two',
  ]);
});

test('what cannot be read gives nothing', () => {
  const text = (value: string) => new Map([['.dockerconfigjson', Buffer.from(value)]]);
  for (const value of [
    '',
    '{',
    '[]',
    'null',
    '{"auths":{"r.test":null}}',
    '{"auths":{"r.test":{"auth":"bm9jb2xvbg=="}}}',
    '{"auths":3}',
  ])
    assert.deepEqual(users('r.test/x', text(value)), [], value);
});
