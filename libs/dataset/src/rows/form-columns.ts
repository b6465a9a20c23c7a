/** The columns that each form of a row is read from. */
export const formColumns = {
  messages: ['messages'],
  conversations: ['conversations'],
  completion: ['prompt', 'completion'],
  instruction: ['instruction', 'input', 'output'],
  text: ['text'],
} as const;

export type RowForm = keyof typeof formColumns;

/** Columns of forms, which are none where they hold null. */
export const allFormColumns: ReadonlySet<string> = new Set(Object.values(formColumns).flat());

/** Columns that are read beside those of any form. */
export const commonColumns: ReadonlySet<string> = new Set([
  'tools',
  'documents',
  'chat_template_kwargs',
]);

/** What answers are scored against. */
const answerColumns = ['answers', 'answer', 'options', 'choices'];

/** Every column that something can be read from. */
export const readableColumns: readonly string[] = [
  ...allFormColumns,
  ...commonColumns,
  'image',
  'images',
  ...answerColumns,
];
