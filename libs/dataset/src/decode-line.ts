import { RowError } from './errors.js';

/**
 * Text of lines, given with their 1-based number; a byte order mark before the first is left out.
 * @throws RowError for what is not UTF-8
 */
export function createLineDecoder(): (bytes: Uint8Array, line: number) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return (bytes, line) => {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      throw new RowError(null, 'is not valid UTF-8');
    }
    return line === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text;
  };
}
