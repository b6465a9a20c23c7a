import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * Fields of a request, those of messages in it included. A message of some megabytes can hold
 * millions, which take seconds to decode; no request of these services has need of so many.
 */
export const maxFields = 20_000;

/**
 * Whether a message has more fields than `most`, looking at no more than that. Of bytes that are no
 * message it says no: who decodes them finds out.
 */
export function hasTooManyFields(
  schema: DescMessage,
  bytes: Uint8Array,
  most = maxFields,
): boolean {
  try {
    return countFields(schema, new BinaryReader(bytes), { end: bytes.length, most }) > most;
  } catch {
    return false;
  }
}

function countFields(
  schema: DescMessage,
  reader: BinaryReader,
  { end, most }: { end: number; most: number },
): number {
  const known = new Map(schema.fields.map((field) => [field.number, field]));
  let count = 0;
  while (reader.pos < end && count <= most) {
    const [number, wireType] = reader.tag();
    count += 1;
    if (wireType !== WireType.LengthDelimited) {
      skip(reader, wireType);
      continue;
    }
    const length = reader.uint32();
    const [field, next] = [known.get(number), reader.pos + length];
    const message = field && messageOf(field);
    if (message) count += countFields(message, reader, { end: next, most: most - count });
    // Numbers of a list may be packed, in a byte or more each.
    else if (field && isListOfNumbers(field)) count += length;
    reader.pos = next;
  }
  return count;
}

/** Groups are looked at as the fields that they hold. */
function skip(reader: BinaryReader, wireType: WireType): void {
  if (wireType !== WireType.StartGroup && wireType !== WireType.EndGroup) reader.skip(wireType);
}

function messageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === 'message' ||
    (field.fieldKind === 'list' && field.listKind === 'message')
    ? field.message
    : undefined;
}

function isListOfNumbers(field: DescField): boolean {
  if (field.fieldKind !== 'list') return false;
  return field.listKind === 'scalar'
    ? field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES
    : field.listKind === 'enum';
}
