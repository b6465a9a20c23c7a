import { readRegularFile } from '@emloc/untrusted';

/** Far more than a record of a model with thousands of layers, or a log of 200,000 steps, takes. */
const maxBytes = 100_000_000;

/** The text of a file; null where there is none that can be read. */
export async function readText(path: string): Promise<string | null> {
  return await readRegularFile(path, maxBytes).then(
    (bytes) => bytes.toString('utf8'),
    () => null,
  );
}

/** A JSON document; null where there is none that can be read. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  return text === null ? null : parsed(text);
}

/** The value of a JSON text; null where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
