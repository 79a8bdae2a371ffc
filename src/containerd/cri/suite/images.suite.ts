/** Images by the CRI: pulled from a registry, found by every name, refused with the reason, removed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageService, ImageSpec } from '#api-cri/gen/api.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { type CriUnderTest, testImages } from './under-test.suite.ts';

const limit = { timeout: 120_000 };
const { pullImage, listImages, imageStatus, removeImage, imageFsInfo } = ImageService.methods;

export function imagesSuite(open: () => CriUnderTest): void {
  const spec = (image: string) => ImageSpec.create({ image });
  const pull = (image: string) =>
    open().channel.unary(pullImage, { image: spec(image), auth: undefined, sandboxConfig: undefined });
  const refused = async (image: string): Promise<RpcError> => {
    try {
      await pull(image);
    } catch (error) {
      assert.ok(error instanceof RpcError, String(error));
      return error;
    }
    assert.fail(`${image} was pulled`);
  };
  const find = async (image: string) =>
    (await open().channel.unary(imageStatus, { image: spec(image), verbose: false })).image;

  test('a pulled image is found by tag, digest and id, and goes with its last name', limit, async () => {
    const { registry } = open();
    const name = `${registry}/${testImages.index}`;
    const { imageRef } = await pull(name);
    assert.match(imageRef, /^sha256:[0-9a-f]{64}$/);
    const image = (await find(name))!;
    assert.equal(image.id, imageRef);
    assert.deepEqual(image.repoTags, [name]);
    assert.equal(image.repoDigests.length, 1);
    assert.ok(image.size > 0n);
    for (const other of [imageRef, image.repoDigests[0]!, imageRef.slice(7, 20)])
      assert.equal((await find(other))?.id, imageRef, other);
    // Another pull of the same is the same, by tag or by digest.
    assert.equal((await pull(image.repoDigests[0]!)).imageRef, imageRef);
    const listed = await open().channel.unary(listImages, { filter: { image: spec(name) } });
    // Upstream lists all, whatever the filter.
    assert.ok(listed.images.some(({ id }) => id === imageRef));
    await open().channel.unary(removeImage, { image: spec(imageRef) });
    assert.equal(await find(name), undefined);
    await open().channel.unary(removeImage, { image: spec(imageRef) });
  });

  test('pulls of one image at the same time all succeed', limit, async () => {
    const name = `${open().registry}/${testImages.index}`;
    const answers = await Promise.all(Array.from({ length: 8 }, () => pull(name)));
    assert.equal(new Set(answers.map(({ imageRef }) => imageRef)).size, 1);
    await open().channel.unary(removeImage, { image: spec(name) });
  });

  test('a tag that is not there', limit, async () => {
    const name = `${open().registry}/test/box:nope`;
    const error = await refused(name);
    assert.equal(error.code, 5);
    assert.equal(
      error.message,
      `failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
    );
  });

  test('a name that is none', limit, async () => {
    const error = await refused('Not A Name');
    assert.equal(
      error.message,
      'failed to parse image reference "Not A Name": invalid reference format: repository name (library/Not A Name) must be lowercase',
    );
  });

  test('an image for other machines only', limit, async () => {
    const name = `${open().registry}/${testImages.foreign}`;
    const error = await refused(name);
    assert.equal(error.code, 5);
    assert.match(
      error.message,
      /^failed to pull and unpack image "[^"]+": no match for platform in manifest(?: sha256:\w+)?: not found$/,
    );
    assert.equal(await find(name), undefined);
  });

  test('a registry that is down', limit, async () => {
    const error = await refused('127.0.0.1:1/test/box:1');
    assert.equal(
      error.message,
      'failed to pull and unpack image "127.0.0.1:1/test/box:1": failed to resolve reference "127.0.0.1:1/test/box:1": ' +
        'failed to do request: Head "http://127.0.0.1:1/v2/test/box/manifests/1": dial tcp 127.0.0.1:1: connect: connection refused',
    );
  });

  test('what images take on the disk is told', limit, async () => {
    const { imageFilesystems } = await open().channel.unary(imageFsInfo, {});
    assert.equal(imageFilesystems.length, 1);
    assert.match(imageFilesystems[0]!.fsId!.mountpoint, /io\.containerd\.snapshotter\.v1\.overlayfs$/);
  });
}
