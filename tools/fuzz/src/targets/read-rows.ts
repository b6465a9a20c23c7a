import { openDatasetSession } from '@emloc/dataset';

import { limits } from '../judge.js';

/** Reads rows with a model's tokenizer. @throws where it cannot be, or a refusal is too long */
export async function readWith(
  folder: string,
  path: string,
  chatTemplate: string | null = null,
): Promise<void> {
  await using session = openDatasetSession({
    folder,
    date: '2026-01-01',
    chatTemplate,
    templateArguments: null,
  });
  await session.describe();
  for await (const outcome of session.read({ path, maxLength: 64, withText: true })) {
    const problems = outcome.kind === 'bad' ? outcome.problems : [];
    const long = problems.find(({ reason }) => reason.length > limits.messageLength);
    if (long) throw new Error(`row ${long.line}: a reason of ${long.reason.length} characters`);
  }
}
