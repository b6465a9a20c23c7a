import type { OpenTarget } from '../target.js';
import { openAdapterTarget } from './adapter.js';
import { openConfigTarget } from './config.js';
import { openHeaderTarget } from './header.js';
import { openOptionsTarget } from './options.js';
import { openPiecesTarget } from './pieces.js';
import { openRowsTarget } from './rows.js';
import { openTemplateTarget } from './template.js';
import { openTokenizerTarget } from './tokenizer.js';

/** Those that read in their own thread. */
export const threadTargets: Readonly<Record<string, OpenTarget>> = Object.freeze({
  header: openHeaderTarget,
  config: openConfigTarget,
  tokenizer: openTokenizerTarget,
  pieces: openPiecesTarget,
  template: openTemplateTarget,
  rows: openRowsTarget,
  adapter: openAdapterTarget,
  options: openOptionsTarget,
});

/** All, those that are read in processes of their own last. */
export const targetNames: readonly string[] = Object.freeze([
  ...Object.keys(threadTargets),
  'yaml',
  'requests',
]);
