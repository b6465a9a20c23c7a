import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError for no number, or one too great to be held */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value))
    throw new InvalidArgumentError('A number is expected.');
  if (!Number.isFinite(value) && !/inf/i.test(text))
    throw new InvalidArgumentError('A finite number is expected.');
  return value;
}

/** A number, which its option may refuse for being no whole one. @throws InvalidArgumentError */
export function integer(text: string): number {
  const value = number(text);
  // Told as it was given: its digits are lost in the number.
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new InvalidArgumentError(
      `A whole number is expected, at most ${Number.MAX_SAFE_INTEGER}.`,
    );
  return value;
}

/** @throws InvalidArgumentError */
export function positive(text: string): number {
  const value = number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('A whole number of at least 1 is expected.');
  return value;
}
