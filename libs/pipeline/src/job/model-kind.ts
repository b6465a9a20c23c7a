import { isDiffusionFolder } from '@emloc/models';

import type { ModelKind } from '../options/kinds.js';

/** What a model folder is for. */
export async function modelKind(folder: string): Promise<ModelKind> {
  return (await isDiffusionFolder(folder)) ? 'pictures' : 'text';
}
