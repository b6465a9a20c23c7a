/**
 * Variables that a chat template gets from the row and from how it is used, and parameters of
 * transformers' `apply_chat_template`, none of which would reach the template as an argument.
 * Special tokens are not among them: there an argument takes the place of the model's.
 */
export const reservedTemplateNames: ReadonlySet<string> = new Set([
  'messages',
  'tools',
  'documents',
  'add_generation_prompt',
  'continue_final_message',
  'conversation',
  'conversations',
  'chat_template',
  'tokenize',
  'padding',
  'truncation',
  'max_length',
  'return_tensors',
  'return_dict',
  'return_assistant_tokens_mask',
  'tokenizer_kwargs',
]);
