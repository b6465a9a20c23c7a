import { create } from '@bufbuild/protobuf';
import { StoredObjectSchema, type StoredObject } from '@emloc/contracts';
import type { StoredObject as BucketObject } from '@emloc/nats';

/** A bucket's object as the message that names it to another service. */
export function storedObjectMessage(
  bucket: string,
  { name, byteLength, digest }: Pick<BucketObject, 'name' | 'byteLength' | 'digest'>,
): StoredObject {
  return create(StoredObjectSchema, {
    bucket,
    name,
    sizeBytes: BigInt(byteLength),
    sha256: hexOf(digest),
  });
}

/** Lower-case hexadecimal of a digest as buckets write it, `SHA-256=` and base64url. */
function hexOf(digest: string): string {
  return Buffer.from(digest.slice(digest.indexOf('=') + 1), 'base64url').toString('hex');
}
