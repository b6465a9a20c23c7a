/** The first ids, in order; the models' configs name 0, 1, 2, and those with images 3, 4, 5. */
const specialTokens = ['<|pad|>', '<|start|>', '<|end|>', '<|image|>', '<|/image|>', '<|patch|>'];

/** Pairs that are joined, the earlier the sooner, in the letters of `byteLetters`. */
const merges = [
  'Ġ t, Ġ a, h e, o r, e r, i n, a t, Ġt he, e s, Ġ o, Ġ s, Ġ w, r e, Ġ i, n d, Ġ b, d e, Ġ c',
  'Ġ f, Ġa nd, t s, e d, i c, Ġ e, o n, m e, r o, l o, l i, Ġo n, Ġ n, Ġi s, e n, u t, Ġ in',
  't h, Ġ p, Ġ m, Ġt h, Ġ l, r a, v ic, s t, li b, Ġo f, u n, a l, u l, lo c, a c, a s, m p',
  'i g, Ġs t, vic e, t er, a r, Ġ or, v er, lib s, a n, Ġ r, a d, o de, i th, g e, a y, Ġw h',
  'Ġt o, i on, Ġ re, t he, in e, de vice, Ġw ith, in g, Ġth at, Ġ g, ode l, mp l, Ġ d, a p, Ġ j',
  'Ġ h, i l, e p, Ġa re, m loc, Ġi t, o b, Ġ ro, c t, Ġc o, a g, Ġn o, Ġb y, Ġa n, ra in, at or',
  'Ġj ob, o ut, o l, ap ter, s e, Ġa l, w s, m ul, a k, Ġon e, Ġb e, Ġ k, x a, xa mpl, d at',
  'Ġwh at, Ġ device, or s, i t, ay er, Ġf or, or e, m d',
].flatMap((line) => line.split(', '));

const chatTemplate =
  "{% for message in messages %}{{ '<|start|>' + message.role + '\\n' + message.content + " +
  "'<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}";

/**
 * A tokenizer of the 384 ids that the models of the fixtures have: 6 special tokens, 256 bytes and
 * 122 merges. Byte-level BPE with a ChatML-like template, by the names of its files.
 */
export function tokenizerFiles(): Readonly<Record<string, string>> {
  return {
    'tokenizer.json': JSON.stringify(definition()),
    'tokenizer_config.json': JSON.stringify({
      eos_token: '<|end|>',
      pad_token: '<|pad|>',
      chat_template: chatTemplate,
    }),
    'generation_config.json': JSON.stringify({ eos_token_id: 2, pad_token_id: 0 }),
  };
}

function definition(): Readonly<Record<string, unknown>> {
  const tokens = [...specialTokens, ...byteLetters(), ...merges.map((m) => m.replace(' ', ''))];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: true },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** The letter of every byte in byte-level BPE: its own if it prints, else one from 256 on. */
function byteLetters(): readonly string[] {
  const prints = (byte: number): boolean =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 0x100 }, (_, byte) =>
    String.fromCharCode(prints(byte) ? byte : next++),
  );
}
