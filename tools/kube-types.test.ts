/** Generated Kubernetes types: their names, and objects that the compiler must take. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Deployment, EventsEvent, HorizontalPodAutoscaler, List, Pod } from '../src/api-kube/gen/types.ts';
import { readDeclaration } from './kube-descriptions.ts';
import { typesOf } from './kube-types.ts';

test('types that share a name: one keeps it, the others carry group or version', () => {
  const text = typesOf({
    kinds: { '/v1/Event': 'core/v1.Event' },
    types: {
      'core/v1.Event': 'metadata!:@meta/v1.ObjectMeta; message:string',
      'events/v1.Event': 'note:string',
      'autoscaling/v1.Scale': 'spec:{quantity}',
      'autoscaling/v2.Scale': '(atomic); spec:[[@core/v1.Event]]',
      'meta/v1.ObjectMeta': 'name:string; creationTimestamp:time',
    },
  });
  assert.match(text, /interface Event {\n {2}readonly metadata: ObjectMeta;\n {2}readonly message\?: string;\n}/);
  assert.match(text, /interface EventsEvent {\n {2}readonly note\?: string;\n}/);
  assert.match(
    text,
    /own it whole\. \*\/\nexport interface Scale {\n {2}readonly spec: readonly \(readonly Event\[\]\)\[\];/,
  );
  assert.match(text, /interface ScaleV1 {\n {2}readonly spec: Readonly<Record<string, Quantity>>;/);
  assert.match(
    text,
    /interface ObjectMeta {\n {2}readonly name: string;\n {2}readonly creationTimestamp\?: Time \| null;/,
  );
});

test('objects as the server hands them out have their types', () => {
  const pods: List<Pod> = {
    metadata: { resourceVersion: '7' },
    items: [{ metadata: { name: 'a', creationTimestamp: null }, spec: { containers: [{ name: 'c', image: 'web' }] } }],
  };
  const deployment: Deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: pods.items[0]!.spec },
      strategy: { rollingUpdate: { maxSurge: '25%', maxUnavailable: 1 } },
    },
  };
  const event: Pick<EventsEvent, 'note'> = { note: 'pulled' };
  const metrics: HorizontalPodAutoscaler['spec']['metrics'] = [{ type: 'Resource' }];
  assert.equal(deployment.spec.template.spec.containers[0]!.name, 'c');
  assert.deepEqual([event.note, metrics.length], ['pulled', 1]);
});

test('descriptions of a declaration: of the class and of its fields, without the escapes of TypeScript', () => {
  const { own, ofFields } = readDeclaration(`/**
* ListMeta of a \\"list\\".
*/
export declare class V1ListMeta {
    /**
    * The server\\'s.
    */
    '_continue'?: string;
    'selfLink'?: string;
}
`);
  assert.equal(own, 'ListMeta of a "list".');
  assert.deepEqual([...ofFields], [['continue', "The server's."]]);
});
