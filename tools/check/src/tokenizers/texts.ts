import { at } from '@emloc/checked';

/** Numbers from 0 to below 1 that are the same at every run. */
function createNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const whiteSpace = Array.from(
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff\u180e\u001c\u001d\u001e\u001f',
);

const sentences = [
  '',
  ' ',
  'a',
  'Hello, world!',
  " It's we're they'll I'd you've 'Tis DON'T WE'LL I'M he'ſ ",
  'The quick brown fox jumps over the lazy dog.  It  did   so    12 345 6789 times.',
  'tabs\tand\nnewlines\r\nand\r\rmore\n\n\n  indented\n\t\tcode',
  'def f(x):\n    """doc"""\n    return [i**2 for i in range(x) if i % 2 == 0]\n\n\nclass A:\n\tpass\n',
  'const x = {a: 1, "b": [2, 3]}; // comment\nif (x.a!==1){throw new Error(`no ${x}`)}',
  '<div class="x">&nbsp;</div> https://example.org/a/b?c=d&e=f#g user@example.com',
  'naïve café résumé Ångström ÅNGSTRÖM ÉÈÊ İstanbul ıI ß ẞ ﬁ ﬂ ﬃ ǅ ΑΣ Σίσυφος ὈΔΥΣΣΕΎΣ',
  'e\u0301 a\u0323\u0307 a\u0307\u0323 \u0301alone o\u0302\u0301\u0323 \u1e9b\u0323 q\u0307\u0323 \u0344',
  'Привет, мир! Ёлка ёлка Їжак 1234',
  '你好，世界！今天天气很好。我有３个苹果和①②③。',
  'こんにちは世界。カタカナとひらがなｶﾀｶﾅー長音',
  '안녕하세요 세계 한국어 \u1112\u1161\u11ab\u1100\u1173\u11af ㄱㄴㄷ',
  'مرحبا بالعالم ١٢٣٤٥ ۱۲۳ שלום עולם \u200fRTL\u200e \u202eabc\u202c',
  'नमस्ते दुनिया १२३ क्षत्रिय தமிழ் ௧௨௩ ไทย ๑๒๓ ລາວ ខ្មែរ မြန်မာ ၁၂၃',
  'x² y³ z¹ ½ ¼ ¾ ⅓ Ⅳ ⅷ ↉ ① ⑳ ㊿ ㉈ 〇 ౸ ৴ ௰ 𝟘𝟙𝟚 𐄇 ⁴₅ ᛮ ꛦ 𑁒 🄀',
  '👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺ 🤷🏻‍♂️ 😀😀😀 1️⃣ ©️',
  '\u0000\u0001\u0008\u000b\u000e\u001b[31mred\u007f\u0080\u0085\u009f\u00ad',
  '\ufeffBOM at the start and \ufeff inside\ufeff',
  '\ufffd \ufffe \uffff \u{10ffff} \u{e0001} \ue000',
  '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~ ¡¿«»„“”‘’—–…·•†‡§¶',
  '▁ ▁▁ a▁b ▁a Ġ Ċ ĠĠ âĢĶ <0x0A> <0xFF> ## ##ing [UNK] <unk> <pad>',
  'ALLCAPS CamelCase snake_case kebab-case SCREAMING_SNAKE mixedÇase XMLHttpRequest2',
  '3.14159 1,000,000 0x1F 1e-10 2024-05-17T12:34:56Z +1 (555) 010-9999 50% $9.99 №5',
  'a_b __init__ _x x_ ‿ ⁀ a‿b zero\u200cwidth\u200djoiner',
  '𝓗𝓮𝓵𝓵𝓸 𝕎𝕠𝕣𝕝𝕕 Ｆｕｌｌｗｉｄｔｈ ℌ ℃ ㎏ ㍿ ﷺ ﬀ ǆ',
  'ꙮ ꚜ 𞤀𞤢 𐐀𐐨 Ꭰꭰ ᲀ ჰ Ჰ 𑜞 ᳲ ᜴ 𖫵 𞥐 𑄶 𑱐 ᧐ ᪀',
];

const fragments = [
  ...whiteSpace,
  ...whiteSpace,
  ' ',
  '  ',
  '\n',
  '\n\n',
  '\r\n',
  'the',
  ' The',
  'ing',
  '1',
  '23',
  '4567',
  '٣',
  '²',
  '½',
  'é',
  'e\u0301',
  '\u0323',
  'ß',
  '中',
  '文字',
  'あ',
  'ア',
  '한',
  'ж',
  'ע',
  'ا',
  'क्',
  '😀',
  '👩‍💻',
  "'s",
  "'LL",
  '’',
  '.',
  ', ',
  '!?',
  '/',
  '//',
  '_',
  '-',
  '"',
  '(',
  ')',
  '▁',
  'Ġ',
  '$',
  '+',
  '\0',
  '\u200d',
  '\ufffd',
];

/** Texts that have what tokenizers trip over, some of them around the given tokens. */
export function createTexts(tokens: readonly string[], seed = 1): readonly string[] {
  const next = createNumbers(seed);
  const pick = <T>(list: readonly T[], fallback: T): T =>
    list.length === 0 ? fallback : at(list, Math.floor(next() * list.length));
  const pieces = [...fragments, ...tokens, ...tokens];
  return [
    ...sentences,
    ...whiteSpace.flatMap((space) => [space, `a${space}b`, `${space}${space}x${space}`]),
    ...[2, 3, 7, 16, 33, 100].flatMap((n) => [
      ' '.repeat(n),
      `a${' '.repeat(n)}b`,
      '\n'.repeat(n),
      ` ${'\n '.repeat(n)}x`,
      '7'.repeat(n),
      'ab'.repeat(n),
      '▁'.repeat(n),
    ]),
    ...tokens.flatMap((token) => [
      token,
      `a${token}b`,
      ` a ${token} b `,
      `${token}${token}`,
      `\n\t${token}  \u00a0\u0085 x`,
      `é${token}²`,
      `${token.toUpperCase()} ${token.toLowerCase()}`,
      token.slice(0, -1),
    ]),
    ...Array.from({ length: 250 }, () =>
      Array.from({ length: 1 + Math.floor(next() * 14) }, () => pick(pieces, '')).join(''),
    ),
    ...Array.from({ length: 60 }, () => mixWords(next)),
    ...Array.from({ length: 100 }, () => randomText(next)),
  ];
}

function mixWords(next: () => number): string {
  const words = sentences.join(' ').split(' ');
  const length = 5 + Math.floor(next() * 60);
  return Array.from({ length }, () => words[Math.floor(next() * words.length)]).join(' ');
}

const blocks = [0x80, 0x250, 0x600, 0x1000, 0x3000, 0x10000, 0x20000, 0x110000];

function randomText(next: () => number): string {
  const length = 1 + Math.floor(next() * 30);
  const points = Array.from({ length }, () => {
    const block = at(blocks, Math.floor(next() * blocks.length));
    const point = Math.floor(next() * block);
    return point >= 0xd800 && point <= 0xdfff ? 0x20 : point;
  });
  return String.fromCodePoint(...points);
}
