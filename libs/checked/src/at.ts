/**
 * The element at `index` of an array, a typed array or a text. Not for inner loops over numbers:
 * all lists share the places where elements are read here, which makes it slow.
 * @throws RangeError with index and length
 */
export function at<T>(list: ArrayLike<T>, index: number): T {
  if (!(index >= 0 && index < list.length) || !Number.isInteger(index))
    throw new RangeError(`index ${index} of a list of ${list.length}`);
  return list[index] as T;
}

/** @throws RangeError for an empty list */
export function last<T>(list: ArrayLike<T>): T {
  if (list.length === 0) throw new RangeError('the last element of an empty list');
  return at(list, list.length - 1);
}
