import { endOfPrompt } from './prompt-end.js';

describe('a generation prompt', () => {
  it.each([
    [
      'as it is',
      '<s>sys</s>\n<|start|>assistant\n',
      '<|start|>assistant\n',
      '<s>sys</s>\n<|start|>assistant\n',
    ],
    [
      'with reasoning that the turn has not',
      '<|start|>assistant\n',
      '<|start|>assistant\n<think>\n',
      '<|start|>assistant\n',
    ],
    ['never up to within a tag', '<|bot|></think>', '<|bot|><think>', '<|bot|>'],
    [
      'with the end of the turn before it',
      '<|start|>assistant<|channel|>final',
      '<|end|><|start|>assistant',
      '<|start|>assistant',
    ],
  ])('ends where the turn has it: %s', (_, before, prompt, found) => {
    const end = endOfPrompt(before, prompt);
    expect(end === null ? null : before.slice(0, end)).toBe(found);
  });

  it.each([
    ['tags that begin alike', '<tool>x</tool>', '<turn>model\n'],
    ['words that begin alike', 'Answer to this', 'Assistant: '],
    ['white space', ' \n x', '\n'],
    ['nothing', '', '<|bot|>'],
  ])('is not found in %s', (_, before, prompt) => {
    expect(endOfPrompt(before, prompt)).toBeNull();
  });
});
