import { Buffer } from 'node:buffer';
import { at } from '@emloc/checked';

import type { Dice } from './dice.js';
import { hostileText } from './hostile.js';

/** A field of a message: its tag, and its value, without the length that some have before it. */
interface Field {
  readonly tag: number;
  readonly value: Buffer;
}

const lengthDelimited = 2;

/** A message with one to three changed fields, at any depth. */
export function mutateMessage(message: Uint8Array, dice: Dice): Buffer {
  let changed: Buffer = Buffer.from(message);
  for (let edits = 1 + dice.below(3); edits > 0; edits -= 1) changed = edit(changed, dice);
  return dice.chance(0.05) ? changed.subarray(0, dice.below(changed.length + 1)) : changed;
}

function edit(message: Buffer, dice: Dice): Buffer {
  const fields = fieldsOf(message);
  if (!fields || fields.length === 0) return Buffer.from(hostileText(dice));
  const index = dice.below(fields.length);
  const field = at(fields, index);
  const kind = dice.below(100);
  if (kind < 40 && (field.tag & 7) === lengthDelimited)
    fields[index] = { ...field, value: edit(field.value, dice) };
  else if (kind < 60) fields[index] = { ...field, value: otherValue(field, dice) };
  else if (kind < 70) fields[index] = { ...field, tag: dice.below(1 << 8) };
  else if (kind < 80) fields.push(...Array.from({ length: dice.pick([1, 3, 500]) }, () => field));
  else if (kind < 90) fields.splice(index, 1);
  else fields.push({ tag: dice.below(1 << 8), value: Buffer.from(hostileText(dice)) });
  return Buffer.concat(fields.map(written));
}

function otherValue({ tag }: Field, dice: Dice): Buffer {
  if ((tag & 7) === lengthDelimited)
    return dice.chance(0.2) ? Buffer.from([0xff, 0xfe, 0]) : Buffer.from(deepOrText(dice));
  return dice.pick([
    varint(0n),
    varint(2n ** 31n),
    varint(2n ** 63n),
    varint(2n ** 64n - 1n),
    Buffer.alloc(12, 0xff),
  ]);
}

function deepOrText(dice: Dice): string {
  return dice.chance(0.1) ? `{"a":${'['.repeat(100_000)}` : hostileText(dice);
}

function written({ tag, value }: Field): Buffer {
  const length = (tag & 7) === lengthDelimited ? [varint(BigInt(value.length))] : [];
  return Buffer.concat([varint(BigInt(tag)), ...length, value]);
}

/** null: these bytes are no message. */
function fieldsOf(message: Buffer): Field[] | null {
  const fields: Field[] = [];
  for (let start = 0; start < message.length;) {
    const tag = readVarint(message, start);
    if (!tag) return null;
    const type = Number(tag.value & 7n);
    const length = type === lengthDelimited ? readVarint(message, tag.end) : null;
    const from = length?.end ?? tag.end;
    const end = endOf(type, { from, length: length?.value, message });
    if (end === null || end > message.length) return null;
    fields.push({ tag: Number(tag.value), value: message.subarray(from, end) });
    start = end;
  }
  return fields;
}

interface ValuePlace {
  readonly from: number;
  readonly length: bigint | undefined;
  readonly message: Buffer;
}

function endOf(type: number, { from, length, message }: ValuePlace): number | null {
  if (type === 0) return readVarint(message, from)?.end ?? null;
  if (type === 1) return from + 8;
  if (type === lengthDelimited) return length === undefined ? null : from + Number(length);
  return type === 5 ? from + 4 : null;
}

function readVarint(
  bytes: Buffer,
  start: number,
): { readonly value: bigint; readonly end: number } | null {
  let value = 0n;
  for (let i = 0; i < 10 && start + i < bytes.length; i += 1) {
    const byte = bytes.readUInt8(start + i);
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  return null;
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}
