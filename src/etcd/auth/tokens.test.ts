/** Tokens: how long they count, what is no token, keys that do not fit; and users over restarts. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import { Auth, AuthUserAddRequest, KV, RangeRequest } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { drainTurns } from '#host/event-loop.ts';
import type { Channel } from '#rpc/call.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { type EtcdConfig, startEtcd } from '../start.ts';
import { type JwtOptions, JwtTokens } from './jwt-tokens.ts';
import { SimpleTokens } from './simple-tokens.ts';
import { parseTokenOptions } from './token-options.ts';
import { TokenOptionsError } from './tokens.ts';

const timeout = 20_000;

function authentication(name: string, simpleToken: string): InternalRaftRequest {
  return InternalRaftRequest.create({ authenticate: { name, password: '', simpleToken } });
}

describe('simple tokens', () => {
  const fresh = (ttlSeconds?: number) => {
    const clock = new VirtualClock();
    const tokens = new SimpleTokens({ appliedIndex: 0, clock, prng: seededPrng(1), ttlSeconds });
    const issue = (name: string, index: number) => {
      const prefix = tokens.prefix();
      tokens.applied(authentication(name, prefix), index);
      return tokens.issue(name, prefix);
    };
    return { clock, tokens, issue };
  };

  test('sixteen letters and the index of the entry', () => {
    const { issue } = fresh();
    assert.match(issue('anna', 7), /^[a-zA-Z]{16}\.7$/);
  });

  test('every use starts the time anew', async () => {
    const { clock, tokens, issue } = fresh(300);
    const token = issue('anna', 1);
    for (let i = 0; i < 5; i++) {
      await clock.advance(299_000, drainTurns);
      assert.deepEqual(tokens.callerOf(token, 4), { username: 'anna', revision: 4 });
    }
    await clock.advance(301_000, drainTurns);
    assert.equal(tokens.callerOf(token, 4), undefined);
  });

  test('another member that applies the same entry knows the same token', () => {
    const [one, other] = [fresh(), fresh()];
    const prefix = one.tokens.prefix();
    for (const { tokens } of [one, other]) tokens.applied(authentication('anna', prefix), 9);
    assert.equal(other.tokens.callerOf(`${prefix}.9`, 1)?.username, 'anna');
    assert.equal(other.tokens.callerOf(`${prefix}.8`, 1), undefined);
  });

  test('a token from the future waits until this member has got so far', async () => {
    const { tokens } = fresh();
    const never = new AbortController().signal;
    assert.equal(tokens.known('abc.0', never), undefined);
    assert.equal(tokens.known('no token', never), undefined);
    let known = false;
    const waiting = tokens.known('abc.2', never)!.then(() => {
      known = true;
    });
    tokens.applied(undefined, 1);
    await Promise.resolve();
    assert.equal(known, false);
    tokens.applied(undefined, 2);
    await waiting;
    const gone = new AbortController();
    const cut = tokens.known('abc.99', gone.signal)!;
    gone.abort(new Error('gone'));
    await assert.rejects(cut, /gone/);
  });

  test('nobody waits for a token of before the restart: it is unknown at once', () => {
    const tokens = new SimpleTokens({ appliedIndex: 7, clock: new VirtualClock(), prng: seededPrng(1) });
    const never = new AbortController().signal;
    assert.equal(tokens.known('abc.7', never), undefined);
    assert.ok(tokens.known('abc.8', never) instanceof Promise);
  });

  test('a changed password, a deleted user and auth turned off end them', () => {
    const { tokens, issue } = fresh();
    const [anna, wolf, ci] = ['anna', 'wolf', 'ci'].map((name, i) => issue(name, i + 1));
    tokens.applied(
      InternalRaftRequest.create({
        authUserChangePassword: { name: 'anna', password: '', hashedPassword: '' },
      }),
      4,
    );
    tokens.applied(InternalRaftRequest.create({ authUserDelete: { name: 'wolf' } }), 5);
    assert.deepEqual(
      [anna, wolf, ci].map((token) => tokens.callerOf(token!, 1)?.username),
      [undefined, undefined, 'ci'],
    );
    tokens.applied(InternalRaftRequest.create({ authDisable: {} }), 6);
    assert.equal(tokens.callerOf(ci!, 1), undefined);
  });
});

const pem = {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
} as const;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048, ...pem });
const curves = { 256: 'P-256', 384: 'P-384', 512: 'P-521' } as const;
const elliptic = Object.fromEntries(
  Object.entries(curves).map(([bits, namedCurve]) => [bits, generateKeyPairSync('ec', { namedCurve, ...pem })]),
);
const edwards = generateKeyPairSync('ed25519', pem);

function keysFor(signMethod: string): { readonly privateKey: Buffer; readonly publicKey?: Buffer } {
  if (signMethod.startsWith('HS')) return { privateKey: Buffer.from('a secret of some length') };
  const pair = signMethod === 'EdDSA' ? edwards : signMethod.startsWith('ES') ? elliptic[signMethod.slice(2)]! : rsa;
  return { privateKey: Buffer.from(String(pair.privateKey)), publicKey: Buffer.from(String(pair.publicKey)) };
}

describe('signed tokens', () => {
  const methods = ['RS', 'PS', 'ES', 'HS'].flatMap((family) => ['256', '384', '512'].map((bits) => `${family}${bits}`));

  for (const signMethod of [...methods, 'EdDSA'])
    test(`${signMethod}: made, checked, run out, forged`, async () => {
      const clock = new VirtualClock();
      const tokens = new JwtTokens({ signMethod, ttlMs: 60_000, ...keysFor(signMethod) }, clock);
      const token = tokens.issue('anna', '', 7);
      assert.deepEqual(tokens.callerOf(token), { username: 'anna', revision: 7 });
      const [header, claims, signature] = token.split('.');
      const altered = Buffer.from(Buffer.from(claims!, 'base64url').toString().replace('anna', 'root'));
      for (const forged of [
        `${header}.${altered.toString('base64url')}.${signature}`,
        `${header}.${claims}.`,
        `${header}.${claims}`,
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`,
        `${Buffer.from('{"alg":').toString('base64url')}.${claims}.${signature}`,
        'x',
        '',
      ])
        assert.equal(tokens.callerOf(forged), undefined, forged);
      await clock.advance(61_000, drainTurns);
      assert.equal(tokens.callerOf(token), undefined);
    });

  test('a public key is no secret for HMAC', () => {
    const options = { signMethod: 'RS256', ttlMs: 60_000, ...keysFor('RS256') };
    const tokens = new JwtTokens(options, systemClock);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ username: 'root', revision: 1, exp: 9e9 })}`;
    const signature = createHmac('sha256', options.publicKey!).update(signed).digest('base64url');
    assert.equal(tokens.callerOf(`${signed}.${signature}`), undefined);
  });

  test('with a public key alone tokens are checked, and none made', () => {
    const { privateKey, publicKey } = keysFor('ES256');
    const maker = new JwtTokens({ signMethod: 'ES256', ttlMs: 60_000, privateKey }, systemClock);
    const checker = new JwtTokens({ signMethod: 'ES256', ttlMs: 60_000, publicKey: publicKey! }, systemClock);
    assert.equal(checker.callerOf(maker.issue('anna', '', 1))?.username, 'anna');
    assert.throws(() => checker.issue('anna', '', 1), /verify-only key/);
  });

  test('keys that do not fit are refused', () => {
    const wrong: readonly (readonly [Omit<JwtOptions, 'ttlMs'>, RegExp])[] = [
      [{ signMethod: 'HS256' }, /missing key data/],
      [{ signMethod: 'RS256' }, /missing key data/],
      [{ signMethod: 'RS256', privateKey: keysFor('ES256').privateKey }, /does not fit/],
      [{ signMethod: 'ES384', privateKey: keysFor('ES256').privateKey }, /does not fit/],
      [
        { signMethod: 'ES256', privateKey: keysFor('ES256').privateKey, publicKey: keysFor('RS256').publicKey! },
        /does not fit/,
      ],
      [{ signMethod: 'RS256', privateKey: Buffer.from('no key') }, /not a key/],
      [{ signMethod: 'XX', privateKey: Buffer.from('') }, /invalid auth options/],
    ];
    for (const [options, text] of wrong)
      assert.throws(() => new JwtTokens({ ttlMs: 1, ...options }, systemClock), text);
  });

  test('what --auth-token takes', () => {
    const parse = (text: string) =>
      parseTokenOptions(
        text,
        () => Buffer.from('key'),
        () => 600_000,
      );
    assert.deepEqual(parse('simple'), { kind: 'simple' });
    assert.deepEqual(parse(''), { kind: 'none' });
    const jwt = parse('jwt,sign-method=HS256,priv-key=/file,ttl=10m,other=1');
    assert.deepEqual(jwt, { kind: 'jwt', signMethod: 'HS256', ttlMs: 600_000, privateKey: Buffer.from('key') });
    for (const text of ['nope', 'jwt', 'jwt,sign-method=none', 'jwt,sign-method', 'jwt,a=1,a=2', 'jwt,a=b=c'])
      assert.throws(() => parse(text), TokenOptionsError, text);
  });
});

describe('a member with users', () => {
  const { methods } = Auth;
  const root = async (channel: Channel) => {
    await channel.unary(methods.userAdd, AuthUserAddRequest.create({ name: 'root', password: 'root' }));
    await channel.unary(methods.userGrantRole, { user: 'root', role: 'root' });
    await channel.unary(methods.authEnable, {});
  };
  const token = async (channel: Channel) =>
    (await channel.unary(methods.authenticate, { name: 'root', password: 'root' })).token;
  const read = (channel: Channel, value: string) =>
    channel.unary(KV.methods.range, RangeRequest.create({ key: Buffer.from('a') }), { metadata: [['token', value]] });

  for (const [how, stop] of Object.entries({
    'a clean stop': async (disk: MemoryDisk, end: () => Promise<void>) => {
      await end();
      return disk;
    },
    'a crash': async (disk: MemoryDisk, _end: () => Promise<void>) => disk.afterCrash(),
  }))
    test(`is asked for passwords after ${how}, too`, { timeout }, async () => {
      const start = (disk: MemoryDisk) =>
        startEtcd({
          config: { dataDir: 'data', bcryptCost: 4 },
          deps: { clock: systemClock, prng: seededPrng(1), disk, log: () => {} },
        });
      const disk = new MemoryDisk();
      const first = await start(disk);
      await root(first.connect());
      const { authRevision } = await first.connect().unary(methods.authStatus, {});
      const before = await token(first.connect());
      const left = await stop(disk, async () => first[Symbol.asyncDispose]());
      await using second = await start(left);
      await using channel = second.connect();
      // A log that is replayed makes the tokens again, as upstream's does; after a clean stop there is none.
      if (how === 'a crash') await read(channel, before);
      for (const unknown of how === 'a crash' ? ['x'] : ['x', before])
        await assert.rejects(read(channel, unknown), (error) => isEtcdError(error, 'invalidAuthToken'));
      await read(channel, await token(channel));
      assert.equal((await channel.unary(methods.authStatus, {})).authRevision, authRevision);
    });

  test('signed tokens of an older revision have to be asked for again', { timeout }, async () => {
    const config: EtcdConfig = {
      bcryptCost: 4,
      tokens: { kind: 'jwt', signMethod: 'EdDSA', ttlMs: 60_000, ...keysFor('EdDSA') },
    };
    await using etcd = await startEtcd({
      config,
      deps: { clock: systemClock, prng: seededPrng(1), log: () => {} },
    });
    await using channel = etcd.connect();
    await root(channel);
    const old = await token(channel);
    await read(channel, old);
    await channel.unary(methods.roleAdd, { name: 'more' }, { metadata: [['token', old]] });
    await read(channel, await token(channel));
    // The administrator may do everything, but not on old terms.
    await assert.rejects(read(channel, old), (error) => isEtcdError(error, 'authOldRevision'));
  });

  test('a fork has the users, and its own from then on', { timeout }, async () => {
    const deps = { clock: systemClock, prng: seededPrng(1), log: () => {} };
    await using etcd = await startEtcd({ config: { bcryptCost: 4 }, deps });
    await root(etcd.connect());
    await using fork = etcd.fork(deps);
    const channel = fork.connect();
    const value = await token(channel);
    await channel.unary(methods.roleAdd, { name: 'forked' }, { metadata: [['token', value]] });
    const theirs = await token(etcd.connect());
    const { roles } = await etcd.connect().unary(methods.roleList, {}, { metadata: [['token', theirs]] });
    assert.deepEqual(roles, []);
  });
});
