/**
 * The value at `key`.
 * @throws RangeError with key and size
 */
export function get<K, V>(map: Pick<ReadonlyMap<K, V>, 'get' | 'has' | 'size'>, key: K): V {
  const value = map.get(key);
  if (value === undefined && !map.has(key))
    throw new RangeError(`key ${String(key)} of a map of ${map.size}`);
  return value as V;
}
