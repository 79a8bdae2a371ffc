/** Targets and what they are read as. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { requestInfoOf } from './request-info.ts';

const cases: readonly [method: string, target: string, summary: string][] = [
  ['GET', '/healthz?verbose', 'get /healthz'],
  ['GET', '/api/v1', 'get /api/v1'],
  ['GET', '/apis/apps/v1', 'get /apis/apps/v1'],
  ['GET', '/api/v1/pods', 'list core/v1 pods'],
  ['GET', '/api/v1/pods?watch=true', 'watch core/v1 pods'],
  ['GET', '/api/v1/pods?watch=0', 'list core/v1 pods'],
  ['GET', '/api/v1/namespaces/a/pods/b', 'get core/v1 pods a/b'],
  ['GET', '/api/v1/namespaces/a/pods/b/log?follow=1', 'get core/v1 pods/log a/b'],
  ['POST', '/api/v1/namespaces/a/pods/b/exec', 'create core/v1 pods/exec a/b'],
  ['GET', '/api/v1/namespaces', 'list core/v1 namespaces'],
  ['GET', '/api/v1/namespaces/a', 'get core/v1 namespaces a/a'],
  ['PUT', '/api/v1/namespaces/a/finalize', 'update core/v1 namespaces/finalize a/a'],
  ['DELETE', '/apis/apps/v1/namespaces/a/deployments', 'deletecollection apps/v1 deployments a/'],
  ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/scale', 'patch apps/v1 deployments/scale a/d'],
  ['GET', '/api/v1/watch/namespaces/a/pods', 'watch core/v1 pods a/'],
  ['GET', '/api/v1/namespaces/a/services/s/proxy/x/y', 'get core/v1 services/proxy a/s x/y'],
  ['GET', '/api/v1/nodes/n%2Fm', 'get core/v1 nodes /n/m'],
];

for (const [method, target, summary] of cases)
  test(`${method} ${target}`, () => {
    const info = requestInfoOf(method, target)!;
    const where = info.namespace || info.name ? ` ${info.namespace}/${info.name}` : '';
    const what = `${info.resource}${info.subresource && `/${info.subresource}`}`;
    const actual = info.isResourceRequest
      ? `${info.verb} ${info.apiGroup || 'core'}/${info.apiVersion} ${what}${where}${info.parts.length > 0 ? ` ${info.parts.join('/')}` : ''}`
      : `${info.verb} ${info.path}`;
    assert.equal(actual, summary);
  });

test('a path that is not percent-encoding is no request at all', () => {
  assert.equal(requestInfoOf('GET', '/api/v1/pods/%zz'), undefined);
});
